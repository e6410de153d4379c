//! Shamir's sharing of a secret over GF(2^8), in the form of shares that Vault gives out.
//!
//! **Shape**: a share is as many bytes as the secret, then its coordinate (1 to 255). Each byte of
//! the secret is the value at 0 of a polynomial of its own, whose value at the coordinate is the
//! share's byte. The field is that of AES (polynomial 0x11b). Nobody learns anything of the secret,
//! but its length, from fewer shares than the threshold.
//!
//! A sharing of one share with a threshold of one is the secret itself; the caller sees to that.

use crate::{CryptoError, Result, Rng, SecretBytes};
use zeroize::Zeroizing;

/// The fewest shares that are a sharing.
pub const SHARES_MIN: usize = 2;

/// The most shares: the coordinates that a byte can name, but 0.
pub const SHARES_MAX: usize = 255;

/// Splits a secret so that any `threshold` of the `shares` give it back.
///
/// **Errors**: [`CryptoError::EmptySecret`], [`CryptoError::ShareNumbers`] unless
/// 2 ≤ threshold ≤ shares ≤ 255, [`CryptoError::Random`].
pub fn split(
    secret: &SecretBytes,
    shares: usize,
    threshold: usize,
    rng: &dyn Rng,
) -> Result<Vec<SecretBytes>> {
    if secret.is_empty() {
        return Err(CryptoError::EmptySecret);
    }
    if threshold < SHARES_MIN || shares < threshold || shares > SHARES_MAX {
        return Err(CryptoError::ShareNumbers { shares, threshold });
    }
    let coordinates = random_coordinates(shares, rng)?;
    let mut bodies: Vec<Zeroizing<Vec<u8>>> = coordinates
        .iter()
        .map(|_| Zeroizing::new(Vec::with_capacity(secret.len().saturating_add(1))))
        .collect();
    let mut coefficients = Zeroizing::new(vec![0; threshold - 1]);
    for byte in secret.expose() {
        rng.fill(&mut coefficients)?;
        for (body, x) in bodies.iter_mut().zip(&coordinates) {
            body.push(evaluate(*byte, &coefficients, *x));
        }
    }
    let finish = |(mut body, x): (Zeroizing<Vec<u8>>, u8)| {
        body.push(x);
        SecretBytes::new(std::mem::take(&mut *body))
    };
    Ok(bodies.into_iter().zip(coordinates).map(finish).collect())
}

/// Gives back the secret that was split.
///
/// Too few shares, or shares of different sharings, give some other bytes: the caller finds out when
/// the key does not open what it should.
///
/// **Errors**: [`CryptoError::TooFewShares`] below two, [`CryptoError::TooManyShares`] above 255,
/// [`CryptoError::ShareTooShort`], [`CryptoError::ShareLengths`],
/// [`CryptoError::ShareCoordinate`], [`CryptoError::DuplicateShare`].
pub fn combine(shares: &[SecretBytes]) -> Result<SecretBytes> {
    let shares = checked(shares)?;
    let weights = weights_at_zero(&shares);
    let len = shares.first().map_or(0, |(body, _)| body.len());
    let mut secret = Zeroizing::new(vec![0; len]);
    for ((body, _), weight) in shares.iter().zip(&weights) {
        for (out, y) in secret.iter_mut().zip(*body) {
            *out ^= multiply(*y, *weight);
        }
    }
    Ok(SecretBytes::new(std::mem::take(&mut *secret)))
}

/// The shares' bodies and coordinates, if they can be of one sharing.
fn checked(shares: &[SecretBytes]) -> Result<Vec<(&[u8], u8)>> {
    if shares.len() < SHARES_MIN {
        return Err(CryptoError::TooFewShares);
    }
    if shares.len() > SHARES_MAX {
        return Err(CryptoError::TooManyShares);
    }
    let mut checked: Vec<(&[u8], u8)> = Vec::with_capacity(shares.len());
    for share in shares {
        let (x, body) = share
            .expose()
            .split_last()
            .ok_or(CryptoError::ShareTooShort)?;
        if body.is_empty() {
            return Err(CryptoError::ShareTooShort);
        }
        if *x == 0 {
            return Err(CryptoError::ShareCoordinate);
        }
        if checked
            .first()
            .is_some_and(|(first, _)| first.len() != body.len())
        {
            return Err(CryptoError::ShareLengths);
        }
        if checked.iter().any(|(_, other)| other == x) {
            return Err(CryptoError::DuplicateShare);
        }
        checked.push((body, *x));
    }
    Ok(checked)
}

/// Distinct coordinates in a random order.
fn random_coordinates(count: usize, rng: &dyn Rng) -> Result<Vec<u8>> {
    let mut all: Vec<u8> = (1..=u8::MAX).collect();
    for last in (1..all.len()).rev() {
        all.swap(last, random_below(last.saturating_add(1), rng)?);
    }
    all.truncate(count);
    Ok(all)
}

/// A number from 0 to `bound - 1`, each as likely as any other; the bound is 1 to 255.
fn random_below(bound: usize, rng: &dyn Rng) -> Result<usize> {
    let fair = 256 - 256 % bound;
    loop {
        let mut byte = [0];
        rng.fill(&mut byte)?;
        let number = usize::from(byte[0]);
        if number < fair {
            return Ok(number % bound);
        }
    }
}

/// The value at `x` of `constant + coefficients[0]·x + coefficients[1]·x² + …`.
fn evaluate(constant: u8, coefficients: &[u8], x: u8) -> u8 {
    let value = coefficients
        .iter()
        .rev()
        .fold(0, |value, c| multiply(value, x) ^ c);
    multiply(value, x) ^ constant
}

/// What each share counts for in the value at 0 of the polynomial through all of them (Lagrange).
fn weights_at_zero(shares: &[(&[u8], u8)]) -> Vec<u8> {
    let weight = |(_, x): &(&[u8], u8)| {
        let others = shares
            .iter()
            .map(|(_, other)| *other)
            .filter(|other| other != x);
        let (above, below) = others.fold((1, 1), |(above, below), other| {
            (multiply(above, other), multiply(below, x ^ other))
        });
        multiply(above, inverse(below))
    };
    shares.iter().map(weight).collect()
}

/// The product in the field; the time taken does not depend on the factors.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & mask(b >> bit);
        a = (a << 1) ^ (0x1b & mask(a >> 7));
    }
    product
}

/// All ones when the lowest bit is set, else zero.
fn mask(bit: u8) -> u8 {
    (bit & 1).wrapping_neg()
}

/// The inverse in the field (a^254); that of 0 is 0.
fn inverse(a: u8) -> u8 {
    let mut result = 1;
    for bit in (0..8).rev() {
        result = multiply(result, result);
        if bit != 0 {
            result = multiply(result, a);
        }
    }
    result
}

#[cfg(test)]
mod tests;
