"""Audit devices whose records go to a peer: a syslog daemon, TCP, unix and UDP listeners, stdout."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from hvac.exceptions import InvalidRequest
from node import IS_BAO, dev_node, only_secretum, until
from test_metrics import prometheus, samples

HMAC = re.compile(r"hmac-sha256:[0-9a-f]{64}")


def of_path(record, path):
    """Whether this is the record of a request of a path, and no head."""
    return record["type"] != "head" and record["request"]["path"] == path


class Listener:
    """Collects lines at an address, until it is closed; `again` listens there anew."""

    def __init__(self, kind, address=None):
        self.kind, self.address, self.text = kind, address, b""
        self.again()

    def again(self):
        family = socket.AF_UNIX if self.kind == "unix" else socket.AF_INET
        speech = socket.SOCK_DGRAM if self.kind == "udp" else socket.SOCK_STREAM
        self.ear = socket.socket(family, speech)
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.ear.bind(self.address or ("127.0.0.1", 0))
        self.address = self.ear.getsockname()
        self.peers, self.closed = [], False
        if self.kind != "udp":
            self.ear.listen()
        threading.Thread(target=self._listen, args=(self.ear,), daemon=True).start()
        return self

    def _listen(self, ear):
        try:
            while True:
                if self.kind == "udp":
                    self.text += ear.recv(1 << 16)
                    continue
                peer, _ = ear.accept()
                self.peers.append(peer)
                threading.Thread(target=self._collect, args=(peer,), daemon=True).start()
        except OSError:
            return

    def _collect(self, peer):
        try:
            while block := peer.recv(1 << 16):
                self.text += block
        except OSError:
            return

    def close(self):
        for own in (self.ear, *self.peers):
            try:
                own.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            own.close()

    def option(self):
        return self.address if self.kind == "unix" else "%s:%d" % self.address

    def records(self, path):
        lines = self.text.decode().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [record for record in whole if of_path(record, path)]


@pytest.fixture
def listener(tmp_path):
    made = []

    def make(kind):
        address = str(tmp_path / "audit.sock") if kind == "unix" else None
        made.append(Listener(kind, address))
        return made[-1]

    yield make
    for own in made:
        own.close()


@pytest.fixture
def device(wire, name):
    """Enables a device that is disabled when the test is over."""

    def enable(kind, **options):
        answer = wire.put(f"sys/audit/{name}", {"type": kind, "options": options})
        return answer

    yield enable
    wire.delete(f"sys/audit/{name}").expect(204)


@pytest.mark.parametrize("kind", ["tcp", "unix", "udp"])
def test_hvac_enables_a_socket(client, wire, kv1, name, listener, kind):
    peer = listener(kind)
    options = {"address": peer.option(), "socket_type": kind, "write_timeout": "1s"}
    client.sys.enable_audit_device("socket", options=options, path=name)
    try:
        listed = client.sys.list_enabled_audit_devices()["data"][f"{name}/"]
        assert listed["type"] == "socket" and listed["options"]["socket_type"] == kind
        wire.put(f"{kv1}/heard", {"x": f"planted-value-{name}"}).expect(204)
        until(lambda: len(peer.records(f"{kv1}/heard")) == 2, "both records")
        request, response = peer.records(f"{kv1}/heard")
        assert (request["type"], response["type"]) == ("request", "response")
        assert HMAC.fullmatch(request["request"]["data"]["x"])
        hashed = client.sys.calculate_hash(name, f"planted-value-{name}")["data"]["hash"]
        assert request["request"]["data"]["x"] == hashed
    finally:
        client.sys.disable_audit_device(name)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_lost_peer_is_found_again(wire, kv1, name, listener, device, kind, tmp_path):
    peer = listener(kind)
    device("socket", address=peer.option(), socket_type=kind).expect(200, 204)
    wire.put(f"{kv1}/before", {"x": "1"}).expect(204)
    until(lambda: len(peer.records(f"{kv1}/before")) == 2, "records of the first connection")
    peer.close()
    # The file device takes the records meanwhile.
    began = time.monotonic()
    for _ in range(20):
        wire.put(f"{kv1}/without", {"x": "1"}).expect(204)
    assert time.monotonic() - began < 5, "a lost peer holds nobody up"
    assert peer.records(f"{kv1}/without") == []
    if not IS_BAO:
        failures = samples(prometheus(wire))
        assert failures[f'secretum_vault_audit_failures_total{{device="{name}/"}}'] > 0
        assert failures['secretum_vault_audit_failures_total{device="file/"}'] == 0
    if kind == "unix":
        (tmp_path / "audit.sock").unlink()
    peer.again()
    wire.put(f"{kv1}/after", {"x": "1"}).expect(204)
    until(lambda: len(peer.records(f"{kv1}/after")) == 2, "records of the second connection")


def test_a_peer_that_takes_nothing_holds_nobody_up(wire, kv1, device):
    """Its connection is open, and never read: its buffers fill, and it hangs."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = "%s:%d" % deaf.getsockname()
        # Longer than any request may take: who waited for this device would be seen.
        device("socket", address=address, write_timeout="60s").expect(200, 204)
        times = []
        for _ in range(100):
            began = time.monotonic()
            body = {str(number): number for number in range(5000)}
            wire.put(f"{kv1}/much", body).expect(204)
            times.append(time.monotonic() - began)
        # Who waited would wait for 5 seconds, in each request from the one that filled the buffers.
        assert sorted(times)[-3] < 4, "the other device took each record at once"


