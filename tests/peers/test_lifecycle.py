"""Life, death and strangers: restarts, wrong shares, dead tokens, and what the disk shows."""

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from node import IS_BAO, only_secretum, planted_files, production_node, until

VALUE = "planted-value-b1946ac9"
NAME = "planted-name-2cfd71d0"


@pytest.fixture
def running(fresh):
    """An unsealed node with a KV 1 mount at kv/."""
    node = fresh().start().initialize().unseal()
    node.wire().put("sys/mounts/kv", {"type": "kv"}).expect(204)
    return node


# --- restarts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_everything_is_there_after_a_restart(running, end):
    wire = running.wire()
    wire.put("kv/a", {"x": "1"}).expect(204)
    wire.put("sys/policies/acl/p", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    token = wire.post("auth/token/create", {"policies": ["p"], "ttl": "1h"}).json["auth"]
    revoked = wire.post("auth/token/create", {"policies": ["p"], "ttl": "1h"}).json["auth"]
    wire.post("auth/token/revoke", {"token": revoked["client_token"]}).expect(204)
    log = running.directory / "audit" / "a.log"
    device = {"type": "file", "options": {"file_path": str(log)}}
    wire.put("sys/audit/file", device).expect(204)
    wire.put("sys/mounts/kv/tune", {"max_lease_ttl": "5h"}).expect(204)
    cluster = wire.get("sys/seal-status").json["cluster_id"]
    mounts = wire.get("sys/mounts").data

    getattr(running, end)()
    size = log.stat().st_size
    running.start()
    wire.get("kv/a").expect(503)
    assert wire.get("sys/init").json == {"initialized": True}
    running.unseal()

    assert wire.get("kv/a").expect(200).data == {"x": "1"}
    assert wire.get("kv/a", token=token["client_token"]).expect(200).data == {"x": "1"}
    wire.get("kv/a", token=revoked["client_token"]).expect(403)
    assert wire.get("sys/mounts").data == mounts
    assert wire.get("sys/seal-status").json["cluster_id"] == cluster
    assert "file/" in wire.get("sys/audit").data and log.stat().st_size > size


def test_killed_in_the_middle_of_writing(running):
    """What was acknowledged before the kill is there after it."""
    acknowledged = []

    def write(thread):
        wire = running.wire()
        for n in range(10_000):
            try:
                if wire.put(f"kv/{thread}/{n}", {"n": str(n)}).status != 204:
                    return
            except OSError:
                return
            acknowledged.append(f"kv/{thread}/{n}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) > 60, "some acknowledged writes")
    running.kill()
    for thread in threads:
        thread.join()
    running.start().unseal()
    for path in acknowledged:
        assert running.wire().get(path).expect(200).data == {"n": path.rsplit("/", 1)[1]}


@only_secretum("OpenBao cuts off a request that it is still reading")
def is_deaf(wire):
    """Whether nobody listens there any more."""
    try:
        wire.socket().close()
    except ConnectionError:
        return True
    return False


def test_terminate_answers_what_is_under_way(running):
    """A request whose body is still coming when the signal arrives gets its answer."""
    wire = running.wire()
    body = b'{"x": "1"}'
    head = (
        f"PUT /v1/kv/slow HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {running.root_token}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with wire.socket() as stream:
        stream.sendall(head.encode())
        # It is waiting for the body: the head has arrived.
        assert stream.recv(65536).startswith(b"HTTP/1.1 100 ")
        stream.sendall(body[:4])
        running.process.send_signal(signal.SIGTERM)
        until(lambda: is_deaf(wire), "the end of listening")
        stream.sendall(body[4:])
        answer = stream.recv(65536)
    assert answer.startswith(b"HTTP/1.1 204"), answer
    assert running.process.wait(30) == 0
    running.start().unseal()
    running.wire().get("kv/slow").expect(200)


def test_expiry_goes_on_while_the_server_is_down(running):
    wire = running.wire()
    token = wire.post("auth/token/create", {"ttl": "1s", "policies": ["default"]}).json["auth"]
    over = time.monotonic() + 1
    running.kill()
    until(lambda: time.monotonic() > over, "the end of the token's second")
    running.start().unseal()
    check = {"token": token["client_token"]}
    wire.post("auth/token/lookup", check).expect(403)


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path, certificates, small_disk):
    """Writes fail with an error while there is no room; what was acknowledged survives a kill."""
    node = production_node(tmp_path, certificates)
    disk = small_disk(tmp_path / "data", 96 << 20)
    wire = node.start().initialize(1, 1).unseal().wire()
    acknowledged, refused = [], []
    disk.fill()
    for n in range(400):
        try:
            answer = wire.put(f"cubbyhole/{n}", {"x": "v" * 100_000})
        except OSError:
            break
        assert answer.status == 204 or answer.status >= 500
        if answer.status == 204:
            acknowledged.append(n)
        else:
            refused.append(answer)
        if len(refused) > 3:
            break
    assert refused or node.process.poll() is not None, "400 writes went to a full disk"
    if not IS_BAO:
        assert refused[0].status == 507
        assert "the server has no space left" in refused[0].errors[0]
        said = [line for line in node.log.read_text().splitlines() if str(disk.directory) in line]
        assert any("free some space, then restart the server" in line for line in said), said
    node.kill()
    disk.free()
    node.start().unseal()
    for n in acknowledged:
        assert wire.get(f"cubbyhole/{n}").expect(200).data == {"x": "v" * 100_000}
    wire.put("cubbyhole/again", {"x": "1"}).expect(204)
    node.stop()


@only_secretum("OpenBao says the error of the system alone")
def test_a_start_on_a_disk_that_cannot_be_written(tmp_path, certificates, small_disk):
    node = production_node(tmp_path, certificates)
    disk = small_disk(tmp_path / "data", 96 << 20)
    node.start().initialize(1, 1).unseal().wire().put("cubbyhole/a", {"x": "1"}).expect(204)
    node.stop()
    before = {file: file.read_bytes() for file in disk.directory.rglob("*") if file.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", disk.directory], check=True)
    with open(tmp_path / "refused.log", "wb") as log:
        done = subprocess.run(node.command, stdout=log, stderr=subprocess.STDOUT, timeout=60)
    said = (tmp_path / "refused.log").read_text()
    assert done.returncode == 1 and str(disk.directory) in said, said
    assert "check the mount and the permissions of the data directory" in said
    subprocess.run(["mount", "-o", "remount,rw", disk.directory], check=True)
    assert before == {file: file.read_bytes() for file in before}
    node.start().unseal()
    assert node.wire().get("cubbyhole/a").expect(200).data == {"x": "1"}
    node.stop()


def test_nobody_else_on_the_machine_may_read_the_data(tmp_path, certificates):
    node = production_node(tmp_path, certificates)
    data = tmp_path / "data"
    if not IS_BAO:  # which does not make it
        data.rmdir()
    old = os.umask(0o022)
    try:
        node.start().initialize(1, 1).unseal()
    finally:
        os.umask(old)
    node.wire().put("cubbyhole/a", {"x": "1"}).expect(204)
    node.stop()
    found = [path for path in data.rglob("*") if path.is_file()]
    assert found and all(path.stat().st_mode & 0o077 == 0 for path in found)
    if not IS_BAO:
        assert all(path.stat().st_mode & 0o777 == 0o700 for path in (data, data / "log"))


def of_process(node, file, line):
    """The line of a file of /proc that begins so."""
    lines = Path(f"/proc/{node.process.pid}/{file}").read_text().splitlines()
    return next(text for text in lines if text.startswith(line))


@only_secretum("OpenBao cannot be built with memory locking any more")
@pytest.mark.parametrize("locks", [True, False])
def test_memory_is_locked_and_no_core_is_dumped(tmp_path, certificates, locks):
    node = production_node(tmp_path, certificates)
    file = tmp_path / "server.hcl"
    setting = f"disable_mlock = {json.dumps(not locks)}"
    file.write_text(file.read_text().replace("disable_mlock = true", setting))
    node.start()
    assert of_process(node, "limits", "Max core file size").split()[4:6] == ["0", "0"]
    locked_kilobytes = int(of_process(node, "status", "VmLck").split()[1])
    assert (locked_kilobytes > 0) == locks
    node.stop()


# --- shares ------------------------------------------------------------------------------------


def test_wrong_shares_do_not_unseal(fresh):
    node, other = fresh().start().initialize(), fresh().start().initialize()
    wire = node.wire()
    for key in (*node.keys[:2], other.keys[2]):
        answer = wire.put("sys/unseal", {"key": key})
    assert answer.status == 400 and answer.error
    status = wire.get("sys/seal-status").json
    assert (status["sealed"], status["progress"]) == (True, 0), "all begins anew"
    node.unseal()


def test_the_same_share_again_counts_once(fresh):
    node = fresh().start().initialize()
    for _ in range(5):
        answer = node.wire().put("sys/unseal", {"key": node.keys[0]})
        assert answer.status in (200, 400)
    assert node.wire().get("sys/seal-status").json["progress"] == 1
    as_base64 = base64.b64encode(bytes.fromhex(node.keys[0])).decode()
    node.wire().put("sys/unseal", {"key": as_base64})
    assert node.wire().get("sys/seal-status").json["progress"] == 1
    node.unseal()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"key": ""},
        {"key": "zz"},
        {"key": "00"},
        {"key": "ab" * 40},
        {"key": 5},
        {"key": ["a"]},
    ],
    ids=str,
)
def test_what_is_no_share_is_refused(sealed, body):
    answer = sealed.put("sys/unseal", body)
    assert answer.status == 400 and answer.error
    assert sealed.get("sys/seal-status").json["progress"] == 0


