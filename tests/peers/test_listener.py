"""A listener under its own configuration: its time limits, its number of connections, and SIGHUP."""

import shutil
import signal
import socket
import ssl
import threading

import certificates as certificate_files
import pytest
from node import Node, free_port, hcl, only_secretum, settings, until
from wire import Wire

pytestmark = only_secretum("our defaults, our limits, and what the log says of them")


@pytest.fixture
def start(tmp_path, certificates):
    """Starts a node whose listener and whole configuration have these keys, too."""
    made = []

    def run(listener=None, files=certificates, **more):
        document = settings(tmp_path, free_port(), files, "inmem")
        document["listener"]["tcp"] |= listener or {}
        file = tmp_path / "server.hcl"
        file.write_text(hcl({**document, **more}))
        node = Node(tmp_path, [f"-config={file}"], document["api_addr"], files.ca)
        node.file, node.document = file, document
        made.append(node)
        return node.start()

    yield run
    for node in made:
        node.stop()


GET = b"GET /v1/sys/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ended(stream):
    """Waits until the server ends the connection."""
    stream.settimeout(20)
    try:
        while stream.recv(65536):
            pass
    except ConnectionError:
        pass


def test_the_times_of_the_configuration(start):
    node = start({"http_read_header_timeout": "1s", "http_idle_timeout": "2s"})
    wire = node.wire()
    before = socket.create_connection((wire.url.hostname, wire.url.port), timeout=20)
    after, resting = wire.socket(), wire.socket()
    resting.sendall(GET)
    assert resting.recv(65536).startswith(b"HTTP/1.1 501")
    for stream in (before, after, resting):
        ended(stream)
        stream.close()


def test_the_body_of_the_configuration(start):
    wire = start({"http_read_timeout": "1s"}).wire()
    with wire.socket() as stream:
        stream.sendall(b"PUT /v1/sys/unseal HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
        assert stream.recv(65536).startswith(b"HTTP/1.1 408")


def test_connections_beyond_the_number_wait(start):
    wire = start({"max_connections": 3, "http_idle_timeout": "3s"}).wire()
    held = [wire.socket() for _ in range(3)]
    for stream in held:
        stream.sendall(GET)
        assert stream.recv(65536).startswith(b"HTTP/1.1 501")
    # answered when those have rested for too long
    wire.get("sys/init").expect(200)
    for stream in held:
        ended(stream)


def subject_key(wire):
    with wire.socket() as stream:
        return stream.getpeercert(binary_form=True)


def test_a_new_certificate_at_sighup(start, tmp_path):
    files = certificate_files.make(tmp_path)
    node = start(files=files)
    wire = node.wire()
    kept = wire.socket()
    old = subject_key(wire)

    other = tmp_path / "other"
    other.mkdir()
    renewed = certificate_files.make(other)
    shutil.copy(renewed.chain, files.chain)
    shutil.copy(renewed.key, files.key)
    shutil.copy(renewed.ca, files.ca)
    node.process.send_signal(signal.SIGHUP)

    def renewed_is_served():
        try:
            return subject_key(wire) != old
        except ssl.SSLError:
            return False

    until(renewed_is_served, "the new certificate")
    kept.sendall(GET)
    assert kept.recv(65536).startswith(b"HTTP/1.1 501"), "what was open stays open"

    new = subject_key(wire)
    files.key.write_text("no key\n")
    node.process.send_signal(signal.SIGHUP)
    until(lambda: f"`{files.key}` holds no private key" in node.log.read_text(), "the error")
    assert subject_key(wire) == new
    kept.close()


def test_no_connection_is_dropped_while_certificates_change(start, tmp_path):
    files = certificate_files.make(tmp_path)
    node = start(files=files)
    other = tmp_path / "other"
    other.mkdir()
    renewed = certificate_files.make(other)
    old, new = (
        {name: getattr(of, name).read_bytes() for name in ("chain", "key", "ca")} for of in (files, renewed)
    )
    authorities = tmp_path / "both.pem"
    authorities.write_bytes(old["ca"] + new["ca"])
    stop, answered, failed = threading.Event(), [], []

    def ask():
        wire = Wire(node.address, cafile=str(authorities))
        kept = wire.socket()
        while not stop.is_set():
            try:
                for connection in (kept, wire.socket()):
                    connection.sendall(GET)
                    answered.append(connection.recv(65536).split(b"\r\n", 1)[0])
                    if connection is not kept:
                        connection.close()
            except OSError as error:
                failed.append(error)
        kept.close()

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for turn in range(20):
        before = len(answered)
        for name, content in (new if turn % 2 == 0 else old).items():
            # As renewals are put in place: whole.
            fresh = tmp_path / "fresh"
            fresh.write_bytes(content)
            fresh.replace(getattr(files, name))
        node.process.send_signal(signal.SIGHUP)
        until(lambda: len(answered) > before + 20 or failed, "answers")
    stop.set()
    for asker in askers:
        asker.join()
    assert not failed
    assert set(answered) == {b"HTTP/1.1 501 Not Implemented"}


def test_a_new_log_level_at_sighup(start):
    node = start(log_level="info")
    node.wire().get("sys/init").expect(200)
    assert "DEBUG" not in node.log.read_text()
    text = node.file.read_text()
    node.file.write_text(text.replace('log_level = "info"', 'log_level = "debug"'))
    node.process.send_signal(signal.SIGHUP)

    def shown():
        node.wire().get("sys/init").expect(200)
        return "DEBUG" in node.log.read_text()

    until(shown, "a message of the new level")
    node.file.write_text(text.replace('log_level = "info"', 'log_level = "loud"'))
    node.process.send_signal(signal.SIGHUP)
    until(lambda: "`loud`" in node.log.read_text(), "the fault of the configuration")
    node.wire().get("sys/init").expect(200)


def test_settings_that_change_at_sighup_and_those_that_do_not(start, tmp_path):
    node = start({"max_connections": 50})
    text = node.file.read_text()
    (tmp_path / "other").mkdir()
    other = certificate_files.make(tmp_path / "other")
    text = text.replace("max_connections = 50", "max_connections = 3")
    text = text.replace(str(node.document["listener"]["tcp"]["tls_cert_file"]), str(other.chain))
    text = text.replace(str(node.document["listener"]["tcp"]["tls_key_file"]), str(other.key))
    node.file.write_text(text.replace('max_lease_ttl = "720h"', 'max_lease_ttl = "721h"'))
    node.process.send_signal(signal.SIGHUP)
    until(lambda: "audit files are opened anew" in node.log.read_text(), "a reload")
    log = node.log.read_text()
    assert 'a setting has changed, and holds after a restart setting="max_lease_ttl"' in log
    assert log.count("holds after a restart") == 1, log
    node.cafile = other.ca
    wire = node.wire()
    wire.get("sys/seal-status").expect(200)
    open_ones = [wire.socket() for _ in range(3)]
    fourth = socket.create_connection((wire.url.hostname, wire.url.port), timeout=20)
    context = ssl.create_default_context(cafile=str(other.ca))
    fourth.settimeout(1)
    with pytest.raises(TimeoutError):
        context.wrap_socket(fourth, server_hostname=wire.url.hostname)
    for stream in (*open_ones, fourth):
        stream.close()
    until(lambda: wire.get("sys/seal-status").status == 200, "a free place")
