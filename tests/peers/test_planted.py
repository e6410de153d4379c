"""Secrets planted wherever a request may carry one are in no log, audit record, trace, metric or error.

Names of fields and metadata of tokens are no secrets: audit records show them, as Vault's do.
"""

import json

import pytest
from node import Node, free_port, only_secretum, planted_files, settings, until
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


def test_a_secret_is_told_to_nobody(traced):
    node, got = traced
    wire = node.wire()
    audit = node.directory / "audit"
    for path in ["file", "other"]:
        options = {"file_path": str(audit / f"{path}.log")}
        wire.put(f"sys/audit/{path}", {"type": "file", "options": options}).expect(204)
    plant = Planter(wire)
    use_secrets(plant)
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
    needles = [PLANTED, node.root_token, *node.keys]
    for body in [*metrics, *(body for _, _, body in got)]:
        assert [needle for needle in needles if needle.encode() in body] == []
    assert planted_files(audit, needles) == []
    logs = [log for log in node.directory.glob("server-*.log") if log.stat().st_size > 10_000]
    assert logs, "it logged as much as it can"
    assert planted_files(node.directory, needles) == []
