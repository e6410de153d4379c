"""`audit verify`: a real log, rotated and packed, and every way to falsify it."""

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from node import until


def is_head(line):
    return json.loads(line)["type"] == "head"


@pytest.fixture
def log(wire, node, name):
    """A device with a log of its own, and its file."""
    file = node.audit_log.with_name(f"{name}.log")
    options = {"file_path": str(file)}
    wire.put(f"sys/audit/{name}", {"type": "file", "options": options}).expect(204)
    yield file
    wire.delete(f"sys/audit/{name}")


@pytest.fixture
def key(ours, log, name):
    return ours.ok("audit", "key", name).out.strip()


def fill(wire, requests=20):
    for _ in range(requests):
        wire.get("sys/mounts").expect(200)


def covered(log):
    until(lambda: is_head(log.read_text().splitlines()[-1]), "a head behind the last record")
    return log.read_text().splitlines()


def verify(ours, key, *files):
    return ours("audit", "verify", f"-public-key={key}", *map(str, files))


def test_a_log_is_whole(wire, ours, log, key, name):
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert wire.get(f"sys/audit-key/{name}").data == {"public_key": key, "algorithm": "ed25519"}
    assert wire.get("sys/audit-key/nobody").status == 400
    fill(wire)
    covered(log)
    out = verify(ours, key, log).expect(0).out
    assert "Success! The log is as it was written." in out
    told = ours("audit", "verify", f"-public-key={key}", "-format=json", str(log)).expect(0).json
    assert told["findings"] == 0 and told["records"] >= 40 and told["first_sequence"] == 0


