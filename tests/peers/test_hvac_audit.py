"""Audit devices through hvac, and what they write: pairs, nothing secret, and no way around."""

import json
import re
import signal

import pytest
from hvac.exceptions import InvalidRequest
from node import IS_BAO, only_secretum, production_node, until

HMAC = re.compile(r"hmac-sha256:[0-9a-f]{64}")


def records(path):
    lines = path.read_text().splitlines(keepends=True)
    lines = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in lines if line["type"] != "head"]


def records_of(node, request_path, count=2):
    """The records of a path, once there are so many: an answer waits for one device, not for all."""

    def found():
        every = records(node.audit_log)
        return [record for record in every if record["request"]["path"] == request_path]

    until(lambda: len(found()) >= count, f"{count} records of {request_path}")
    return found()


def test_devices(client, node, name):
    file = node.audit_log.with_name(f"{name}.log")
    options = {"file_path": str(file)}
    client.sys.enable_audit_device("file", description="d", options=options, path=name)
    listed = client.sys.list_enabled_audit_devices()
    device = listed["data"][f"{name}/"]
    assert device["type"] == "file" and device["description"] == "d"
    assert (device["path"], device["local"]) == (f"{name}/", False)
    assert device["options"]["file_path"] == str(file)
    assert listed[f"{name}/"] == device, "old clients read the top level"
    with pytest.raises(InvalidRequest, match="path already in use"):
        client.sys.enable_audit_device("file", options=options, path=name)
    client.sys.disable_audit_device(name)
    assert f"{name}/" not in client.sys.list_enabled_audit_devices()["data"]
    size = file.stat().st_size
    client.sys.list_enabled_audit_devices()
    assert file.stat().st_size == size, "a disabled device records nothing more"


@pytest.mark.parametrize(
    "body, said",
    [
        ({"type": "nosuch"}, "nosuch"),
        ({"type": "file"}, "file_path"),
        ({}, ""),
    ],
    ids=str,
)
def test_impossible_devices_are_refused(wire, name, body, said):
    answer = wire.put(f"sys/audit/{name}", body)
    assert answer.status == 400 and said in answer.error
    assert f"{name}/" not in wire.get("sys/audit").data


@only_secretum("OpenBao writes wherever it may; a device once was a way to run code on a Vault")
@pytest.mark.parametrize("place", ["outside", "climbing", "foreign file", "link", "executable"])
def test_devices_stay_in_the_audit_directory(node, wire, name, place, tmp_path):
    directory = node.audit_log.parent
    file = {
        "outside": tmp_path / "x.log",
        "climbing": directory / ".." / f"{name}.log",
        "foreign file": directory / f"{name}-foreign",
        "link": directory / f"{name}-link",
        "executable": directory / f"{name}.log",
    }[place]
    options = {"file_path": str(file)}
    if place == "foreign file":
        file.write_text("somebody's notes\n")
    elif place == "link":
        file.symlink_to(tmp_path / "x.log")
    elif place == "executable":
        options["mode"] = "0755"
    answer = wire.put(f"sys/audit/{name}", {"type": "file", "options": options})
    assert answer.status == 400 and answer.error
    assert not (tmp_path / "x.log").exists()
    assert place != "foreign file" or file.read_text() == "somebody's notes\n"


def test_removing_what_is_not_there(wire):
    wire.delete("sys/audit/was-never-there").expect(204)


def test_each_request_is_a_pair(node, wire, kv2):
    wire.put(f"{kv2}/data/pair", {"data": {"x": "1"}}).expect(200)
    request, response = records_of(node, f"{kv2}/data/pair")
    assert (request["type"], response["type"]) == ("request", "response")
    for record in (request, response):
        assert record["request"]["id"] == request["request"]["id"]
        assert record["request"]["operation"] in ("create", "update")
        assert record["request"]["remote_address"] == "127.0.0.1"
        assert record["request"]["mount_type"] == "kv"
        assert HMAC.fullmatch(record["auth"]["client_token"])
        assert HMAC.fullmatch(record["auth"]["accessor"])
        assert record["auth"]["policies"] == ["root"]
        assert record["auth"]["display_name"] == "root"
        assert re.match(r"\d{4}-\d\d-\d\dT", record.get("timestamp") or record["time"])
    assert HMAC.fullmatch(request["request"]["data"]["data"]["x"])
    assert response["response"]["data"]["version"] == 1


def test_nothing_planted_is_found(node, wire, kv2, client, name):
    value = f"planted-value-{name}-7f3a"
    wire.put(f"{kv2}/data/planted", {"data": {"k": value, "in": [{"deep": value}]}}).expect(200)
    wire.get(f"{kv2}/data/planted").expect(200)
    wire.put(f"{kv2}/metadata/planted", {"custom_metadata": {"note": value}}).expect(204)
    wire.get(f"{kv2}/metadata/planted").expect(200)
    auth = client.auth.token.create(policies=["default"], ttl="1m")["auth"]
    node.wire(token=auth["client_token"]).get("auth/token/lookup-self").expect(200)
    wire.post("auth/token/lookup", {"token": auth["client_token"]}).expect(200)
    wire.post("auth/token/lookup-accessor", {"accessor": auth["accessor"]}).expect(200)
    assert records_of(node, f"{kv2}/data/planted")
    text = node.audit_log.read_text()
    for secret in (value, auth["client_token"], auth["accessor"], node.root_token, *node.keys):
        assert secret not in text


