"""The Nushell module `kms` in a real `nu`: values in, values out."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from kms_command import LOCAL, KmsCommand
from kms_node import KmsService
from node import IS_BAO

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms is ours alone")

ROOT = Path(__file__).resolve().parents[2]


def nu_binary():
    path = os.environ.get("SECRETUM_NU")
    assert path and os.access(path, os.X_OK), "SECRETUM_NU must name `nu`: ./test peers fetches it"
    return path


class Nu:
    """A `nu` that uses the module, in a folder with a `kms.toml` of the provider `local`."""

    def __init__(self, home):
        self.kms = KmsCommand(home).keys().configure()

    def run(self, script, **environment):
        return subprocess.run(
            [nu_binary(), "--no-config-file", "--commands", f"use {ROOT}/nushell/kms.nu\n{script}"],
            capture_output=True,
            text=True,
            timeout=100,
            cwd=self.kms.home,
            env=self.kms.environment(SECRETUM_BIN=self.kms.binary, **environment),
        )

    def __call__(self, script, **environment):
        """What a pipeline gives, as JSON would have it."""
        done = self.run(f"{script} | to json --raw", **environment)
        assert done.returncode == 0, (script, done.stderr)
        return json.loads(done.stdout)


@pytest.fixture
def nu(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Nu(home)


def test_texts_and_bytes_come_back(nu):
    for text in ("", "hällo", "two\nlines\n"):
        value = json.dumps(text, ensure_ascii=False)
        assert nu(f"{value} | kms encrypt | kms decrypt") == text
    some = "0x[00 ff 0a 80 0d 0a 00]"
    assert nu(f"({some} | kms encrypt | kms decrypt) == {some}") is True
    assert nu(f"({some} | kms encrypt --binary | describe)") == "binary"
    assert nu(f"({some} | kms encrypt --binary | kms re-encrypt | kms decrypt) == {some}") is True
    assert nu("'x' | kms encrypt | kms decrypt --binary | describe") == "binary"
    # What the key service made stands behind a head.
    ends = "let made = 'x' | kms encrypt\n$made | decode base64 | bytes ends-with ($made | kms export-native)"
    assert nu(ends) is True
    every = "(0..255 | each {|n| $n | into binary | first 1 } | bytes collect)"
    assert nu(f"({every} | kms encrypt | kms decrypt) == {every}") is True


def test_a_variable_for_answers_of_others_changes_nothing(nu):
    for format in ("json", "yaml", "raw"):
        text = nu("'x' | kms encrypt | kms re-encrypt | kms decrypt", VAULT_FORMAT=format)
        assert text == "x"


def test_contexts_are_records_texts_and_lists(nu):
    made = "'x' | kms encrypt --context {env: prod, n: 1}"
    for same in ("{n: '1', env: prod}", "'env=prod,n=1'", "[{n: 1} 'env=prod']"):
        assert nu(f"{made} | kms decrypt --context {same}") == "x"
    refused = nu.run(f"{made} | kms decrypt --context {{env: dev}}")
    assert refused.returncode != 0 and "encryption context is not" in refused.stderr
    caught = nu("try { 'x' | kms decrypt } catch {|e| $e.msg }")
    assert "no ciphertext" in caught
    assert nu("'x,y' | kms encrypt --context {a: 'b,c=d'} | kms decrypt --context {a: 'b,c=d'}") == "x,y"
    moved = f"{made} | kms re-encrypt --context {{env: prod, n: 1}} --new-context {{}} --new-key other"
    assert nu(f"{moved} | kms decrypt --key other") == "x"


def test_data_keys_are_records(nu):
    made = nu("let key = kms generate-key --key-spec AES_128 --context {a: 1}\n"
              "{key: ($key | reject plaintext), bytes: ($key.plaintext | bytes length),"
              " same: (($key | kms decrypt-key --context {a: 1}) == $key.plaintext)}")
    assert (made["bytes"], made["same"], made["key"]["key_spec"]) == (16, True, "AES_128")
    assert "plaintext" not in nu("kms generate-key --without-plaintext | columns")


def test_files_and_trees(nu):
    home = nu.kms.home
    (home / "a file").write_bytes(bytes(range(256)) * 1000)
    made = nu("kms encrypt-file 'a file' --context {f: 1}")
    assert (made["file"], made["bytes"]) == ("a file.kms", 256_000)
    assert nu("kms decrypt-file 'a file.kms' --out back --context {f: 1} | get key_id") == "default"
    assert (home / "back").read_bytes() == (home / "a file").read_bytes()
    there = nu.run("kms decrypt-file 'a file.kms' --context {f: 1}")
    assert there.returncode != 0 and "-force" in there.stderr
    (home / "tree").mkdir()
    (home / "a file.kms").rename(home / "tree/one")
    nu.kms.keys("other.txt", byte=3).configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    arguments = "--from kms.toml --to b.toml --context {f: 1}"
    assert nu(f"kms migrate tree {arguments} --dry-run")["migrated"] == 1
    done = nu(f"kms migrate tree {arguments} --no-verify --journal moved")
    assert (home / "moved").exists()
    assert (done["migrated"], done["failed"]) == (1, 0)
    assert nu("kms decrypt-file tree/one --config b.toml --context {f: 1} --out c | get bytes") == 256_000
    (home / "tree/bad").write_bytes(b"SKST\x01")
    failed = nu(f"kms migrate tree {arguments} --journal moved")
    assert failed["failures"][0]["file"] == "tree/bad"
    assert (done["complete"], failed["complete"], failed["left"]) == (True, False, 1)


def test_a_migration_that_was_stopped_is_an_error(nu):
    (nu.kms.home / "tree").mkdir()
    nu.kms.ok("encrypt", "-out=tree/one", stdin=b"x")
    vault = '[kms.vault]\naddress = "http://127.0.0.1:1"\nauth = "token"\ntoken = "t"\n'
    nu.kms.configure(f'[kms]\nenvironment = "dev"\ndev_backend = "vault"\n{vault}', "b.toml")
    caught = nu("try { kms migrate tree --from kms.toml --to b.toml } catch {|e| $e.msg }")
    assert "cannot be reached" in caught and "1 left" in caught


def test_the_key_service_itself(nu, tmp_path):
    assert nu("kms status")["backend"] == "local"
    assert nu("kms rotate --key other")["key_version"] == "2"
    folder = tmp_path / "service"
    folder.mkdir()
    KmsCommand(folder).keys()
    service = KmsService(folder, 'dev_backend = "local"\n[kms.local]\nkeys_path = "keys.txt"\n')
    service.start()
    try:
        assert nu(f"kms health --service {service.url}")["status"] == "healthy"
        made = f"'x' | kms encrypt --service {service.url}"
        assert nu(f"{made} | kms decrypt", KMS_SERVICE_ADDR=service.url) == "x"
    finally:
        service.stop()
    away = nu.run(f"kms health --service {service.url}")
    assert away.returncode != 0 and "cannot be reached" in away.stderr


def test_every_command_has_help(nu):
    names = nu("scope commands | where name =~ '^kms ' | get name")
    binary = nu.kms("-help").out.decode()
    commands = re.findall(r"^  ([a-z][a-z-]+)  ", binary, re.MULTILINE)
    assert len(commands) == 13
    # `export` is a word of the language.
    named = [name.replace("export", "export-native") for name in commands]
    assert sorted(names) == sorted(f"kms {name}" for name in named)
    for name in names:
        told = nu(f"help {name} | ansi strip")
        assert "Usage:" in told and ("--config" in told or name == "kms export-native"), told