def test_what_was_done_to_it_is_found(wire, ours, log, key, tmp_path):
    fill(wire)
    lines = covered(log)
    records = [at for at, line in enumerate(lines) if not is_head(line)]
    middle = records[len(records) // 2]
    swapped = lines.copy()
    swapped[middle], swapped[middle + 1] = swapped[middle + 1], swapped[middle]
    for told, falsified in [
        ("was altered", [line.replace("sys/mounts", "sys/mountz") for line in lines]),
        ("are missing", lines[:middle] + lines[middle + 1 :]),
        ("stands behind record", swapped),
        ("stands behind record", lines[: middle + 1] + lines[middle:]),
        ("no line of an audit log", [*lines[:middle], "hello", *lines[middle:]]),
        ("what stood before it is missing", lines[records[0] :]),
    ]:
        false = tmp_path / "false.log"
        false.write_text("".join(f"{line}\n" for line in falsified))
        found = verify(ours, key, false).expect(2)
        assert told in found.out, found.out
        assert "The log is not as it was written" in found.out
    # What is cut off behind a head is not there to be found, but nobody can claim it was closed.
    cut = tmp_path / "cut.log"
    cut.write_text("".join(f"{line}\n" for line in lines[:-1]))
    assert "stand behind the last head" in verify(ours, key, cut).expect(0).out


def test_a_head_that_was_kept_tells_a_cut(wire, ours, log, key, tmp_path):
    fill(wire)
    lines = covered(log)
    head = re.search(r"the last head is (\d+:[0-9a-f]{64})", verify(ours, key, log).out)[1]
    fill(wire)
    assert head.split(":")[0] != str(json.loads(covered(log)[-1])["sequence"])
    told = verify(ours, key, f"-head={head}", log).expect(0).out
    assert "its device did not close it" in told
    before = max(at for at, line in enumerate(lines[:-1]) if is_head(line))
    cut = tmp_path / "cut.log"
    cut.write_text("".join(f"{line}\n" for line in lines[: before + 1]))
    verify(ours, key, cut).expect(0)
    found = verify(ours, key, f"-head={head}", cut).expect(2).out
    assert f"cut.log:{before + 1}: head {head.split(':')[0]}, which was kept elsewhere" in found
    assert "a colon and 64 digits" in verify(ours, key, "-head=1:2", log).expect(1).err
    # Nobody says there who signed.
    ours("audit", "verify", "-chain-only", f"-head={head}", str(log)).expect(1)


def test_another_key_and_none(wire, ours, log, key):
    fill(wire)
    covered(log)
    other = "0" * 62 + "01"
    assert "is not of this key" in verify(ours, other, log).expect(2).out
    assert "32 bytes in hex or base64" in verify(ours, "hello", log).expect(1).err
    chain_only = ours("audit", "verify", "-chain-only", str(log)).expect(0)
    assert "signatures were not checked" in chain_only.out
    assert "public-key" in ours("audit", "verify", str(log)).expect(1).err
    assert "cannot read" in verify(ours, key, log.with_name("nobody")).expect(1).err
    log.with_name("empty").write_text("")
    assert "no record" in verify(ours, key, log.with_name("empty")).expect(1).err


def test_rotated_and_packed_files(wire, ours, log, key):
    moved, packed = log.with_name(f"{log.name}.1"), log.with_name(f"{log.name}.2.gz")
    fill(wire)
    log.rename(moved)
    fill(wire)
    with moved.open("rb") as plain, gzip.open(packed, "wb") as zipped:
        shutil.copyfileobj(plain, zipped)
    log.rename(moved)
    fill(wire)
    covered(log)
    # In whatever order a shell names them.
    whole = verify(ours, key, log, moved, packed).expect(0).out
    assert "in 3 files, numbers 0 to" in whole
    assert "are missing" in verify(ours, key, log, packed).expect(2).out
    # What was kept of it is whole in itself, unless all is asked for.
    verify(ours, key, log, moved).expect(0)
    from_start = ours("audit", "verify", "-from-start", f"-public-key={key}", str(log))
    assert "what stood before it is missing" in from_start.expect(2).out


def test_a_log_is_verified_over_restarts(fresh, ours):
    node = fresh().start()
    node.initialize()
    wire = node.unseal().wire()
    file = node.directory / "audit" / "own.log"
    wire.put("sys/audit/own", {"type": "file", "options": {"file_path": str(file)}}).expect(204)
    key = wire.get("sys/audit-key/own").data["public_key"]
    for kill in (False, True):
        fill(wire)
        covered(file)
        node.kill() if kill else node.stop()
        node.start()
        node.unseal()
        wire = node.wire()
    fill(wire)
    covered(file)
    out = verify(ours, key, file).expect(0).out
    assert "1 times a device ended without its last head" in out, out


def memory_kib(ours, key, log):
    """The most memory that a verification holds at a time, as the system counts it for this program alone."""
    command = [ours.binary, "audit", "verify", f"-public-key={key}", str(log)]
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            # A program that is just about to end has no memory any more.
            most = int(found[1]) if found else most
            time.sleep(0.002)
    assert process.returncode == 0 and most
    return most


@pytest.mark.timeout(300)
def test_a_long_log_takes_no_more_memory_than_a_short_one(fresh, ours):
    node = fresh().start().initialize(1, 1).unseal()
    wire = node.wire()
    file = node.directory / "audit" / "own.log"
    wire.put("sys/audit/own", {"type": "file", "options": {"file_path": str(file)}}).expect(204)
    key = wire.get("sys/audit-key/own").data["public_key"]
    wire.put("sys/mounts/kv1", {"type": "kv"}).expect(204)
    # Names are recorded as they are, so that few requests make long lines.
    body = {f"{'x' * 60}-{number}": "1" for number in range(1000)}
    sizes = []
    for requests in (20, 400):
        for _ in range(requests):
            wire.put("kv1/wide", body).expect(204)
        covered_at_end(file)
        sizes.append((file.stat().st_size, memory_kib(ours, key, file)))
    (short, little), (long, much) = sizes
    assert long > short + (40 << 20)
    assert much - little < 16 << 10, f"{little} KiB for {short} bytes, {much} KiB for {long}"


def covered_at_end(log):
    def ends_in_a_head():
        with log.open("rb") as file:
            file.seek(-min(4096, log.stat().st_size), os.SEEK_END)
            last = file.read().rstrip(b"\n").split(b"\n")[-1]
        return b'"type":"head"' in last

    until(ends_in_a_head, "a head behind the last record")
