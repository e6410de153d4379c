"""What supervisors and logs are told: readiness, and which request a line is about."""

import json
import signal
import socket

import pytest
from node import Node, dev_node, free_port, only_secretum, settings, until

pytestmark = only_secretum("what systemd is told, and the form of our logs")


@pytest.fixture
def start(tmp_path):
    made = []

    def run(*flags, **environment):
        made.append(dev_node(tmp_path, *flags, environment=environment))
        return made[-1].start()

    yield run
    for node in made:
        node.stop()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_supervisor_is_told(start, tmp_path, is_abstract):
    name = f"@secretum-{tmp_path}" if is_abstract else str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(name.replace("@", "\0"))
        supervisor.settimeout(20)
        node = start(NOTIFY_SOCKET=name)
        assert supervisor.recv(1000) == b"READY=1"
        node.process.send_signal(signal.SIGHUP)
        reloading, monotonic = supervisor.recv(1000).split(b"\n")
        assert reloading == b"RELOADING=1"
        assert int(monotonic.removeprefix(b"MONOTONIC_USEC=")) > 0
        assert supervisor.recv(1000) == b"READY=1"
        node.stop()
        assert supervisor.recv(1000) == b"STOPPING=1"


@pytest.mark.parametrize("form", ["json", "standard"])
def test_lines_of_a_request_have_its_id(start, form):
    node = start("-log-level=debug", f"-log-format={form}")
    answer = node.wire().get("sys/leader").expect(200)
    assert answer.status == 200

    def line():
        found = [line for line in node.log.read_text().splitlines() if "sys/leader" in line]
        return found[0] if found else None

    text = until(line, "a line about the request")
    if form == "json":
        assert len(json.loads(text)["span"]["request_id"]) == 36
    else:
        assert 'request{request_id="' in text


def test_lines_of_what_a_request_began_have_its_id(tmp_path):
    """What goes on in a task of its own, so that no caller can cut it off."""
    document = settings(tmp_path, free_port(), None, "inmem")
    file = tmp_path / "server.json"
    file.write_text(json.dumps(document))
    node = Node(tmp_path, [f"-config={file}", "-log-format=json"], document["api_addr"])
    node.start().initialize(1, 1).unseal()

    def lines(text):
        lines = [line for line in node.log.read_text().splitlines() if line.startswith("{")]
        told = [json.loads(line) for line in lines]
        return [line for line in told if line["fields"]["message"].startswith(text)]

    try:
        wire = node.wire()
        sys = node.hvac().sys
        begun = sys.start_rekey(secret_shares=1, secret_threshold=1)
        node.keys = sys.rekey_multi(node.keys, nonce=begun["nonce"])["keys"]
        wire.post("auth/token/tidy").expect(202)
        wire.put("sys/leases/tidy").expect(202)
        for what in ("tokens", "leases"):
            until(lambda what=what: lines(f"tidying of {what} is done"), "the end of a tidying")
        wire.put("sys/seal").expect(204)
        until(lambda: lines("vault is sealed"), "the line that it is sealed")
        node.unseal()
        until(lambda: len(lines("vault is unsealed")) == 2, "the line that it is unsealed")
        begun = ["a rekey begins", "the vault has new shares", "tidying of tokens"]
        texts = [*begun, "tidying of leases", "vault is sealed", "vault is unsealed"]
        told = [line for text in texts for line in lines(text)]
        assert len(told) >= 9
        for line in told:
            assert len(line.get("span", {}).get("request_id", "")) == 36, line
    finally:
        node.stop()


@pytest.mark.parametrize("by", ["signal", "request"])
def test_requests_are_logged_until_it_is_told_otherwise(tmp_path, by):
    """Not through a development server: this is a key of the configuration."""
    document = settings(tmp_path, free_port(), None, "inmem")
    document["log_requests_level"] = "info"
    file = tmp_path / "server.json"
    file.write_text(json.dumps(document))
    node = Node(tmp_path, [f"-config={file}", "-log-format=json"], document["api_addr"])
    node.start().initialize(1, 1).unseal()
    try:
        node.wire().get("auth/token/lookup-self").expect(200)

        def logged():
            lines = [line for line in node.log.read_text().splitlines() if line.startswith("{")]
            lines = map(json.loads, lines)
            return [
                line for line in lines if line["fields"].get("path") == "auth/token/lookup-self"
            ]

        line = until(logged, "a line about the request")[0]
        assert line["level"] == "INFO" and line["fields"]["status"] == 200
        assert line["fields"]["address"] == "127.0.0.1" and line["fields"]["took_ms"] > 0
        assert len(line["span"]["request_id"]) == 36
        document["log_requests_level"] = "off"
        file.write_text(json.dumps(document))
        if by == "signal":
            node.process.send_signal(signal.SIGHUP)
        else:
            node.wire().put("sys/config/reload/license").expect(400)
            node.wire().put("sys/config/reload/configuration").expect(202)
        until(lambda: "audit files are opened anew" in node.log.read_text(), "a reload")
        before = len(logged())
        node.wire().get("auth/token/lookup-self").expect(200)
        assert len(logged()) == before
    finally:
        node.stop()
    assert node.root_token not in node.log.read_text()