@pytest.fixture(scope="module")
def sealed(tmp_path_factory, certificates):
    node = production_node(tmp_path_factory.mktemp("sealed"), certificates).start().initialize()
    yield node.wire()
    node.stop()


def test_unsealing_an_open_vault_changes_nothing(running):
    answer = running.wire().put("sys/unseal", {"key": running.keys[0]}).expect(200)
    assert answer.json["sealed"] is False


# --- strangers ---------------------------------------------------------------------------------


def test_tokens_of_another_vault(node, running):
    for stranger in (node.root_token, "s." + "A" * 24, "hvs." + "A" * 90, "root"):
        answer = running.wire(token=stranger).get("sys/mounts")
        assert (answer.status, answer.errors) == (403, ["permission denied"])


def test_files_of_one_vault_under_the_keys_of_another(fresh):
    """Copied data opens with the keys it was made with, and with no others."""
    one, two = fresh().start().initialize().unseal(), fresh().start().initialize().unseal()
    one.wire().put("cubbyhole/a", {"x": "1"}).expect(204)
    one.stop(), two.stop()
    shutil.rmtree(two.directory / "data")
    shutil.copytree(one.directory / "data", two.directory / "data")
    two.start()
    for key in two.keys[:3]:
        answer = two.wire().put("sys/unseal", {"key": key})
    assert answer.status == 400
    for key in one.keys[:3]:
        answer = two.wire().put("sys/unseal", {"key": key})
    assert answer.expect(200).json["sealed"] is False