def test_nobody_at_the_address(wire, name):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        options = {"address": "%s:%d" % nobody.getsockname()}
        answer = wire.put(f"sys/audit/{name}", {"type": "socket", "options": options})
        assert answer.status == 400 and options["address"] in answer.error
        assert f"{name}/" not in wire.get("sys/audit").data


@only_secretum("OpenBao takes options that it does not know, and formats that it cannot write")
@pytest.mark.parametrize(
    "kind, options, said",
    [
        ("socket", {}, "address"),
        ("socket", {"address": "nowhere"}, "address"),
        ("socket", {"address": "127.0.0.1:1", "socket_type": "smoke"}, "socket_type"),
        ("socket", {"address": "127.0.0.1:1", "write_timeout": "2h"}, "write_timeout"),
        ("syslog", {"facility": "NOSUCH"}, "facility"),
        ("syslog", {"tag": "a tag"}, "tag"),
        ("file", {"file_path": "stdout", "format": "jsonx"}, "jsonx"),
        ("file", {"file_path": "stdout", "log_rew": "true"}, "log_rew"),
        ("file", {"file_path": "stdout", "log_raw": "maybe"}, "log_raw"),
        ("file", {"file_path": "discard", "prefix": "a\nb"}, "prefix"),
    ],
    ids=str,
)
def test_impossible_options_are_refused(wire, name, kind, options, said):
    answer = wire.put(f"sys/audit/{name}", {"type": kind, "options": options})
    assert answer.status == 400 and said in answer.error
    assert f"{name}/" not in wire.get("sys/audit").data


def log_device(node, name, **options):
    file = node.audit_log.with_name(f"{name}.log")
    return file, {"type": "file", "options": {"file_path": str(file), **options}}


def found(file, path):
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    records = [json.loads(line[line.index("{") :]) for line in lines if line.endswith("\n")]
    return [record for record in records if of_path(record, path)]


def of(file, path, count=2):
    """The records of a path, once there are so many: an answer waits for one device, not for all."""
    until(lambda: len(found(file, path)) >= count, f"{count} records of {path}")
    return found(file, path)


