"""Metrics as Prometheus and Vault's clients ask for them."""

import json
import shutil
import subprocess

import pytest
from node import Node, free_port, only_secretum, settings, until
from test_listeners import ask

pytestmark = only_secretum("our names of metrics")


def samples(text):
    """The lines of Prometheus' text by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def prometheus(wire):
    answer = wire.get("sys/metrics?format=prometheus").expect(200)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.body.decode()


def test_promtool_finds_nothing_to_say(wire, kv2):
    wire.post(f"{kv2}/data/a", {"data": {"v": "planted-value-metrics"}}).expect(200)
    wire.get(f"{kv2}/data/a").expect(200)
    wire.get(f"{kv2}/data/none").expect(404)
    text = prometheus(wire)
    promtool = shutil.which("promtool")
    assert promtool, "no `promtool` command: apt-get install prometheus"
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", ""), text
    read = 'operation="read",mount_type="kv",status='
    found = samples(text)
    assert found[f'secretum_vault_request_duration_seconds_count{{{read}"200"}}'] >= 1
    assert found[f'secretum_vault_request_duration_seconds_count{{{read}"404"}}'] >= 1
    assert found["secretum_vault_storage_commit_duration_seconds_count"] >= 1
    assert found["secretum_vault_seal_state"] == 0
    assert found["secretum_vault_in_flight_requests"] >= 1
    assert found["secretum_vault_raft_leader_changes"] == 1
    assert found["process_resident_memory_bytes"] > 1e6
    assert kv2 not in text, "no label tells of paths"


def test_json_has_vaults_form(wire, client):
    told = wire.get("sys/metrics").expect(200).json
    assert {"Timestamp", "Gauges", "Points", "Counters", "Samples"} == set(told)
    gauges = {gauge["Name"]: gauge["Value"] for gauge in told["Gauges"]}
    assert gauges["secretum_vault_seal_state"] == 0
    assert any(
        sample["Count"] > 0 and "operation" in sample["Labels"] for sample in told["Samples"]
    )
    wire.get("sys/metrics?format=xml").expect(400)


def test_refused_tokens_are_counted(wire, node):
    count = 'secretum_vault_auth_failures_total{method="token"}'
    before = samples(prometheus(wire))[count]
    node.wire("nobody").get("auth/token/lookup-self").expect(403)
    assert samples(prometheus(wire))[count] == before + 1


def test_metrics_need_a_policy(wire, node, token_with):
    node.wire("").get("sys/metrics").expect(403)
    node.wire(token_with('path "other" { capabilities = ["read"] }')).get("sys/metrics").expect(403)
    allowed = token_with('path "sys/metrics" { capabilities = ["read"] }')
    assert "secretum_vault_leases " in prometheus(node.wire(allowed))


def test_a_listener_can_give_them_to_everybody(tmp_path, certificates):
    document = settings(tmp_path, free_port(), certificates, "inmem")
    port = free_port()
    open_listener = {
        "address": f"127.0.0.1:{port}",
        "tls_disable": True,
        "telemetry": {"unauthenticated_metrics_access": True},
    }
    document["listener"] = [
        {"tcp": document["listener"]["tcp"]},
        {"tcp": open_listener},
    ]
    file = tmp_path / "server.json"
    file.write_text(json.dumps(document))
    node = Node(tmp_path, [f"-config={file}"], document["api_addr"], certificates.ca).start()
    try:
        here = ("127.0.0.1", port)

        def gauges():
            status, told = ask("sys/metrics", here)
            assert status == 200
            return {gauge["Name"]: gauge["Value"] for gauge in told["Gauges"]}

        assert gauges()["secretum_vault_seal_state"] == 1
        node.initialize(1, 1).unseal()
        assert gauges()["secretum_vault_seal_state"] == 0
        until(lambda: "secretum_vault_leases" in gauges(), "a count of leases")
        node.wire("").get("sys/metrics").expect(403)
        assert ask("sys/mounts", here)[0] == 403
    finally:
        node.stop()
