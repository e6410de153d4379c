"""Shamir's secret sharing over GF(2^8) as Vault lays shares out, written independently of ours.

A share is one byte of f(x) for each byte of the secret, and x itself as the last byte. The field
is that of AES: polynomials modulo x^8 + x^4 + x^3 + x + 1.
"""


def multiply(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def inverse(a):
    assert a, "zero has no inverse"
    return next(candidate for candidate in range(1, 256) if multiply(a, candidate) == 1)


def combine(shares):
    """The secret: each byte's polynomial at x = 0, by Lagrange's formula."""
    xs = [share[-1] for share in shares]
    weights = []
    for x in xs:
        weight = 1
        for other in xs:
            if other != x:
                weight = multiply(weight, multiply(other, inverse(other ^ x)))
        weights.append(weight)
    secret = bytearray()
    for column in zip(*(share[:-1] for share in shares)):
        byte = 0
        for y, weight in zip(column, weights):
            byte ^= multiply(y, weight)
        secret.append(byte)
    return bytes(secret)
