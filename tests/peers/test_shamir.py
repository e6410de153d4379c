"""Shares between the houses: the vector file of real OpenBao shares, and shares of our own init."""

import json
from itertools import combinations, permutations
from pathlib import Path

import pytest
from node import only_secretum
from shamir import combine, inverse, multiply

VECTORS = Path(__file__).parents[2] / "crates/crypto/tests/vectors/openbao-shares.json"


def cases():
    return json.loads(VECTORS.read_text())["cases"]


def test_the_field():
    assert multiply(0x57, 0x83) == 0xC1  # FIPS 197, section 4.2
    assert all(multiply(a, inverse(a)) == 1 for a in range(1, 256))


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['shares']}/{case['threshold']}")
def test_the_vector_file_says_true(case):
    """The Rust tests take this file at its word."""
    shares = [bytes.fromhex(text) for text in case["shares_hex"]]
    secret = bytes.fromhex(case["secret_hex"])
    assert len(shares) == case["shares"] and {len(share) for share in shares} == {len(secret) + 1}
    for subset in combinations(shares, case["threshold"]):
        assert combine(subset) == secret
    for subset in combinations(shares, case["threshold"] - 1):
        assert combine(subset) != secret
    assert combine(shares) == secret, "more than enough do no harm"


@pytest.mark.parametrize("shares, threshold", [(5, 3), (3, 2)])
def test_shares_of_the_server_are_in_the_same_layout(fresh, shares, threshold):
    """What it hands out combines here, whichever shares are taken, in whichever order."""
    node = fresh().start().initialize(shares, threshold)
    handed_out = [bytes.fromhex(key) for key in node.keys]
    secrets = {combine(subset) for subset in combinations(handed_out, threshold)}
    assert len(secrets) == 1 and len(secrets.pop()) == 32
    assert 0 not in {share[-1] for share in handed_out}
    for order in list(permutations(node.keys, threshold))[-2:]:
        for key in order:
            status = node.wire().put("sys/unseal", {"key": key}).expect(200).json
        assert status["sealed"] is False
        node.wire().put("sys/seal").expect(204)


@only_secretum("what OpenBao's shares hide opens OpenBao's vault, and no other")
def test_shares_of_openbao_do_not_open_ours(fresh):
    node = fresh().start().initialize(5, 3)
    foreign = cases()[0]["shares_hex"]
    for key in foreign[:3]:
        answer = node.wire().put("sys/unseal", {"key": key})
    assert answer.status == 400 and answer.error
    assert node.wire().get("sys/seal-status").json["sealed"] is True
    node.unseal()
