"""Data directories that earlier versions wrote: each is opened, read and written to."""

import json
import tarfile

import pytest
from make_data_directory import CEDAR, FOLDER, POLICY
from node import only_secretum

pytestmark = only_secretum("our own layout")

VERSIONS = sorted(file.stem for file in FOLDER.glob("*.json"))


def test_there_are_some():
    assert "version-1" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_earlier_version_wrote_is_all_there(fresh, version):
    node = fresh()
    told = json.loads((FOLDER / f"{version}.json").read_text())
    (node.directory / "data").rmdir()
    with tarfile.open(FOLDER / f"{version}.tar.xz") as archive:
        archive.extractall(node.directory, filter="data")
    node.keys, node.threshold, node.root_token = [told["key"]], 1, told["root_token"]
    node.start().unseal()
    check(node.wire(), told["token"])
    wire = node.wire()
    wire.put("two/data/a/b", {"data": {"version": 4}, "options": {"cas": 3}}).expect(200)
    wire.put("sys/rotate").expect(200, 204)
    node.stop()
    node.start().unseal()
    assert node.wire().get("two/data/a/b").expect(200).data["data"] == {"version": 4}
    wire.put("two/destroy/a/b", {"versions": [4]}).expect(204)


def check(wire, token):
    assert wire.get("one/a").expect(200).data == {"x": "1", "nested": {"y": [1.10, None]}}
    assert wire.get("sys/mounts/one/tune").expect(200).data["max_lease_ttl"] == 7200
    made = wire.put("auth/token/create/r", {"ttl": "1m"}).expect(200).json["auth"]
    assert "reader" in made["policies"] and made["orphan"] is True
    reader = made["client_token"]
    metadata = wire.get("two/metadata/a/b").expect(200).data
    assert (metadata["current_version"], metadata["max_versions"]) == (3, 7)
    assert metadata["custom_metadata"] == {"owner": "me"}
    wire.get("two/data/a/b?version=1").expect(404)
    wire.put("two/undelete/a/b", {"versions": [1]}).expect(204)
    for version in (1, 2, 3):
        data = wire.get(f"two/data/a/b?version={version}", token=reader).expect(200).data
        assert data["data"]["version"] == version
        assert len(data["data"]["long"]) == (5_000 if version == 2 else 0)
    assert wire.get("two/data/second-term").expect(200).data["data"] == {"term": 2}
    assert wire.get("sys/key-status").expect(200).data["term"] == 2
    wire.put("two/data/a/b", {"data": {}}, token=reader).expect(403)
    assert wire.get("sys/policies/acl/reader").expect(200).data["policy"] == POLICY
    assert wire.get("sys/policies/cedar/none").expect(200).data["policy"] == CEDAR
    role = wire.get("auth/token/roles/r").expect(200).data
    assert (role["allowed_policies"], role["orphan"]) == (["reader"], True)
    assert wire.get("sys/audit").expect(200).data["out/"]["options"]["file_path"] == "discard"
    assert wire.get("cubbyhole/mine").expect(200).data == {"x": "2"}
    known = wire.put("auth/token/lookup", {"token": token}).expect(200).data
    assert (known["policies"], known["display_name"]) == (["root"], "token-second")
    wire.get("cubbyhole/mine", token=token).expect(404)