@only_secretum("OpenBao says nothing")
def test_raw_records_show_everything_and_warn(fresh):
    own = fresh().start().initialize(1, 1).unseal()
    own.is_raw = True
    wire = own.wire()
    file = own.directory / "audit" / "raw.log"
    options = {"file_path": str(file), "log_raw": True}
    answer = wire.put("sys/audit/raw", {"type": "file", "options": options}).expect(200)
    assert "log_raw" in answer.json["warnings"][0]
    wire.put("sys/mounts/kv", {"type": "kv"}).expect(204)
    wire.put("kv/raw", {"x": "shown as it is"}).expect(204)
    request = of(file, "kv/raw")[0]
    assert request["request"]["data"]["x"] == "shown as it is"
    assert request["auth"]["client_token"] == own.root_token
    assert "log_raw" in own.log.read_text()


def test_accessors_in_the_clear(node, wire, client, name):
    file, device = log_device(node, name, hmac_accessor="false")
    wire.put(f"sys/audit/{name}", device).expect(204)
    auth = client.auth.token.create(ttl="1m")["auth"]
    response = of(file, "auth/token/create")[-1]
    assert response["response"]["auth"]["accessor"] == auth["accessor"]
    assert HMAC.fullmatch(response["response"]["auth"]["client_token"])
    assert not HMAC.fullmatch(response["auth"]["accessor"])
    wire.delete(f"sys/audit/{name}").expect(204)


def test_listings_by_their_number(node, wire, kv2, name):
    file, device = log_device(node, name, elide_list_responses="true")
    wire.put(f"sys/audit/{name}", device).expect(204)
    for number in range(3):
        wire.put(f"{kv2}/data/a/{number}", {"data": {}}).expect(200)
    assert len(wire.list(f"{kv2}/metadata/a").expect(200).data["keys"]) == 3
    response = [r for r in of(file, f"{kv2}/metadata/a/") if r["type"] == "response"][0]
    assert response["response"]["data"]["keys"] == 3
    wire.delete(f"sys/audit/{name}").expect(204)


@only_secretum("OpenBao asks for a setting of its own first")
def test_a_prefix_stands_before_each_line(node, wire, kv1, name):
    file, device = log_device(node, name, prefix="vault-audit: ")
    wire.put(f"sys/audit/{name}", device).expect(204)
    wire.put(f"{kv1}/prefixed", {"x": "1"}).expect(204)
    assert len(of(file, f"{kv1}/prefixed")) == 2
    assert all(line.startswith("vault-audit: {") for line in file.read_text().splitlines())
    wire.delete(f"sys/audit/{name}").expect(204)


@only_secretum("OpenBao goes on in the moved file until SIGHUP")
def test_a_moved_file_is_noticed_without_a_signal(node, wire, kv1, name):
    file, device = log_device(node, name)
    wire.put(f"sys/audit/{name}", device).expect(204)
    wire.put(f"{kv1}/first", {"x": "1"}).expect(204)
    of(file, f"{kv1}/first")
    file.rename(file.with_suffix(".1"))
    wire.put(f"{kv1}/second", {"x": "1"}).expect(204)
    assert of(file, f"{kv1}/second") and not found(file, f"{kv1}/first")
    file.unlink()
    wire.put(f"{kv1}/third", {"x": "1"}).expect(204)
    assert of(file, f"{kv1}/third")
    wire.delete(f"sys/audit/{name}").expect(204)


def test_records_on_the_output_of_the_process(tmp_path):
    node = dev_node(tmp_path).start()
    try:
        wire = node.wire()
        options = {"file_path": "stdout"}
        wire.put("sys/audit/out", {"type": "file", "options": options}).expect(204)
        second = wire.put("sys/audit/two", {"type": "file", "options": options})
        assert second.status == 400, "two would write into each other's lines"
        wire.get("secret/data/on-stdout").expect(404)
        lines = [line for line in node.log.read_text().splitlines() if "on-stdout" in line]
        assert [json.loads(line)["type"] for line in lines] == ["request", "response"]
    finally:
        node.stop()


