"""Secrets planted wherever a request may carry one are in no log, audit record, trace, metric or error.

Names of fields and metadata of tokens are no secrets: audit records show them, as Vault's do.
"""

import base64
import json

import needles
import pytest
from gnupg import Gpg
from node import Node, free_port, only_secretum, planted_files, settings, until
from test_audit_peers import listener, rsyslog  # noqa: F401  (fixtures)
from test_traces import receiver  # noqa: F401  (a fixture)

pytestmark = only_secretum("our traces, and our answers")

PLANTED = "planted-0c5f"


@pytest.fixture
def traced(tmp_path, receiver):  # noqa: F811
    """A node that logs and traces all it can, and what its receiver got."""
    url, got = receiver
    document = settings(tmp_path, free_port(), None)
    document |= {"log_level": "trace", "log_requests_level": "trace"}
    document["telemetry"] = {"otlp_endpoint": url}
    document["raw_storage_endpoint"] = True
    file = tmp_path / "server.json"
    file.write_text(json.dumps(document))
    node = Node(tmp_path, [f"-config={file}"], document["api_addr"])
    yield node.start().initialize(3, 2).unseal(), got
    node.stop()


class Planter:
    """Makes values that can be found again, and asks with them."""

    def __init__(self, wire):
        self.wire, self.made, self.answers = wire, [], []

    def __call__(self, what):
        self.made.append(f"{PLANTED}-{what}-{len(self.made)}")
        return self.made[-1]

    def ask(self, method, path, body=None, **more):
        answer = self.wire.call(method, path, body, **more)
        self.answers.append((method, path, answer))
        return answer


def use_secrets(plant):
    """Everything that takes or gives a secret, done right."""
    for mount, options in [("one", {}), ("two", {"version": "2"})]:
        plant.ask("PUT", f"sys/mounts/{mount}", {"type": "kv", "options": options}).expect(204)
    plant.ask("PUT", "one/a", {"x": plant("value")}).expect(204)
    plant.ask("GET", "one/a").expect(200)
    for _ in range(2):
        data = {"x": {"deep": [plant("value")]}}
        plant.ask("PUT", "two/data/a", {"data": data}).expect(200)
    patch = {"Content-Type": "application/merge-patch+json"}
    plant.ask("PATCH", "two/data/a", {"data": {"x": plant("patch")}}, headers=patch).expect(200)
    plant.ask("PUT", "two/metadata/a", {"custom_metadata": {"x": plant("custom")}}).expect(204)
    for path in ["data/a", "metadata/a", "subkeys/a"]:
        plant.ask("GET", f"two/{path}").expect(200)
    plant.ask("PUT", "cubbyhole/a", {"x": plant("cubbyhole")}).expect(204)
    plant.ask("GET", "cubbyhole/a").expect(200)
    made = plant.ask("PUT", "auth/token/create", {"id": plant("token")})
    token = made.expect(200).json["auth"]["client_token"]
    plant.ask("GET", "auth/token/lookup-self", token=token).expect(200)
    for path in ["lookup", "renew", "revoke"]:
        plant.ask("PUT", f"auth/token/{path}", {"token": token})
    wrapping = {"X-Vault-Wrap-TTL": "60"}
    wrapped = plant.ask("GET", "two/data/a", headers=wrapping).expect(200).json["wrap_info"]["token"]
    plant.ask("PUT", "sys/wrapping/lookup", {"token": wrapped}).expect(200)
    plant.ask("PUT", "sys/wrapping/unwrap", {"token": wrapped}).expect(200)
    wrapped = plant.ask("PUT", "sys/wrapping/wrap", {"x": plant("wrap")}, headers=wrapping)
    plant.ask("PUT", "sys/wrapping/unwrap", token=wrapped.json["wrap_info"]["token"]).expect(200)
    plant.ask("PUT", "sys/tools/hash/sha2-256", {"input": "cGxhbnRlZA=="}).expect(200)
    plant.ask("PUT", "sys/audit-hash/file", {"input": plant("hashed")}).expect(200)