def test_refused_requests_are_recorded(node, wire, token_with, name):
    token = token_with('path "a" { capabilities = ["read"] }')
    wire.get(f"refused/{name}", token=token).expect(403)
    wire.get(f"refused/{name}", token="hvs.unknown").expect(403)
    wire.get(f"refused/{name}", token="").expect(403)
    wire.get(f"refused/{name}").expect(404)
    found = [record for record in records_of(node, f"refused/{name}", 8) if record.get("error")]
    denied = [record for record in found if "permission denied" in record["error"]]
    ids = {record["request"]["id"] for record in denied}
    assert len(ids) >= 3, "one by one: without rights, with an unknown token, with none"
    assert len({record["request"]["id"] for record in found}) >= 4, "and the one without a route"
    assert not any(token in json.dumps(record) for record in found)


def test_the_hash_of_a_known_text_finds_it(node, wire, client, kv2, name):
    wire.put(f"{kv2}/data/hashed", {"data": {"x": f"text-{name}"}}).expect(200)
    hashed = client.sys.calculate_hash("file", f"text-{name}")["data"]["hash"]
    assert HMAC.fullmatch(hashed)
    request = records_of(node, f"{kv2}/data/hashed")[0]
    assert request["request"]["data"]["data"]["x"] == hashed
    for path, body in (("file", {}), ("was-never-there", {"input": "x"})):
        assert wire.put(f"sys/audit-hash/{path}", body).status == 400


def test_keys_tuned_to_be_readable(node, wire, kv1):
    wire.put(f"sys/mounts/{kv1}/tune", {"audit_non_hmac_request_keys": ["open"]}).expect(204)
    wire.put(f"{kv1}/tuned", {"open": "readable", "shut": "hidden"}).expect(204)
    data = records_of(node, f"{kv1}/tuned")[0]["request"]["data"]
    assert data["open"] == "readable" and HMAC.fullmatch(data["shut"])


def test_each_device_hashes_with_its_own_key(node, wire, name):
    file = node.audit_log.with_name(f"{name}.log")
    device = {"type": "file", "options": {"file_path": str(file)}}
    wire.put(f"sys/audit/{name}", device).expect(204)
    one, two = (wire.put(f"sys/audit-hash/{path}", {"input": "x"}) for path in ("file", name))
    assert one.expect(200).data["hash"] != two.expect(200).data["hash"]
    wire.delete(f"sys/audit/{name}").expect(204)


def test_a_rotated_file_is_opened_anew(node, wire, kv1):
    """As logrotate does it: move the file away, then SIGHUP."""
    moved = node.audit_log.with_suffix(".1")
    node.audit_log.rename(moved)
    node.process.send_signal(signal.SIGHUP)
    until(lambda: wire.get(f"{kv1}/x") and node.audit_log.exists(), "a new file")
    wire.put(f"{kv1}/after-rotation", {"x": "1"}).expect(204)
    assert records_of(node, f"{kv1}/after-rotation")
    assert records(moved), "the old file is whole"


def test_no_device_no_answer(tmp_path, certificates, small_disk):
    """With the disk of the only device full nothing is done; with room again service goes on."""
    node = production_node(tmp_path, certificates)
    disk = small_disk(tmp_path / "audit", 1 << 20)
    wire = node.start().initialize(1, 1).unseal().wire()
    try:
        wire.put("sys/mounts/kv", {"type": "kv"}).expect(204)
        options = {"file_path": str(tmp_path / "audit" / "only.log")}
        wire.put("sys/audit/only", {"type": "file", "options": options}).expect(204)
        wire.put("kv/before", {"x": "1"}).expect(204)
        disk.fill()
        # the last page of the log still has room for a few records
        until(lambda: wire.get("kv/before").status == 500, "a refusal")
        # and then for the record of a request, but not for that of its answer
        for _ in range(5):
            until(lambda: wire.put("kv/other", {"x": "1"}).status == 500, "a refusal")
        for answer in (wire.put("kv/after", {"x": "1"}), wire.get("kv/before")):
            assert answer.status == 500 and answer.errors and b'"x"' not in answer.body
        assert wire.get("kv/before", token="hvs.unknown").status in (403, 500)
        wire.get("sys/health").expect(200)
        if not IS_BAO:
            line = next(line for line in node.log.read_text().splitlines() if "only.log" in line)
            assert "No space left on device" in line and "free some space there" in line
        disk.free()
        until(lambda: wire.get("kv/before").status == 200, "service once records are possible")
        wire.get("kv/after").expect(404)
    finally:
        node.stop()
