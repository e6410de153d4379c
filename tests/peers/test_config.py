"""`secretum server -config=… --check`, and data directories that are not ours to open."""

import json
import os
import subprocess

import pytest
from node import (
    DEADLINE_SECONDS,
    Node,
    free_port,
    hcl,
    only_secretum,
    production_node,
    secretum_binary,
    settings,
)
from test_start import FORMATS

pytestmark = only_secretum(
    "our own check, and the directories that only we write or must not touch"
)


@pytest.fixture
def check(tmp_path):
    """Runs the check on one file and returns exit code and everything printed."""

    def run(text, kind="hcl"):
        file = tmp_path / f"checked.{kind}"
        file.write_text(text)
        done = subprocess.run(
            [secretum_binary(), "server", f"-config={file}", "--check"],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=tmp_path,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def good(tmp_path, certificates):
    return settings(tmp_path, free_port(), certificates)


# --- the check ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_good_configurations(check, good, kind):
    code, out = check(FORMATS[kind](good), kind)
    assert code == 0 and "ok" in out.lower(), out


@pytest.mark.parametrize("kind", FORMATS)
def test_the_check_starts_and_writes_nothing(check, good, kind, tmp_path):
    check(FORMATS[kind](good), kind)
    assert list((tmp_path / "data").iterdir()) == []


def line_of(text, needle):
    return next(n for n, line in enumerate(text.splitlines(), 1) if needle in line)


# what stands in the good file, what takes its place, what must be said
FAULTS = {
    "storage is missing": ('storage "raft"', 'stowage "raft"', "storage"),
    "an unknown storage": ('storage "raft"', 'storage "floppy"', "floppy"),
    "a path of a wrong type": ("  path = ", "  path = 5 # ", "path"),
    "no path": ("  path = ", "  # ", "path"),
    "an address without a port": ("  address = ", '  address = "127.0.0.1" # ', "address"),
    "a port too large": ("  address = ", '  address = "127.0.0.1:99999" # ', "99999"),
    "an absent certificate": (
        "  tls_cert_file = ",
        '  tls_cert_file = "/absent.pem" # ',
        "/absent.pem",
    ),
    "a key that is no key": ("  tls_key_file = ", '  tls_key_file = "/dev/null" # ', "/dev/null"),
    "a duration that is none": ("default_lease_ttl = ", 'default_lease_ttl = "soon" # ', "soon"),
    "a default above the maximum": ("max_lease_ttl = ", 'max_lease_ttl = "1h" # ', "lease_ttl"),
    "a flag that is none": ("disable_mlock = ", 'disable_mlock = "maybe" # ', "disable_mlock"),
    "an api_addr that is none": ("api_addr = ", 'api_addr = "not an address" # ', "api_addr"),
    "broken syntax": ("api_addr = ", "api_addr = = ", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_file_and_line(check, good, fault):
    present, instead, said = FAULTS[fault]
    text = hcl(good)
    assert present in text
    faulty = text.replace(present, instead, 1)
    code, out = check(faulty)
    assert code == 1 and said in out, out
    if "missing" not in fault and fault != "no path":
        line = line_of(faulty, instead.split("\n")[0])
        assert f"checked.hcl:{line}" in out, out
    else:
        assert "checked.hcl" in out, out


def test_all_faults_at_once(check, good):
    text = hcl(good)
    for fault in ("a duration that is none", "a port too large", "a flag that is none"):
        present, instead, _ = FAULTS[fault]
        text = text.replace(present, instead, 1)
    code, out = check(text)
    assert code == 1
    for said in ("soon", "99999", "disable_mlock"):
        assert said in out, out


@pytest.mark.parametrize("kind", ["json", "toml"])
def test_faults_in_the_other_formats(check, good, kind):
    good["default_lease_ttl"] = "soon"
    code, out = check(FORMATS[kind](good), kind)
    assert code == 1 and "soon" in out and f"checked.{kind}" in out


def test_unknown_and_unserved_stanzas_are_warnings_by_name(check, good):
    text = (
        hcl(good) + 'telemetry {\n  statsd_address = "x"\n}\nnovelty "x" {\n  y = 1\n}\nodd = 1\n'
    )
    code, out = check(text)
    assert code == 0, out
    for name in ("statsd_address", "novelty", "odd"):
        assert name in out and f"checked.hcl:{line_of(text, name)}" in out, out


def test_warnings_do_not_keep_a_server_from_starting(good, tmp_path, certificates):
    file = tmp_path / "server.hcl"
    file.write_text(hcl(good) + 'novelty "x" {\n  y = 1\n}\n')
    node = Node(tmp_path, [f"-config={file}"], good["api_addr"], certificates.ca).start()
    assert "novelty" in node.log.read_text()
    node.stop()


# --- data directories --------------------------------------------------------------------------


def start_on(directory, certificates, data, storage="raft"):
    """Tries to start our server on `data`; returns exit code and output."""
    document = settings(directory, free_port(), certificates)
    document["storage"] = {storage: {"path": str(data), "node_id": "node-1"}}
    file = directory / "other.hcl"
    file.write_text(hcl(document))
    done = subprocess.run(
        [secretum_binary(), "server", f"-config={file}"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOME": str(directory)},
    )
    return done.returncode, done.stdout + done.stderr


def snapshot(directory):
    files = (file for file in sorted(directory.rglob("*")) if file.is_file())
    return {str(file): file.read_bytes() for file in files}


def test_a_data_directory_of_openbao_is_refused(tmp_path, certificates, monkeypatch):
    """Raft storage, written by a real server."""
    monkeypatch.setattr("node.IS_BAO", True)
    bao = production_node(tmp_path, certificates)
    bao.start().initialize(1, 1).unseal().stop()
    before = snapshot(tmp_path / "data")
    assert before, "a real server has written something"
    monkeypatch.setattr("node.IS_BAO", False)
    code, out = start_on(tmp_path, certificates, tmp_path / "data")
    assert code == 1 and str(tmp_path / "data") in out
    assert "Vault" in out or "OpenBao" in out, out
    assert snapshot(tmp_path / "data") == before, "nothing was changed"


def test_a_data_directory_of_vaults_file_storage_is_refused(tmp_path, certificates):
    """Laid out as Vault's file storage does; no peer at hand still writes it."""
    data = tmp_path / "old"
    for key in ("core/_keyring", "core/_seal-config", "core/_master", "sys/policy/_default"):
        (data / key).parent.mkdir(parents=True, exist_ok=True)
        (data / key).write_text(json.dumps({"Value": "AAAAAQI="}))
    before = snapshot(data)
    code, out = start_on(tmp_path, certificates, data, storage="file")
    assert code == 1 and str(data) in out and ("Vault" in out or "OpenBao" in out), out
    assert snapshot(data) == before


def test_a_directory_of_something_else_is_refused(tmp_path, certificates):
    data = tmp_path / "photos"
    data.mkdir()
    (data / "holiday.jpg").write_bytes(b"\xff\xd8\xff")
    code, out = start_on(tmp_path, certificates, data)
    assert code == 1 and str(data) in out
    assert snapshot(data) == {str(data / "holiday.jpg"): b"\xff\xd8\xff"}


def test_two_servers_on_one_data_directory(fresh, tmp_path, certificates):
    first = fresh().start().initialize().unseal()
    code, out = start_on(tmp_path, certificates, first.directory / "data")
    assert code == 1 and str(first.directory / "data") in out
    first.wire().put("cubbyhole/a", {"x": "1"}).expect(204)
    first.stop()
    first.start().unseal()
    first.wire().get("cubbyhole/a").expect(200)


@pytest.mark.parametrize("damage", ["cut short", "bit flipped", "missing"])
@pytest.mark.parametrize("part", ["FORMAT", "log/*.log", "state.redb"])
def test_a_damaged_file_is_named_and_nothing_wrong_is_served(fresh, part, damage):
    node = fresh().start().initialize(1, 1).unseal()
    for n in range(50):
        node.wire().put(f"cubbyhole/{n}", {"x": f"value {n}"}).expect(204)
    node.stop()
    data = node.directory / "data"
    file = max(data.glob(part), key=size_of)
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut short":
        file.write_bytes(content[: len(content) // 2])
    else:
        for place in range(0, len(content), max(1, len(content) // 64)):
            content[place] ^= 0x10
        file.write_bytes(content)
    try:
        node.start()
        for key in node.keys:
            node.wire().put("sys/unseal", {"key": key})
    except AssertionError:
        said = node.log.read_text()
        assert (file.name if damage != "missing" else str(data)) in said, said
        assert damage == "missing" or "restore the data directory from a backup" in said, said
        assert node.process.wait(DEADLINE_SECONDS) == 1
        return
    # What it served in spite of it, it had from elsewhere, whole.
    answers = [node.wire().get(f"cubbyhole/{n}") for n in range(50)]
    for n, answer in enumerate(answers):
        assert answer.status in (200, 500, 503)
        assert answer.status != 200 or answer.data == {"x": f"value {n}"}
    if any(answer.status != 200 for answer in answers):
        said = node.log.read_text()
        assert file.name in said and "restore the data directory from a backup" in said, said


def size_of(file):
    return file.stat().st_size