def use_more_secrets(plant):
    """Tokens that the server names, wrapping, copies, policies, and records as they are stored."""
    policy = {"policy": f'# {plant("policy")}\npath "one/*" {{ capabilities = ["read"] }}'}
    plant.ask("PUT", "sys/policies/acl/dev", policy).expect(204)
    cedar = {"policy": f"// {plant('policy')}\npermit (principal == Token::\"x\", action, resource);"}
    plant.ask("PUT", "sys/policies/cedar/dev", cedar).expect(204)
    for path in ["acl", "cedar"]:
        plant.ask("GET", f"sys/policies/{path}/dev").expect(200)
    for kind in ["service", "batch"]:
        made = plant.ask("PUT", "auth/token/create", {"type": kind, "policies": ["dev"], "ttl": "1h"})
        token = made.expect(200).json["auth"]["client_token"]
        plant.ask("GET", "one/a", token=token).expect(200)
        plant.ask("GET", "two/data/a", token=token).expect(403)
        plant.ask("PUT", "auth/token/lookup", {"token": token}).expect(200)
        asked = {"token": token, "path": "one/a", "operation": "read"}
        plant.ask("PUT", "sys/policies/check", asked)
        plant.ask("PUT", "sys/capabilities", {"token": token, "paths": ["one/a"]}).expect(200)
    wrapping = {"X-Vault-Wrap-TTL": "60"}
    wrapped = plant.ask("PUT", "sys/wrapping/wrap", {"x": plant("wrap")}, headers=wrapping).expect(200)
    wrapped = wrapped.json["wrap_info"]["token"]
    plant.ask("PUT", "sys/wrapping/lookup", {"token": wrapped}, token="").expect(200)
    again = plant.ask("PUT", "sys/wrapping/rewrap", {"token": wrapped}).expect(200)
    again = again.json["wrap_info"]["token"]
    plant.ask("PUT", "sys/wrapping/unwrap", {"token": wrapped}).expect(400)
    plant.ask("PUT", "sys/wrapping/unwrap", {"token": again}).expect(200)
    plant.ask("PUT", "two/copy/b", {"source": "a"}).expect(200)
    plant.ask("PUT", "two/move/c", {"source": "b"}).expect(200)
    plant.ask("PUT", "sys/raw/sys/planted", {"value": plant("raw")}).expect(204)
    plant.ask("GET", "sys/raw/sys/planted").expect(200)
    plant.ask("DELETE", "sys/raw/sys/planted").expect(204)


def hold_ceremonies(plant, keys, holder):
    """Root tokens from shares, under a one-time password and for a PGP key; new shares, twice."""
    for body in [{}, {"pgp_key": holder.base64}]:
        begun = plant.ask("PUT", "sys/generate-root/attempt", body).expect(200).json
        for key in keys[:2]:
            given = {"key": key, "nonce": begun["nonce"]}
            done = plant.ask("PUT", "sys/generate-root/update", given).expect(200).json
        assert done["complete"]
        if "pgp_key" in body:
            token = holder.open(done["encoded_token"])
        else:
            covered = {"encoded_token": done["encoded_token"], "otp": begun["otp"]}
            token = plant.ask("PUT", "sys/decode-token", covered).expect(200).data["token"]
        needles.learn(token)
        plant.ask("GET", "auth/token/lookup-self", token=token).expect(200)
    for more in [{"pgp_keys": [holder.base64] * 3, "backup": True}, {"require_verification": True}]:
        body = {"secret_shares": 3, "secret_threshold": 2, **more}
        begun = plant.ask("PUT", "sys/rekey/init", body).expect(200).json
        for key in keys[:2]:
            given = {"key": key, "nonce": begun["nonce"]}
            done = plant.ask("PUT", "sys/rekey/update", given).expect(200).json
        assert done["complete"]
        if "pgp_keys" in more:
            keys = [holder.open(bytes.fromhex(key)) for key in done["keys"]]
            needles.learn("".join(f"Key 1: {key}\n" for key in keys))
            plant.ask("GET", "sys/rekey/backup").expect(200)
            continue
        for key in done["keys"][:2]:
            given = {"key": key, "nonce": done["verification_nonce"]}
            verified = plant.ask("PUT", "sys/rekey/verify", given).expect(200).json
        assert verified["complete"]


