"""Audit devices that the configuration of the server has."""

import json
import signal

import pytest
from node import only_secretum, until

pytestmark = only_secretum("OpenBao takes requests for devices only where its configuration says so")


def declared(node, path, file, **options):
    options = {"file_path": str(file), **options}
    lines = "\n".join(f"    {name} = {json.dumps(value)}" for name, value in options.items())
    return f'audit "file" "{path}" {{\n  options {{\n{lines}\n  }}\n}}\n'


def configure(node, *devices):
    """Writes the configuration with these devices; the first call remembers what stands before."""
    file = node.directory / "server.hcl"
    node.plain = getattr(node, "plain", None) or file.read_text()
    file.write_text(node.plain + "".join(devices))


def restart(node):
    node.stop()
    return node.start().unseal().wire()


def reload(node):
    told = node.log.read_text().count("audit files are opened anew")
    node.process.send_signal(signal.SIGHUP)
    until(lambda: node.log.read_text().count("audit files are opened anew") > told, "a reload")


def paths(file):
    """The paths of the requests that a log tells of; none where there is no log."""
    lines = file.read_text().splitlines() if file.exists() else []
    records = [json.loads(line) for line in lines]
    return [record["request"]["path"] for record in records if record["type"] == "request"]


def test_it_is_there_from_the_first_unseal_on(fresh):
    node = fresh()
    file = node.directory / "audit" / "main.log"
    configure(node, declared(node, "main", file))
    wire = node.start().initialize(1, 1).unseal().wire()
    listed = wire.get("sys/audit").expect(200).json["data"]
    assert list(listed) == ["main/"] and listed["main/"]["type"] == "file"
    assert paths(file)[0] == "sys/audit", "the first request of all is recorded"
    for method in ["delete", "put"]:
        body = {"type": "file", "options": {"file_path": str(file)}} if method == "put" else None
        answer = getattr(wire, method)("sys/audit/main", *([body] if body else []))
        assert answer.status == 400, answer.json
    assert "configuration" in wire.delete("sys/audit/main").json["errors"][0]
    hashed = wire.put("sys/audit-hash/main", {"input": "x"}).json["data"]["hash"]
    node.stop()
    wire = node.start().unseal().wire()
    assert wire.put("sys/audit-hash/main", {"input": "x"}).json["data"]["hash"] == hashed


def test_it_follows_the_configuration(fresh):
    node = fresh()
    folder = node.directory / "audit"
    one, two = folder / "one.log", folder / "two.log"
    wire = node.start().initialize(1, 1).unseal().wire()
    wire.put("sys/audit/own", {"type": "file", "options": {"file_path": str(one)}}).expect(204)
    hashed = wire.put("sys/audit-hash/own", {"input": "x"}).json["data"]["hash"]

    configure(node, declared(node, "own", one, description="x"), declared(node, "two", two))
    node.process.send_signal(signal.SIGHUP)
    until(lambda: "description" in node.log.read_text(), "what is wrong with the first")
    assert list(wire.get("sys/audit").json["data"]) == ["own/"], "a faulty file changes nothing"

    configure(node, declared(node, "own", folder / "moved.log"), declared(node, "two", two))
    reload(node)
    assert list(wire.get("sys/audit").json["data"]) == ["own/", "two/"]
    assert wire.put("sys/audit-hash/own", {"input": "x"}).json["data"]["hash"] == hashed
    until(lambda: "sys/audit" in paths(two), "a record of the new device")
    until(lambda: "sys/audit" in paths(folder / "moved.log"), "a record of the changed device")

    configure(node, declared(node, "two", two))
    reload(node)
    assert list(wire.get("sys/audit").json["data"]) == ["two/"]
    configure(node)
    reload(node)
    assert wire.get("sys/audit").json["data"] == {}
    wire.put("sys/audit/own", {"type": "file", "options": {"file_path": str(one)}}).expect(204)
    reload(node)
    assert list(wire.get("sys/audit").json["data"]) == ["own/"], "what a request made stays"


@pytest.mark.parametrize("again", [reload, restart])
def test_it_changes_where_it_is(fresh, again):
    """The file is the one that the device before holds open."""
    node = fresh()
    folder = node.directory / "audit"
    one, two = folder / "one.log", folder / "two.log"
    wire = node.start().initialize(1, 1).unseal().wire()
    wire.put("sys/audit/own", {"type": "file", "options": {"file_path": str(one)}}).expect(204)

    def is_as(*devices, listed, file):
        configure(node, *devices)
        again(node)
        assert list(wire.get("sys/audit").expect(200).json["data"]) == listed
        before = len(paths(file))
        wire.get("sys/mounts").expect(200)
        until(lambda: len(paths(file)) > before, "a record")

    is_as(declared(node, "own", one), listed=["own/"], file=one)
    is_as(declared(node, "own", one, hmac_accessor=False), listed=["own/"], file=one)
    is_as(declared(node, "new", one), listed=["new/"], file=one)
    both = declared(node, "new", one), declared(node, "two", two)
    is_as(*both, listed=["new/", "two/"], file=two)
    swapped = declared(node, "new", two), declared(node, "two", one)
    is_as(*swapped, listed=["new/", "two/"], file=one)
    log = node.log.read_text()
    assert "ERROR" not in log and "sealing" not in log, log


def test_a_lost_place_is_mended_in_the_configuration(fresh):
    node = fresh()
    folder = node.directory / "audit"
    lost = folder / "lost.log"
    configure(node, declared(node, "main", lost))
    node.start().initialize(1, 1).unseal()
    node.stop()
    lost.unlink()
    lost.mkdir()
    node.start()
    assert node.wire().put("sys/unseal", {"key": node.keys[0]}).status == 500
    node.stop()
    configure(node, declared(node, "main", folder / "main.log"))
    wire = node.start().unseal().wire()
    assert list(wire.get("sys/audit").json["data"]) == ["main/"]
    assert "sys/audit" in paths(folder / "main.log")


def test_one_that_cannot_be_opened_keeps_the_vault_sealed(fresh):
    node = fresh()
    folder = node.directory / "audit"
    file = folder / "main.log"
    file.mkdir()
    configure(node, declared(node, "main", file))
    node.start().initialize(1, 1)
    answer = node.wire().put("sys/unseal", {"key": node.keys[0]})
    assert answer.status == 500, answer.json
    until(lambda: "main/" in node.log.read_text(), "the line that names it")
    assert node.wire().get("sys/seal-status").json["sealed"] is True
    file.rmdir()
    assert list(node.unseal().wire().get("sys/audit").json["data"]) == ["main/"]
    assert "sys/audit" in paths(file)


def test_the_check_names_what_is_wrong(fresh, ours):
    node = fresh()
    configure(node, 'audit "file" "main" {\n}\n')
    told = ours("server", f"-config={node.directory / 'server.hcl'}", "-check")
    assert told.code != 0 and "the audit device `main`: file_path is required" in told.err
