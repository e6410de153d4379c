"""What a node tells of itself, and settings of the whole vault: by hvac and on the wire."""

import json
import threading

import pytest
from hvac.exceptions import InvalidPath
from node import only_secretum, until

PAGE = "https://app.example"


@pytest.fixture
def cors(wire):
    yield lambda **rules: wire.put("sys/config/cors", rules)
    wire.delete("sys/config/cors").expect(204)


def test_pages_of_other_origins(wire, cors):
    assert wire.get("sys/config/cors").data == {"enabled": False}
    origin = {"Origin": PAGE}
    assert "Access-Control-Allow-Origin" not in wire.get("sys/mounts", headers=origin).headers
    cors(allowed_origins=PAGE, allowed_headers="X-Own").expect(204)
    rules = wire.get("sys/config/cors").data
    assert rules["enabled"] is True and rules["allowed_origins"] == [PAGE]
    assert {"X-Own", "X-Vault-Token"} <= set(rules["allowed_headers"])
    seen = wire.get("sys/mounts", headers=origin).expect(200)
    assert seen.headers["Access-Control-Allow-Origin"] == PAGE
    assert seen.headers["Vary"] == "Origin"
    assert wire.get("sys/mounts").headers.get("Access-Control-Allow-Origin") is None
    refused = wire.get("sys/mounts", headers={"Origin": "https://evil.example"})
    assert (refused.status, refused.errors) == (403, ["origin not allowed"])


def test_preflight(wire, cors):
    cors(allowed_origins=PAGE).expect(204)
    ask = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
    told = wire.call("OPTIONS", "secret/data/a", headers=ask, token="").expect(204)
    assert "PUT" in told.headers["Access-Control-Allow-Methods"].split(",")
    assert "X-Vault-Token" in told.headers["Access-Control-Allow-Headers"].split(",")
    assert told.headers["Access-Control-Max-Age"] == "300"
    other = {**ask, "Access-Control-Request-Method": "BREW"}
    assert wire.call("OPTIONS", "secret/data/a", headers=other, token="").status == 405


def test_any_origin_is_alone_and_gets_no_credentials(cors):
    cors(allowed_origins=["*", PAGE]).expect(400)
    cors(allowed_origins="*", allow_credentials=True).expect(400)
    cors().expect(400)
    cors(allowed_origins="*").expect(204)


def test_ui_headers(wire, name):
    path = f"sys/config/ui/headers/X-{name}"
    wire.put(path, {"values": ["one", "two"]}).expect(204)
    assert wire.get(path).data == {"value": "one"}
    assert wire.get(f"{path}?multivalue=true").data == {"values": ["one", "two"]}
    assert f"x-{name}" in wire.list("sys/config/ui/headers").data["keys"]
    wire.delete(path).expect(204)
    wire.get(path).expect(404)
    wire.put("sys/config/ui/headers/X-Vault-Token", {"values": "x"}).expect(400)
    warned = wire.put("sys/config/ui/headers/Content-Security-Policy", {"values": "x"})
    assert "proceed with caution" in warned.warnings[0]
    wire.delete("sys/config/ui/headers/Content-Security-Policy").expect(204)


def test_requests_under_way(wire, name, kv1):
    mine = [own for own in wire.get("sys/in-flight-req").json.values()]
    assert [own["request_path"] for own in mine] == ["/v1/sys/in-flight-req"]
    assert mine[0]["request_method"] == "GET"
    assert mine[0]["client_remote_address"] == "127.0.0.1"
    seen, done = set(), threading.Event()

    def load():
        other = wire.as_token(wire.token)
        while not done.is_set():
            other.put(f"{kv1}/busy", {"x": "1"})

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(500):
        seen |= {own["request_path"] for own in wire.get("sys/in-flight-req").json.values()}
        if len(seen) > 1:
            break
    done.set()
    thread.join()
    assert seen == {"/v1/sys/in-flight-req", f"/v1/{kv1}/busy"}


def test_counters(wire, client):
    before = wire.get("sys/internal/counters/tokens").data["counters"]["service_tokens"]["total"]
    client.auth.token.create(ttl="1m")
    after = wire.get("sys/internal/counters/tokens").data["counters"]["service_tokens"]["total"]
    assert after == before + 1
    assert wire.get("sys/internal/counters/entities").data["counters"]["entities"]["total"] == 0
    assert wire.get("sys/internal/counters/requests").status == 404


def test_loggers(wire, node):
    levels = wire.get("sys/loggers").data
    assert {"core", "storage", "audit"} <= set(levels)
    wire.put("sys/loggers/core", {"level": "debug"}).expect(204)
    assert wire.get("sys/loggers/core").data == {"core": "debug"}
    assert wire.get("sys/loggers/storage").data == {"storage": levels["storage"]}
    wire.delete("sys/loggers/core").expect(204)
    assert wire.get("sys/loggers").data == levels
    wire.put("sys/loggers", {"level": "warning"}).expect(204)
    assert set(wire.get("sys/loggers").data.values()) == {"warn"}
    wire.delete("sys/loggers").expect(204)
    assert wire.get("sys/loggers").data == levels
    for path, body in [
        ("sys/loggers/nobody", {"level": "debug"}),
        ("sys/loggers/core", {"level": "loud"}),
        ("sys/loggers", {}),
    ]:
        wire.put(path, body).expect(400)
    wire.get("sys/loggers/nobody").expect(400)


