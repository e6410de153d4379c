"""Several listeners of one server: sockets, TLS of each, and clients behind proxies."""

import json
import os
import socket
import stat
import subprocess

import pytest
from node import Node, free_port, only_secretum, settings


def ask(path, target, token=None, head=b"", headers=()):
    """A GET over a connection that begins with `head`; the status and the body, None if refused."""
    family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
    with socket.socket(family) as stream:
        stream.settimeout(10)
        stream.connect(target)
        lines = [f"GET /v1/{path} HTTP/1.1", "Host: x", "Connection: close", *headers]
        if token:
            lines.append(f"X-Vault-Token: {token}")
        stream.sendall(head + "\r\n".join([*lines, "", ""]).encode())
        answer = b""
        try:
            while piece := stream.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    if not answer:
        return None, None
    begin, _, body = answer.partition(b"\r\n\r\n")
    return int(begin.split()[1]), json.loads(body) if body.strip() else None


pytestmark = only_secretum("its processes of several tests would share the stores of OpenBao")

CLIENT = "203.0.113.9"
LINE = f"PROXY TCP4 {CLIENT} 192.0.2.1 5000 8200\r\n".encode()
BINARY = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    + socket.inet_aton(CLIENT)
    + socket.inet_aton("192.0.2.1")
    + b"\x13\x88\x20\x08"
)


@pytest.fixture
def start(tmp_path, certificates):
    """Starts an unsealed node with these listeners beside its usual one; the node and their targets."""
    made = []

    def run(*stanzas):
        document = settings(tmp_path, free_port(), certificates, "inmem")
        usual = document["listener"]["tcp"]
        more, targets = [], []
        for stanza in stanzas:
            kind = "unix" if "address" in stanza else "tcp"
            if kind == "tcp":
                port = free_port()
                targets.append(("127.0.0.1", port))
                stanza = {"address": f"127.0.0.1:{port}", "tls_disable": True, **stanza}
            else:
                targets.append(stanza["address"])
            more.append({kind: stanza})
        document["listener"] = [{"tcp": usual}, *more]
        file = tmp_path / "server.json"
        file.write_text(json.dumps(document))
        node = Node(tmp_path, [f"-config={file}"], document["api_addr"], certificates.ca)
        made.append(node)
        return node.start().initialize(1, 1).unseal(), targets

    yield run
    for node in made:
        node.stop()


def bound_token(node, address):
    """A token that is good for one address only."""
    body = {"policies": ["root"], "bound_cidrs": [address]}
    role = {
        "allowed_policies": ["root"],
        "token_bound_cidrs": [address],
        "orphan": True,
    }
    node.wire().post("auth/token/roles/bound", role).expect(204)
    auth = node.wire().post("auth/token/create/bound", body).expect(200).json["auth"]
    return auth["client_token"]


def test_listeners_have_their_own_tls_limits_and_sockets(start, tmp_path):
    path = str(tmp_path / "vault.sock")
    node, (plain, unix) = start(
        {"max_request_size": 100_000}, {"address": path, "socket_mode": "620"}
    )
    for target in (plain, unix):
        status, body = ask("auth/token/lookup-self", target, node.root_token)
        assert status == 200 and body["data"]["policies"] == ["root"]
    assert node.wire().get("auth/token/lookup-self").expect(200)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o620
    node.stop()
    assert not os.path.exists(path)


def test_a_socket_is_replaced_only_when_nobody_listens(start, tmp_path):
    path = tmp_path / "vault.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    node, (unix,) = start({"address": str(path)})
    assert ask("sys/health", unix)[0] == 200
    other = {
        "storage": {"inmem": {}},
        "listener": {"unix": {"address": str(path)}},
        "disable_mlock": True,
    }
    file = tmp_path / "second.json"
    file.write_text(json.dumps(other))
    second = subprocess.run(
        [node.command[0], "server", f"-config={file}"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode != 0 and "a process listens there" in second.stderr
    assert ask("sys/health", unix)[0] == 200


def test_proxy_headers_tell_who_the_client_is(start, tmp_path):
    here = ["127.0.0.1/32"]
    elsewhere = ["198.51.100.0/24"]
    node, (always, believed, passed_over, refused) = start(
        {"proxy_protocol_behavior": "use_always"},
        {
            "proxy_protocol_behavior": "deny_unauthorized",
            "proxy_protocol_authorized_addrs": here,
        },
        {
            "proxy_protocol_behavior": "allow_authorized",
            "proxy_protocol_authorized_addrs": elsewhere,
        },
        {
            "proxy_protocol_behavior": "deny_unauthorized",
            "proxy_protocol_authorized_addrs": elsewhere,
        },
    )
    log = tmp_path / "audit" / "audit.log"
    device = {"type": "file", "options": {"file_path": str(log)}}
    node.wire().put("sys/audit/file", device).expect(204)
    token = bound_token(node, f"{CLIENT}/32")
    for head in (LINE, BINARY):
        assert ask("auth/token/lookup-self", always, token, head)[0] == 200
        assert ask("auth/token/lookup-self", believed, token, head)[0] == 200
        assert ask("auth/token/lookup-self", passed_over, token, head)[0] == 403
        assert ask("auth/token/lookup-self", refused, token, head)[0] is None
    assert ask("auth/token/lookup-self", always, token)[0] == 403
    assert ask("sys/health", refused)[0] is None
    assert ask("sys/health", always, head=b"PROXY nonsense\r\n")[0] is None
    addresses = {
        json.loads(line)["request"]["remote_address"]
        for line in log.open()
        if line.strip() and "request" in json.loads(line)
    }
    assert CLIENT in addresses


def test_forwarded_addresses_of_trusted_proxies(start):
    trusted = {"x_forwarded_for_authorized_addrs": "127.0.0.0/8"}
    node, (strict, skipping, lenient) = start(
        trusted,
        {**trusted, "x_forwarded_for_hop_skips": 1},
        {
            "x_forwarded_for_authorized_addrs": "198.51.100.1",
            "x_forwarded_for_reject_not_present": False,
            "x_forwarded_for_reject_not_authorized": False,
        },
    )
    token = bound_token(node, f"{CLIENT}/32")

    def status(target, *values):
        headers = [f"X-Forwarded-For: {value}" for value in values]
        return ask("auth/token/lookup-self", target, token, headers=headers)[0]

    assert status(strict, CLIENT) == 200
    assert status(strict, f"192.0.2.66, {CLIENT}") == 200
    assert status(strict, f"{CLIENT}, 192.0.2.66") == 403
    assert status(strict) == 400
    assert status(strict, "nonsense") == 400
    assert status(skipping, CLIENT, "10.0.0.2") == 200
    assert status(skipping, CLIENT) == 400
    assert status(lenient, CLIENT) == 403
    assert status(lenient) == 403
