"""Input that no proper client sends: every piece gets a clear refusal, and the server lives on."""

import json
import socket
import threading
import time

import pytest
from node import IS_BAO, only_secretum

TOO_MUCH = 33 * 1024 * 1024


@pytest.fixture(autouse=True)
def the_server_lives_on(node):
    """After each test: the same process, and it answers."""
    yield
    assert node.process.poll() is None, node.log.read_text()[-3000:]
    node.wire().get("sys/health").expect(200)


def raw(wire, sent, timeout=15):
    """Sends bytes and returns status and body of what comes back; (0, b"") for a closed door."""
    with wire.socket(timeout) as stream:
        try:
            stream.sendall(sent)
        except OSError:
            pass  # the server may have said no before it read everything
        received = b""
        try:
            while chunk := stream.recv(65536):
                received += chunk
                head, separator, body = received.partition(b"\r\n\r\n")
                if separator and len(body) >= content_length(head):
                    break
        except (ConnectionError, TimeoutError):
            pass
    if not received:
        return 0, b""
    assert received.startswith(b"HTTP/1."), received[:100]
    return int(received.split(b" ", 2)[1]), received.partition(b"\r\n\r\n")[2]


def send_and_end(wire, sent):
    """Sends bytes, says that no more come, and waits until the server has ended the connection."""
    with wire.socket(timeout=30) as stream:
        stream.sendall(sent)
        stream.shutdown(socket.SHUT_WR)
        try:
            while stream.recv(65536):
                pass
        except ConnectionError:
            pass


def content_length(head):
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def request(node, line, *headers, body=b""):
    """A request on HTTP/1.1 that carries the root token and closes the connection."""
    head = [line, "Host: localhost", f"X-Vault-Token: {node.root_token}", "Connection: close"]
    if body and not any(header.lower().startswith("transfer") for header in headers):
        head.append(f"Content-Length: {len(body)}")
    text = "\r\n".join([*head, *headers]) + "\r\n\r\n"
    return text.encode("latin-1") + body


def assert_clear(status, body, *allowed):
    assert status in allowed, (status, body[:500])
    if status >= 400 and body.startswith(b"{"):
        assert json.loads(body)["errors"], body[:500]


# --- bodies ------------------------------------------------------------------------------------

NOT_OBJECTS = [
    b"[]",
    b"[1]",
    b"{",
    b'{"data": {}',
    b'{"data": {}} trailing',
    b"{'data': {}}",
    b'{"data": {},}',
    b'{"data": nul}',
    b'{"data": {"x": 01}}',
    b'{"data": {"x": "\n"}}',
    b'{"data": {"x": "\\x"}}',
    b"\xff\xfe{}",
    b"\x00",
    b"data=1&x=2",
]


@pytest.mark.parametrize("body", NOT_OBJECTS, ids=repr)
def test_bodies_that_are_not_json_objects(wire, kv2, body):
    answer = wire.put(f"{kv2}/data/a", body)
    assert answer.status == 400 and answer.error
    wire.get(f"{kv2}/data/a").expect(404)


@pytest.mark.parametrize(
    "body", [b"null", b'"text"', b"1", b"true"], ids=lambda body: body.decode()
)
def test_json_that_is_no_object(wire, kv2, body):
    assert wire.put(f"{kv2}/data/a", body).status == 400


ODD_TEXTS = [
    b'{"data": {"x": "\xff\xfe"}}',
    b'{"data": {"x": "\xed\xa0\x80"}}',
    b'{"data": {"\xc3": "1"}}',
    b'{"data": {"x": "\\ud800"}}',
    b'{"data": {"x": "\\u0000"}}',
]


@pytest.mark.parametrize("body", ODD_TEXTS, ids=repr)
def test_odd_utf8_is_stored_as_text_or_refused(wire, kv2, body):
    answer = wire.put(f"{kv2}/data/a", body)
    assert answer.status in (200, 400), answer.body
    if answer.status == 200 and not IS_BAO:
        wire.get(f"{kv2}/data/a").expect(200).body.decode("utf-8", "strict")


@pytest.mark.parametrize("depth, statuses", [(50, (200,)), (100_000, (400, 413))])
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
def test_deep_json(wire, kv2, depth, statuses, opening, closing):
    inner = opening * depth + "1" + closing * depth
    wire.put(f"{kv2}/data/a", '{"data": {"x": %s}}' % inner).expect(*statuses)


@pytest.mark.parametrize("where", ["path", "unknown field", "unclosed"])
def test_deep_json_elsewhere(wire, kv2, where):
    deep = "[" * 200_000 + ("" if where == "unclosed" else "]" * 200_000)
    body = {"path": '{"data": %s}', "unknown field": '{"data": {}, "z": %s}'}.get(where, "%s")
    wire.put(f"{kv2}/data/a", body % deep).expect(400, 413)