class Rsyslog:
    """A real syslog daemon with a socket and a log of its own."""

    def __init__(self, directory):
        binary = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
        assert binary, "no `rsyslogd`: apt-get install rsyslog"
        self.socket, self.log = directory / "log", directory / "messages"
        configuration = directory / "rsyslog.conf"
        configuration.write_text(
            f"""
            global(workDirectory="{directory}" maxMessageSize="64k")
            module(load="imuxsock" SysSock.Use="off")
            input(type="imuxsock" Socket="{self.socket}")
            template(name="line" type="string"
                     string="%syslogfacility-text% %syslogseverity-text% %syslogtag% %msg%\\n")
            action(type="omfile" file="{self.log}" template="line" asyncWriting="off")
            """
        )
        self.command = [binary, "-n", "-f", str(configuration), "-i", str(directory / "pid")]
        self.directory = directory
        self.start()

    def start(self):
        with open(self.directory / "rsyslogd.out", "ab") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=out)
        until(self.socket.exists, "the daemon's socket")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def messages(self, path):
        if not self.log.exists():
            return []
        parts = [line.split(maxsplit=3) for line in self.log.read_text().splitlines()]
        found = [(part[:3], json.loads(part[3])) for part in parts if len(part) == 4]
        return [(head, record) for head, record in found if of_path(record, path)]


@pytest.fixture
def rsyslog(tmp_path):
    daemon = Rsyslog(tmp_path)
    yield daemon
    daemon.stop()


@only_secretum("OpenBao's daemon is always at /dev/log")
def test_a_syslog_daemon(wire, kv1, device, rsyslog):
    options = {"address": str(rsyslog.socket), "facility": "LOCAL3", "tag": "secretum"}
    device("syslog", **options).expect(204)
    body = {str(number): "x" * 10 for number in range(200)}
    wire.put(f"{kv1}/told", body).expect(204)
    until(lambda: len(rsyslog.messages(f"{kv1}/told")) == 2, "both messages")
    for head, record in rsyslog.messages(f"{kv1}/told"):
        assert head[:2] == ["local3", "info"] and re.fullmatch(r"secretum\[\d+\]:", head[2])
        assert HMAC.fullmatch(record["auth"]["client_token"])
    request = rsyslog.messages(f"{kv1}/told")[0][1]
    assert len(request["request"]["data"]) == 200, "17 KiB arrive whole where the daemon takes them"
    rsyslog.stop()
    began = time.monotonic()
    wire.put(f"{kv1}/untold", {"x": "1"}).expect(204)
    assert time.monotonic() - began < 5, "a dead daemon holds nobody up"
    rsyslog.start()

    def told_again():
        wire.put(f"{kv1}/again", {"x": "1"}).expect(204)
        return rsyslog.messages(f"{kv1}/again")

    # What came meanwhile is lost, or late: the file device of the node took it.
    until(told_again, "messages to the new daemon")


@only_secretum("OpenBao's log has no chain")
def test_what_a_syslog_daemon_kept_is_verified(fresh, ours, rsyslog):
    node = fresh().start().initialize(1, 1).unseal()
    options = {"address": str(rsyslog.socket), "tag": "audit"}
    node.wire().put("sys/audit/sys", {"type": "syslog", "options": options}).expect(204)
    key = node.wire().get("sys/audit-key/sys").data["public_key"]
    kept = rsyslog.log.with_name("messages.1")
    shell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    shell.connect(str(rsyslog.socket))
    # The second start is in both files, and its numbers begin anew in the first.
    for turn in range(2):
        for number in range(20):
            node.wire().put("sys/audit-hash/sys", {"input": "x"}).expect(200)
            shell.send(b"<13>cron[7]: {not a record}")
        if turn == 0:
            node.stop()
            node.start()
            node.unseal()
    # What comes while the daemon is away is lost: nothing is on its way any more behind a head.
    until(lambda: '"type":"head"' in rsyslog.log.read_text().splitlines()[-1], "a head")
    rsyslog.stop()
    rsyslog.log.rename(kept)
    rsyslog.start()
    node.wire().put("sys/audit-hash/sys", {"input": "x"}).expect(200)
    node.stop()
    shell.close()

    def verify(*more):
        # Newest first, as a shell names them.
        files = [str(rsyslog.log), str(kept)]
        return ours("audit", "verify", f"-public-key={key}", *more, *files)

    until(lambda: '"closed"' in rsyslog.log.read_text(), "the last head")
    told = verify("-relayed", "-restarts")
    assert "40 lines are of others" in told.expect(0).out, told
    assert "did not close it" not in told.out
    assert "begins again" in verify("-relayed").expect(2).out
    verify("-restarts").expect(2)
    text = kept.read_text()
    kept.write_text(text.replace("sys/audit-hash/sys", "sys/audit-hash/sis", 1))
    assert "was altered" in verify("-relayed", "-restarts").expect(2).out


