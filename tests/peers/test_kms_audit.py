"""Audit records of `secretum kms`, where it works without a service, as `secretum audit verify` sees them."""

import json
import os
import subprocess

import pytest
from kms_command import LOCAL
from kms_scene import SECRET
from node import IS_BAO

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms is ours alone")

AUDIT = """
[service.audit]
key_path = "${HOME}/audit.key"
[[service.audit.devices]]
type = "file"
options = { file_path = "${HOME}/audit.log" }
"""


@pytest.fixture
def audited(kms):
    return kms.configure(LOCAL + AUDIT)


def records(kms):
    lines = (kms.home / "command-audit.log").read_text().splitlines()
    return [record for record in map(json.loads, lines) if "operation" in record]


def told(kms):
    return [(record["operation"], record["outcome"]) for record in records(kms)]


def verified(kms):
    key = kms.ok("status", "-field=audit_public_key").decode()
    command = [kms.binary, "audit", "verify", f"-public-key={key}", "command-audit.log"]
    return subprocess.run(command, cwd=kms.home, env=kms.environment(), capture_output=True)


def test_each_command_is_recorded(audited):
    made = audited.ok("encrypt", "-context=tenant=planted-value", stdin=SECRET)
    audited.refused("decrypt", stdin=made)
    assert audited.ok("decrypt", "-context=tenant=planted-value", stdin=made) == SECRET
    audited.ok("rotate")
    audited.ok("create-key", "-key=orders")
    (audited.home / "plain").write_bytes(SECRET)
    audited.ok("encrypt-file", "-in=plain", "-out=sealed")
    audited.ok("decrypt-file", "-in=sealed", "-out=opened")
    assert told(audited) == [
        ("encrypt", "ok"),
        ("decrypt", "not_authentic"),
        ("decrypt", "ok"),
        ("rotate_key", "begun"),
        ("rotate_key", "ok"),
        ("create_key", "begun"),
        ("create_key", "ok"),
        ("generate_data_key", "ok"),
        ("decrypt_data_key", "ok"),
    ]
    first = records(audited)[0]
    assert first["caller"] == f"uid {os.getuid()}" and first["context_keys"] == ["tenant"]
    assert b"planted" not in (audited.home / "command-audit.log").read_bytes()
    assert not (audited.home / "audit.log").exists()
    found = verified(audited)
    assert found.returncode == 0, found
    log = audited.home / "command-audit.log"
    log.write_text(log.read_text().replace("not_authentic", "ok", 1))
    assert verified(audited).returncode == 2


def test_commands_side_by_side_share_a_log(audited):
    running = [audited.start("encrypt", stdin=subprocess.PIPE) for _ in range(8)]
    # Each has its input late: none keeps the device from the others until then.
    for process in reversed(running):
        out, err = process.communicate(SECRET, timeout=60)
        assert process.returncode == 0 and out, err
    assert told(audited) == [("encrypt", "ok")] * 8
    found = verified(audited)
    assert found.returncode == 0, found


def test_a_migration_is_recorded_file_by_file(audited):
    audited.keys("other.txt", byte=7)
    other = LOCAL.replace("keys.txt", "other.txt").replace("dev\"\n", "dev\"\ndefault_key = \"other\"\n", 1)
    audited.configure(other + AUDIT, "to.toml")
    (audited.home / "tree").mkdir()
    for name in ("a", "b"):
        sealed = audited.ok("encrypt", "-binary", stdin=SECRET)
        (audited.home / "tree" / name).write_bytes(sealed)
    before = len(records(audited))
    audited.ok("migrate", "-from=kms.toml", "-to=to.toml", "tree")
    done = [(record["operation"], record["key"]) for record in records(audited)[before:]]
    # Before the first file it tries whether it may encrypt; each file is opened before it is replaced.
    counts = [("decrypt", "default", 2), ("encrypt", "other", 3), ("decrypt", "other", 2)]
    for operation, key, count in counts:
        assert done.count((operation, key)) == count, done
    assert verified(audited).returncode == 0


def test_what_is_not_recorded_is_not_done(audited):
    made = audited.ok("encrypt", stdin=SECRET)
    log, keys = audited.home / "command-audit.log", audited.home / "keys.txt"
    log.rename(audited.home / "moved.log")
    log.mkdir()
    before = keys.read_bytes()
    for arguments in (("rotate",), ("create-key", "-key=orders"), ("generate-key",)):
        assert "audit" in audited.refused(*arguments)
    done = audited("decrypt", stdin=made)
    assert done.code == 2 and SECRET not in done.out and "audit" in done.err
    assert keys.read_bytes() == before


def test_records_do_not_go_among_the_answers(audited):
    audited.configure(LOCAL + AUDIT.replace("${HOME}/audit.log", "stdout"))
    told = audited.refused("encrypt", code=1, stdin=SECRET)
    assert "audit device 1 of `kms.toml`" in told and "-service" in told