# --- what the disk shows -----------------------------------------------------------------------


def plant(running):
    wire = running.wire()
    wire.put(f"kv/{NAME}", {NAME: VALUE}).expect(204)
    wire.put("sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}}).expect(204)
    until(lambda: wire.get("kv2/config").status == 200, "the mount")
    path = f"{NAME}/{NAME}-inner"
    wire.put(f"kv2/data/{path}", {"data": {"x": VALUE}}).expect(200)
    wire.put(f"kv2/metadata/{path}", {"custom_metadata": {"k": VALUE}}).expect(204)
    wire.put(f"cubbyhole/{NAME}", {"x": VALUE}).expect(204)
    body = {"display_name": VALUE, "ttl": "1h", "policies": ["default"]}
    return wire.post("auth/token/create", body).expect(200).json["auth"]


def test_the_disk_shows_no_value_key_or_token(running):
    auth = plant(running)
    data = running.directory / "data"
    secrets = [VALUE, auth["client_token"], running.root_token, *running.keys]
    assert planted_files(data, secrets) == []
    running.stop()
    assert planted_files(data, secrets) == []
    assert planted_files(running.directory, secrets) == [], "nor do the logs"
    assert any(file.stat().st_size for file in data.rglob("*") if file.is_file())


@only_secretum("OpenBao's storage keys are the names of secrets in plain text")
def test_the_disk_shows_no_name(running):
    plant(running)
    running.stop()
    assert planted_files(running.directory / "data", [NAME, f"{NAME}-inner"]) == []


def test_the_search_finds_what_is_there(tmp_path):
    """The two tests above are worth nothing if the search is blind."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "plain").write_bytes(b"\x00xx" + VALUE.encode() + b"\x00")
    (tmp_path / "b64").write_bytes(base64.b64encode(VALUE.encode()))
    assert {file for file, _ in planted_files(tmp_path, [VALUE])} == {"plain", "b64"}