def test_no_syslog_daemon(wire, name, tmp_path):
    options = {"address": str(tmp_path / "log")}
    answer = wire.put(f"sys/audit/{name}", {"type": "syslog", "options": options})
    if answer.status == 204:
        # OpenBao does not read the address, and found a daemon at its own.
        wire.delete(f"sys/audit/{name}").expect(204)
    else:
        assert answer.status == 400 and answer.error


def test_the_command_line_enables_a_socket(cli, name, listener):
    peer = listener("tcp")
    options = [f"address={peer.option()}", "socket_type=tcp", "hmac_accessor=false"]
    enabled = cli.ok("audit", "enable", f"-path={name}", "socket", *options)
    assert enabled.out == f"Success! Enabled the socket audit device at: {name}/\n"
    assert re.search(rf"(?m)^{name}/ +socket +n/a", cli.ok("audit", "list").out)
    assert "hmac_accessor=false" in cli.ok("audit", "list", "-detailed").out
    until(lambda: peer.records("sys/audit"), "records")
    cli.ok("audit", "disable", name)


HEADERS = "sys/config/auditing/request-headers"


def test_request_headers_are_recorded(node, wire, kv1, name):
    clear, hidden = f"X-Clear-{name}", f"X-Hidden-{name}"
    for header, hmac in ((clear, False), (hidden, True)):
        wire.post(f"{HEADERS}/{header}", {"hmac": hmac}).expect(204)
    assert wire.get(f"{HEADERS}/{clear}").expect(200).data == {clear: {"hmac": False}}
    listed = wire.get(HEADERS).expect(200)
    assert listed.data["headers"][hidden.lower()] == {"hmac": True}
    headers = {clear: "seen", hidden: "planted-value-header", "X-Other": "planted-value-other"}
    wire.call("GET", f"{kv1}/with-headers", headers=headers).expect(404)
    for record in of(node.audit_log, f"{kv1}/with-headers"):
        shown = record["request"]["headers"]
        assert shown[clear.lower()] == ["seen"]
        hashed = wire.put("sys/audit-hash/file", {"input": "planted-value-header"}).data["hash"]
        assert shown[hidden.lower()] == [hashed]
        assert "x-other" not in shown
    for header in (clear, hidden):
        wire.delete(f"{HEADERS}/{header}").expect(204)
    wire.call("GET", f"{kv1}/without-headers", headers=headers).expect(404)
    for record in of(node.audit_log, f"{kv1}/without-headers"):
        assert clear.lower() not in (record["request"].get("headers") or {})
    assert wire.get(f"{HEADERS}/{clear}").status == 400


def test_request_headers_take_sudo(wire, token_with):
    token = token_with(f'path "{HEADERS}*" {{ capabilities = ["create", "read", "update"] }}')
    assert wire.get(HEADERS, token=token).status == 403
    assert wire.post(f"{HEADERS}/x-a", {"hmac": True}, token=token).status == 403


@only_secretum("OpenBao shows tokens in the clear where it is told to")
@pytest.mark.parametrize("header", ["x-vault-token", "Authorization", "a%20b", "x" * 129])
def test_impossible_headers_are_refused(wire, header):
    answer = wire.post(f"{HEADERS}/{header}", {"hmac": False})
    assert answer.status == 400 and answer.error
    assert header.lower() not in wire.get(HEADERS).data["headers"]
