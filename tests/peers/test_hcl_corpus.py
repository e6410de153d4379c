"""Documents with a known verdict, put before OpenBao and our server: the folder says which.

`good` both accept, `bad` both refuse, `stricter` only OpenBao accepts, `lenient` only we accept.
Each is a policy, uploaded as base64 so that every byte arrives as it is in the file.
"""

import base64
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
from node import bao_binary, dev_node, only_secretum

CRATES = Path(__file__).parents[2] / "crates"
ACCEPTED_BY = {
    "good": {"bao", "secretum"},
    "bad": set(),
    "stricter": {"bao"},
    "lenient": {"secretum"},
}


def documents(crate):
    corpus = CRATES / crate / "tests/corpus"
    found = [file for folder in ACCEPTED_BY for file in sorted((corpus / folder).glob("*"))]
    return [pytest.param(file, id=f"{file.parent.name}/{file.name}") for file in found]


ALL = documents("hcl") + documents("policy")


@pytest.fixture(scope="module")
def bao(tmp_path_factory):
    """An OpenBao development server, whatever the server under test."""
    node = dev_node(tmp_path_factory.mktemp("bao"), binary=bao_binary())
    node.start()
    yield node.wire()
    node.stop()


def accepts(wire, file):
    """Whether the server takes the document. OpenBao drops the connection on a few of them."""
    policy = base64.b64encode(file.read_bytes()).decode()
    try:
        answer = wire.put("sys/policies/acl/corpus", {"policy": policy})
    except RemoteDisconnected:
        return False
    if answer.status == 400:
        assert answer.error
        return False
    answer.expect(200, 204)
    return True


@pytest.mark.parametrize("crate", ["hcl", "policy"])
@pytest.mark.parametrize("folder", ["good", "bad"])
def test_the_corpus_is_there(crate, folder):
    place = CRATES / crate / "tests/corpus" / folder
    assert place.is_dir() and any(place.iterdir()), f"no documents in {place}"


@pytest.mark.parametrize("file", ALL)
def test_openbao_agrees(bao, file):
    if not file.read_bytes():
        pytest.skip("an empty document never reaches the parser: the field counts as missing")
    assert accepts(bao, file) == ("bao" in ACCEPTED_BY[file.parent.name]), file.read_bytes()


@only_secretum("OpenBao's verdict is the test above")
@pytest.mark.parametrize("file", ALL)
def test_our_server_agrees(wire, file):
    if not file.read_bytes():
        pytest.skip("an empty document never reaches the parser: the field counts as missing")
    assert accepts(wire, file) == ("secretum" in ACCEPTED_BY[file.parent.name]), file.read_bytes()
