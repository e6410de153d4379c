"""Makes a data directory that every later version has to open.

Run `SECRETUM_BIN=… python tests/peers/make_data_directory.py version-1`.

It is made once for each layout of the storage and of the records in it, and then stays as it is:
`test_data_directory.py` opens every one of them and reads what is written here.
"""

import json
import sys
import tarfile
import tempfile
from pathlib import Path

import certificates as certificate_files
from node import production_node

FOLDER = Path(__file__).parent / "data-directories"
POLICY = 'path "two/data/*" {\n  capabilities = ["read"]\n}\n'


def fill(wire):
    """Writes what the test reads; returns a token that it knows."""
    wire.put("sys/mounts/one", {"type": "kv", "config": {"max_lease_ttl": "2h"}}).expect(204)
    wire.put("sys/mounts/two", {"type": "kv", "options": {"version": "2"}}).expect(204)
    wire.put("one/a", {"x": "1", "nested": {"y": [1.10, None]}}).expect(204)
    for version in range(1, 4):
        data = {"version": version, "long": "x" * (5_000 if version == 2 else 0)}
        wire.put("two/data/a/b", {"data": data}).expect(200)
    wire.put("two/delete/a/b", {"versions": [1]}).expect(204)
    settings = {"custom_metadata": {"owner": "me"}, "max_versions": 7}
    wire.put("two/metadata/a/b", settings).expect(204)
    wire.put("sys/rotate").expect(200, 204)
    wire.put("two/data/second-term", {"data": {"term": 2}}).expect(200)
    wire.put("sys/policies/acl/reader", {"policy": POLICY}).expect(204)
    wire.put("sys/policies/cedar/none", {"policy": CEDAR}).expect(200, 204)
    role = {"allowed_policies": ["reader"], "orphan": True}
    wire.put("auth/token/roles/r", role).expect(204)
    wire.put("sys/audit/out", {"type": "file", "options": {"file_path": "discard"}}).expect(200)
    wire.put("cubbyhole/mine", {"x": "2"}).expect(204)
    # Of all tokens, these alone have no end.
    body = {"policies": ["root"], "display_name": "second"}
    return wire.put("auth/token/create", body).expect(200).json["auth"]["client_token"]


CEDAR = 'forbid (principal, action, resource in Secret::"two/nobody");'


def main(version):
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        certificates = certificate_files.make(directory)
        node = production_node(directory, certificates).start().initialize(1, 1).unseal()
        token = fill(node.wire())
        told = {"key": node.keys[0], "root_token": node.root_token, "token": token}
        node.stop()
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{version}.json").write_text(json.dumps(told, indent=2) + "\n")
        with tarfile.open(FOLDER / f"{version}.tar.xz", "x:xz") as archive:
            archive.add(directory / "data", "data", filter=without_owner)


def without_owner(entry):
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(sys.argv[1])
