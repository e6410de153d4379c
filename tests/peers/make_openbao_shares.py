"""Makes crates/crypto/tests/vectors/openbao-shares.json: shares that a real `bao` handed out.

Run `python tests/peers/make_openbao_shares.py`. Each case is one `bao operator init` on an
in-memory server that is thrown away. The secret is combined by tests/peers/shamir.py; that it is
the right one is known from every subset of `threshold` shares giving it, from no smaller subset
giving it, and from the server unsealing with the last shares of the list.
"""

import json
import os
import subprocess
import tempfile
from itertools import combinations
from pathlib import Path

os.environ["PEERS_SERVER"] = "bao"

from node import bao_binary, production_node  # noqa: E402  (after the choice of the server)
from shamir import combine  # noqa: E402

CASES = [(5, 3), (3, 2)]
TARGET = Path(__file__).parents[2] / "crates/crypto/tests/vectors/openbao-shares.json"


def initialize(node, shares, threshold):
    flags = [f"-key-shares={shares}", f"-key-threshold={threshold}", "-format=json"]
    made = subprocess.run(
        [bao_binary(), "operator", "init", f"-address={node.address}", *flags],
        capture_output=True,
        check=True,
    )
    return json.loads(made.stdout)["unseal_keys_hex"]


def case(shares, threshold):
    with tempfile.TemporaryDirectory() as directory:
        node = production_node(Path(directory), None, storage="inmem").start()
        try:
            texts = initialize(node, shares, threshold)
            for text in texts[-threshold:]:
                status = node.wire().put("sys/unseal", {"key": text}).expect(200).json
            assert status["sealed"] is False
        finally:
            node.stop()
    handed_out = [bytes.fromhex(text) for text in texts]
    secrets = {combine(subset) for subset in combinations(handed_out, threshold)}
    assert len(secrets) == 1, "every subset of enough shares must give the same secret"
    too_few = {combine(subset) for subset in combinations(handed_out, threshold - 1)}
    assert not secrets & too_few, "fewer shares must not give it"
    return {
        "shares": shares,
        "threshold": threshold,
        "shares_hex": texts,
        "secret_hex": secrets.pop().hex(),
    }


def main():
    version = subprocess.run([bao_binary(), "-version"], capture_output=True, text=True, check=True)
    document = {
        "source": f"bao operator init, {version.stdout.strip()}; throw-away in-memory servers",
        "layout": "share = f(x) for each byte of the secret, then x; GF(2^8) modulo 0x11b",
        "checks": "every subset of `threshold` shares gives `secret_hex` (combined by "
        "tests/peers/shamir.py), none of one share less does, and the server that made them "
        "unsealed with the last `threshold` of them",
        "cases": [case(*numbers) for numbers in CASES],
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