def misuse_secrets(plant):
    """The same in wrong places, types and forms: what is refused is repeated nowhere."""
    for path in ["one/a", "two/data/a", "cubbyhole/a", "auth/token/create", "sys/wrapping/unwrap"]:
        for text in [
            '{"data": "%s"}',
            '{"data": {"x": "%s"',
            '["%s"]',
            '"%s"',
            '{"options": {"cas": "%s"}, "data": {}}',
            '{"token": {"x": "%s"}}',
            '{"token": "%s"}',
        ]:
            plant.ask("PUT", path, text % plant("body"))
        plant.ask("PUT", path, {"x": 1}, token=plant("caller"))
        plant.ask("GET", path, token="hvs." + plant("caller"))
        plant.ask("GET", path, token="hvb." + plant("caller"))
    for path in ["lookup", "renew", "revoke", "revoke-orphan", "lookup-accessor"]:
        plant.ask("PUT", f"auth/token/{path}", {"token": plant("unknown"), "accessor": plant("unknown")})
    for path in ["unseal", "rekey/update", "generate-root/update", "rekey/verify"]:
        plant.ask("PUT", f"sys/{path}", {"key": plant("share"), "nonce": plant("nonce")})
    encoded = {"encoded_token": plant("encoded"), "otp": plant("otp")}
    plant.ask("PUT", "sys/decode-token", encoded)


def test_a_secret_is_told_to_nobody(traced, listener, rsyslog, tmp_path_factory):  # noqa: F811
    node, got = traced
    wire = node.wire()
    audit = node.directory / "audit"
    for path in ["file", "other"]:
        options = {"file_path": str(audit / f"{path}.log")}
        wire.put(f"sys/audit/{path}", {"type": "file", "options": options}).expect(204)
    peer = listener("tcp")
    for kind, options in [
        ("socket", {"address": peer.option(), "socket_type": "tcp"}),
        ("syslog", {"address": str(rsyslog.socket), "facility": "LOCAL3", "tag": "secretum"}),
        ("file", {"file_path": "stdout"}),
    ]:
        body = {"type": kind, "options": options}
        wire.put(f"sys/audit/{kind}-{len(options)}", body).expect(204)
    gpg = Gpg(tmp_path_factory.mktemp("g"))
    plant = Planter(wire)
    use_secrets(plant)
    use_more_secrets(plant)
    try:
        hold_ceremonies(plant, node.keys, gpg.holder("holder"))
    finally:
        gpg.stop()
    misuse_secrets(plant)

    found = [
        (method, path, needle)
        for method, path, answer in plant.answers
        if answer.status >= 400
        for needle in plant.made
        if needle.encode() in answer.body
    ]
    assert found == [], "in an error"

    metrics = [wire.get(f"sys/metrics?format={form}").expect(200).body for form in ["prometheus", ""]]
    for path in ["sys/in-flight-req", "sys/host-info", "sys/config/state/sanitized"]:
        metrics.append(wire.get(path).expect(200).body)
    until(lambda: b"sys/host-info" in (audit / "file.log").read_bytes(), "the last records")
    until(lambda: got, "traces")
    node.stop()
    until(lambda: peer.records("sys/host-info"), "the last records at the socket")
    until(lambda: rsyslog.messages("sys/host-info"), "the last records at the daemon")
    assert '"path":"sys/host-info"' in node.log.read_text(), "records on the output of the process"
    texts = [PLANTED, node.root_token, *node.keys]
    known = {text.encode() for text in texts} | needles.all_of_them()
    told = [*metrics, *(body for _, _, body in got), peer.text, rsyslog.log.read_bytes()]
    for body in told:
        assert [needle for needle in known if needle in body] == []
    assert needles.told_in([audit, *node.places()]) == []
    assert planted_files(audit, texts) == []
    logs = [log for log in node.directory.glob("server-*.log") if log.stat().st_size > 10_000]
    assert logs, "it logged as much as it can"
    assert planted_files(node.directory, texts) == []


def test_what_is_told_would_be_found(tmp_path):
    token, share = "hvs.PlantedForTheSearch0123456789", "5e" * 33
    coded = base64.b64encode(bytes.fromhex(share)).decode()
    needles.learn(f'{{"keys": ["{share}"], "keys_base64": ["{coded}"]}}')
    needles.learn(f'{{"auth": {{"client_token": "{token}"}}}}')
    # Names in a list are no shares.
    needles.learn(f'{{"keys": ["{"7" * 64}"]}}')
    assert ("7" * 64).encode() not in needles.all_of_them()
    texts = [token, share, coded, token.encode().hex(), "planted-value-x"]
    for told in [text.encode() for text in texts]:
        file = tmp_path / "log"
        file.write_bytes(b"\x00before " + told + b" behind\n")
        assert needles.told_in([tmp_path]) != [], told
    file.write_bytes(b"nothing\n")
    assert needles.told_in([tmp_path, tmp_path / "none"]) == []