def test_bodies_above_the_limit(node, wire, kv2):
    answer = wire.put(f"{kv2}/data/a", '{"data": {"x": "%s"}}' % ("a" * TOO_MUCH))
    assert answer.status == 413 and answer.errors
    head = request(node, f"PUT /v1/{kv2}/data/a HTTP/1.1", f"Content-Length: {10**15}")
    # OpenBao waits for the rest of it; what can be refused from its head should be
    allowed = (0, 400, 413) if IS_BAO else (400, 413)
    assert_clear(*raw(wire, head + b"{" + b" " * 100_000, timeout=5), *allowed)
    wire.get(f"{kv2}/data/a").expect(404)


def test_chunked_bodies_above_the_limit(node, wire, kv2):
    head = request(node, f"PUT /v1/{kv2}/data/a HTTP/1.1", "Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    assert_clear(*raw(wire, head + chunk * 40 + b"0\r\n\r\n", timeout=30), 0, 400, 413)


@pytest.mark.parametrize(
    "tail", [b'5\r\n{"da', b"5\r\n", b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n"]
)
def test_broken_chunks(node, wire, kv2, tail):
    """The connection is shut for writing after the piece, as by a client that died."""
    head = request(node, f"PUT /v1/{kv2}/data/a HTTP/1.1", "Transfer-Encoding: chunked")
    send_and_end(wire, head + tail)
    wire.get(f"{kv2}/data/a").expect(404)


def test_a_body_shorter_than_announced(node, wire, kv2):
    head = request(node, f"PUT /v1/{kv2}/data/a HTTP/1.1", "Content-Length: 100")
    send_and_end(wire, head + b'{"data": {}}')
    wire.get(f"{kv2}/data/a").expect(404)


def test_large_but_allowed(wire, kv1):
    text = "a" * (512 * 1024)
    wire.put(f"{kv1}/a", {"x": text}).expect(204)
    assert wire.get(f"{kv1}/a").expect(200).data == {"x": text}


# --- paths -------------------------------------------------------------------------------------

PATHS = [
    "kv/../sys/mounts",
    "kv/..",
    "../v1/sys/mounts",
    "kv//a",
    "//",
    "kv/./a",
    "kv/%2e%2e/sys/mounts",
    "kv/%2E%2E%2Fsys/mounts",
    "kv/a/%2e%2e/b",
    "kv/%",
    "kv/%zz",
    "kv/%2",
    "kv/%00",
    "kv/a%00b",
    "kv/%0a",
    "kv/%7f",
    "kv/%ff",
    "kv/%c0%ae%c0%ae",
    "kv/%ed%a0%80",
]


@pytest.mark.parametrize("method", ["GET", "PUT", "LIST", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_crooked_paths(node, wire, kv1, method, path):
    body = b'{"x": "1"}' if method == "PUT" else b""
    path = path.replace("kv/", f"{kv1}/", 1)
    status, answer = raw(wire, request(node, f"{method} /v1/{path} HTTP/1.1", body=body))
    refusals = (400, 403, 404, 405)
    if IS_BAO:  # redirects to the clean path; and says 500 where Raft will not have the key
        refusals += (307, 500)
    assert_clear_or_empty(status, answer, refusals)
    assert node.wire().list(kv1).status == 404, "nothing was written"


def assert_clear_or_empty(status, body, allowed):
    assert status in allowed, (status, body[:500])
    assert b"panic" not in body and b"thread" not in body


@pytest.mark.parametrize("length", [1_000, 7_000, 100_000, 2_000_000])
def test_long_paths(node, wire, kv1, length):
    line = f"PUT /v1/{kv1}/{'a' * length} HTTP/1.1"
    status, body = raw(wire, request(node, line, body=b'{"x": "1"}'))
    allowed = (204,) if length == 1_000 else (204, 400, 414, 431, 0)
    allowed += (500,) if IS_BAO and length == 100_000 else ()
    assert status in allowed, (status, body[:300])


def test_many_segments(node, wire, kv1):
    line = f"PUT /v1/{kv1}{'/a' * 900} HTTP/1.1"
    status, body = raw(wire, request(node, line, body=b'{"x": "1"}'))
    assert status in (204, 400), body


@pytest.mark.parametrize(
    "query", ["version=abc", "version=-1", "version=99999999999999999999", "list=", "version=%ff"]
)
def test_bad_queries(wire, kv2, query):
    wire.get(f"{kv2}/data/a?{query}").expect(400, 404)


# --- headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, statuses",
    [
        ("X-Vault-Namespace: nowhere/at/all", (400, 403, 404)),
        ("X-Vault-Wrap-TTL: abc", (400,)),
        ("X-Vault-Wrap-TTL: -5s", (400,)),
        ("X: " + "a" * 500_000, (200, 400, 431)),
        ("X: " + "a" * 3_000_000, (0, 400, 431)),
        ("no colon at all", (400,)),
        ("X\x00Y: 1", (400,)),
        ("X: 1\x00", (400,)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_odd_headers(node, wire, header, statuses):
    status, body = raw(wire, request(node, "GET /v1/sys/mounts HTTP/1.1", header))
    assert status in statuses, (status, body[:300])


@only_secretum("OpenBao takes the first of two")
@pytest.mark.parametrize(
    "line, name, value",
    [
        ("GET /v1/sys/mounts", "X-Vault-Token", "other"),
        ("GET /v1/sys/mounts", "X-Vault-Namespace", "root"),
        ("GET /v1/sys/mounts", "X-Vault-Wrap-TTL", "60"),
        ("PATCH /v1/cubbyhole/a", "Content-Type", "application/merge-patch+json"),
    ],
)
def test_a_header_that_may_stand_once(node, wire, line, name, value):
    twice = [f"{name}: {value}"] * (1 if name == "X-Vault-Token" else 2)
    status, body = raw(wire, request(node, f"{line} HTTP/1.1", *twice))
    assert status == 400
    assert json.loads(body)["errors"] == [f"the header `{name.lower()}` stands more than once"]


@only_secretum("OpenBao takes the first of two")
def test_two_bearers(node, wire):
    bearer = f"Authorization: Bearer {node.root_token}"
    head = ["GET /v1/sys/mounts HTTP/1.1", "Host: localhost", bearer, bearer, "Connection: close"]
    status, body = raw(wire, ("\r\n".join(head) + "\r\n\r\n").encode())
    assert status == 400 and b"`authorization` stands more than once" in body


@pytest.mark.parametrize("hosts", [[], ["a", "b"], ["a", "a"]], ids=len)
def test_a_request_names_one_host(wire, hosts):
    head = ["GET /v1/sys/health HTTP/1.1", *(f"Host: {host}" for host in hosts)]
    status, body = raw(wire, ("\r\n".join([*head, "Connection: close"]) + "\r\n\r\n").encode())
    assert status == 400, body


def test_an_old_client_names_no_host(wire):
    status, _ = raw(wire, b"GET /v1/sys/health HTTP/1.0\r\n\r\n")
    assert status == 200


def test_two_content_lengths(node, wire, kv1):
    """Two answers to where a request ends are how requests are smuggled."""
    headers = ("Content-Length: 10", "Content-Length: 11")
    line = f"PUT /v1/{kv1}/a HTTP/1.1"
    status, _ = raw(wire, request(node, line, *headers) + b'{"x": "1"}1')
    assert status == 400
    wire.get(f"{kv1}/a").expect(404)


def test_length_and_chunks_at_once(node, wire, kv1):
    headers = ("Content-Length: 4", "Transfer-Encoding: chunked")
    body = b'a\r\n{"x": "1"}\r\n0\r\n\r\n'
    line = f"PUT /v1/{kv1}/a HTTP/1.1"
    status, answer = raw(wire, request(node, line, *headers) + body)
    assert status in (204, 400), answer


@pytest.mark.parametrize("count", [50, 20_000])
def test_many_headers(node, wire, count):
    headers = [f"X-{n}: {n}" for n in range(count)]
    status, _ = raw(wire, request(node, "GET /v1/sys/mounts HTTP/1.1", *headers))
    assert status in ((200,) if count == 50 else (0, 200, 400, 431))


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/sys/health\r\n\r\n",
        b"GET /v1/sys/health HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all" + b"x" * 100,
        b"\x00" * 1000,
        b"GET " + b"a" * 1000,
        bytes(range(256)) * 20,
    ],
    ids=lambda sent: repr(sent[:20]),
)
def test_noise(wire, sent):
    with wire.socket(timeout=2) as stream:
        try:
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
            received = stream.recv(65536)
        except OSError:
            received = b""
    assert not received.startswith(b"HTTP/1.1 5") or received.startswith(b"HTTP/1.1 505"), received


# --- slow clients ------------------------------------------------------------------------------

SLOW_SECONDS_MAX = 40


@pytest.mark.timeout(3 * SLOW_SECONDS_MAX)
@pytest.mark.parametrize("part", ["handshake", "head"])
def test_slow_clients_are_cut_off(node, wire, part):
    """Who sends nothing, or a byte now and then, loses the connection within a bound."""
    if part == "handshake":
        stream = socket.create_connection((wire.url.hostname, wire.url.port), timeout=5)
    else:
        stream = wire.socket(timeout=5)
        stream.sendall(b"GET /v1/sys/health HTTP/1.1\r\nHost: localhost\r\n")
    started = time.monotonic()
    stream.settimeout(0.5)
    while time.monotonic() - started < SLOW_SECONDS_MAX:
        try:
            if part == "head":
                stream.sendall(b"X-Slow: 1\r\n")
            if stream.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        pytest.fail(f"still connected after {SLOW_SECONDS_MAX} s")
    stream.close()


def test_many_idle_connections_do_not_stop_service(wire):
    idle = [wire.socket() for _ in range(200)]
    wire.get("sys/health").expect(200)
    for stream in idle:
        stream.close()


def test_bad_requests_in_parallel(node, wire):
    failures = []

    def work(n):
        sent = request(node, f"PUT /v1/cubbyhole/{n} HTTP/1.1", body=b'{"x":' + b"[" * 5000)
        status, body = raw(wire, sent)
        if status != 400:
            failures.append((status, body))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