def test_host(wire):
    host = wire.get("sys/host-info").data
    assert host["memory"]["total"] > 1 << 28
    assert host["cpu"] and host["host"]["os"] == "linux"
    assert any(disk["total"] > 0 for disk in host["disk"])


def test_versions(wire):
    versions = wire.list("sys/version-history").data
    [version] = versions["keys"]
    assert versions["key_info"][version]["previous_version"] is None
    assert version == wire.get("sys/health").json["version"]


def test_configuration(wire, node):
    told = wire.get("sys/config/state/sanitized").data
    assert told["api_addr"] == node.address
    assert told["storage"] == {"type": "raft"}
    assert told["listeners"][0]["type"] == "tcp"
    assert "key" not in json.dumps(told)


def test_raw_is_off(wire):
    wire.get("sys/raw/sys/mounts").expect(404)
    wire.put("sys/raw/sys/x", {"value": "1"}).expect(404)
    wire.list("sys/raw").expect(404)


def with_raw(fresh):
    node = fresh()
    file = node.directory / "server.hcl"
    file.write_text(file.read_text() + "\nraw_storage_endpoint = true\n")
    return node.start().initialize(1, 1).unseal()


def test_raw(fresh):
    node = with_raw(fresh)
    client, wire = node.hvac(), node.wire()
    assert "sys/" in wire.list("sys/raw").data["keys"]
    assert "core/" not in wire.list("sys/raw").data["keys"]
    assert "default" in wire.list("sys/raw/sys/policy/root/hcl").data["keys"]
    text = wire.get("sys/raw/sys/policy/root/hcl/default").data["value"]
    assert text == client.sys.read_policy("default")["data"]["rules"]
    wire.put("sys/raw/sys/policy/root/hcl/raw", {"value": 'path "a" {}'}).expect(204)
    assert client.sys.read_policy("raw")["data"]["rules"] == 'path "a" {}'
    wire.delete("sys/raw/sys/policy/root/hcl/raw").expect(204)
    with pytest.raises(InvalidPath):
        client.sys.read_policy("raw")
    encoded = wire.get("sys/raw/sys/policy/root/hcl/default?encoding=base64").data["value"]
    assert encoded != text
    for path in ("core/keyring", "core/root", "core/seal"):
        wire.get(f"sys/raw/{path}").expect(400)
        wire.put(f"sys/raw/{path}", {"value": "x"}).expect(400)
        wire.delete(f"sys/raw/{path}").expect(400)


@only_secretum("reaches into its own storage")
def test_a_token_that_belongs_to_an_entity(fresh):
    """Nobody makes entities yet; a record that has one is written past all that would refuse it."""
    own = with_raw(fresh)
    wire = own.wire()
    log = own.directory / "audit" / "entity.log"
    wire.put("sys/audit/file", {"type": "file", "options": {"file_path": str(log)}}).expect(204)
    before = set(wire.list("sys/raw/sys/token/id").data["keys"])
    made = wire.put("auth/token/create", {"policies": ["root"]}).json["auth"]
    assert made["entity_id"] == ""
    (record,) = set(wire.list("sys/raw/sys/token/id").data["keys"]) - before
    place = f"sys/raw/sys/token/id/{record}"
    stored = json.loads(wire.get(place).data["value"])
    wire.put(place, {"value": json.dumps(stored | {"entity_id": "entity-1"})}).expect(204)

    owned = own.wire(made["client_token"])
    assert owned.get("auth/token/lookup-self").data["entity_id"] == "entity-1"
    child = owned.put("auth/token/create", {"policies": ["default"]}).json["auth"]
    assert child["entity_id"] == "entity-1"
    orphan = owned.put("auth/token/create-orphan", {"policies": ["default"]}).json["auth"]
    assert orphan["entity_id"] == ""

    def entities():
        records = [json.loads(line) for line in log.read_text().splitlines()]
        records = [each for each in records if each.get("request", {}).get("path") == "auth/token/lookup-self"]
        return [each["auth"]["entity_id"] for each in records]

    until(lambda: entities() == ["entity-1"] * 2, "records that name the entity")


@only_secretum("OpenBao counts no clients")
def test_clients_are_counted(wire, token_with):
    before = wire.get("sys/internal/counters/activity/monthly").data["clients"]
    policy = 'path "client-of-its-own" { capabilities = ["read"] }'
    for _ in range(2):
        token = token_with(policy)
        wire.get("auth/token/lookup-self", token=token)
    month = wire.get("sys/internal/counters/activity/monthly").data
    assert before < month["clients"] <= before + 2
    year = wire.get("sys/internal/counters/activity").data
    assert len(year["months"]) == 12 and year["total"]["clients"] >= month["clients"]
    assert year["by_namespace"][0]["mounts"][0]["mount_path"] == "auth/token/"
    assert wire.get("sys/internal/counters/config").data["enabled"] == "default-enabled"


def test_nobody_is_locked_before_logins_have_users(wire):
    everybody = wire.get("sys/locked-users").expect(200).data
    root = {"namespace_id": "root", "namespace_path": "", "counts": 0, "mount_accessors": []}
    assert everybody == {"by_namespace": [root], "total": 0}
    of_mount = wire.get("sys/locked-users?mount_accessor=none").expect(200).data
    nobody = {"mount_accessor": "none", "counts": 0, "alias_identifiers": None}
    assert of_mount["by_namespace"][0]["mount_accessors"] == [nobody]
    wire.put("sys/locked-users/none/unlock/somebody").expect(204)
    wire.get("sys/locked-users", token="").expect(403)
