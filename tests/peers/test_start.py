"""Ways of starting: development mode, hvac's own suite's way, each configuration format."""

import json
import os
import re
import signal
import subprocess

import pytest
from node import (
    IS_BAO,
    Node,
    bao_binary,
    dev_node,
    free_port,
    hcl,
    only_secretum,
    production_node,
    secretum_binary,
    server_binary,
    settings,
    until,
)

# --- development mode --------------------------------------------------------------------------


def printed(node, what):
    """What stands behind `what: ` at the start of a line that the server printed."""
    pattern = re.compile(rf"(?m)^{what}: (\S+)$")
    return until(lambda: pattern.search(node.log.read_text()), f"a line `{what}: …`")[1]


def test_dev_mode_prints_its_keys_and_is_ready(dev):
    assert printed(dev, "Root Token") == "root"
    key = printed(dev, "Unseal Key")
    assert dev.wire().get("sys/seal-status").json["sealed"] is False
    dev.wire().put("sys/seal").expect(204)
    dev.wire().get("sys/mounts").expect(503)
    dev.wire().put("sys/unseal", {"key": key}).expect(200)
    until(lambda: dev.wire().get("sys/health").status == 200, "an active node")


@only_secretum("the lines to type are ours")
def test_dev_mode_says_lines_that_work_as_they_are(dev, tmp_path):
    printed(dev, "Root Token")
    lines = [line for line in dev.log.read_text().splitlines() if line.startswith("    ")]
    (tmp_path / "secretum").symlink_to(secretum_binary())
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    shell = ["sh", "-ec", "\n".join(lines)]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "world" in done.stdout, done


def test_dev_mode_has_kv_2_at_secret(dev):
    mount = dev.wire().get("sys/mounts/secret").expect(200).data
    assert (mount["type"], mount["options"]) == ("kv", {"version": "2"})
    client = dev.hvac()
    client.secrets.kv.v2.create_or_update_secret("a", {"x": "1"})
    assert client.secrets.kv.v2.read_secret("a", raise_on_deleted_version=True)["data"]["data"] == {
        "x": "1"
    }


def test_dev_mode_from_the_environment(tmp_path):
    port = free_port()
    prefix = "BAO" if IS_BAO else "VAULT"
    environment = {
        f"{prefix}_DEV_ROOT_TOKEN_ID": "any text",
        f"{prefix}_DEV_LISTEN_ADDRESS": f"127.0.0.1:{port}",
    }
    node = Node(tmp_path, ["-dev"], f"http://127.0.0.1:{port}", environment=environment)
    node.root_token = "any text"
    node.start()
    node.wire().get("sys/mounts").expect(200)
    node.stop()


def test_dev_mode_chooses_a_token_by_itself(tmp_path):
    port = free_port()
    arguments = ["-dev", f"-dev-listen-address=127.0.0.1:{port}"]
    node = Node(tmp_path, arguments, f"http://127.0.0.1:{port}")
    node.start()
    token = printed(node, "Root Token")
    node.wire(token=token).get("sys/mounts").expect(200)
    assert (tmp_path / ".vault-token").read_text().strip() == token, "for the next command"
    node.stop()


@only_secretum("OpenBao has other names for the files")
def test_dev_mode_leaves_its_certificate_where_it_is_told(tmp_path):
    folder, port = tmp_path / "tls", free_port()
    folder.mkdir()
    # A key that was there, and that others may read: the new one they may not.
    (folder / "key.pem").write_text("old")
    (folder / "key.pem").chmod(0o644)
    address = f"127.0.0.1:{port}"
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-listen-address={address}"]
    # Vault's, which has no effect here, and says so
    flags.append("-log-file=/nowhere/log")
    node = Node(tmp_path, flags, f"https://{address}", str(folder / "certificate.pem"))
    node.start().wire("").get("sys/health").expect(200)
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    assert "the log goes to standard error and not to `/nowhere/log`" in node.log.read_text()
    node.stop()


def test_dev_mode_keeps_nothing(tmp_path):
    for _ in range(2):
        node = dev_node(tmp_path).start()
        assert node.wire().get("secret/data/a").status == 404
        node.wire().put("secret/data/a", {"data": {"x": "1"}}).expect(200)
        node.stop()


# --- hvac's own suite --------------------------------------------------------------------------


@pytest.mark.parametrize("stanza", ["backend", "storage"])
def test_the_way_of_hvacs_own_suite(tmp_path, certificates, stanza):
    """A binary named `vault` on the PATH, asked for its version, started with a JSON file."""
    (tmp_path / "vault").symlink_to(server_binary())
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    version = subprocess.run(
        ["vault", "-version"], capture_output=True, text=True, env=environment, check=True
    ).stdout
    name = "OpenBao" if IS_BAO else "Vault"
    assert re.match(rf"{name} v\d+\.\d+\.\d+", version), version

    port = free_port()
    document = {
        stanza: {"inmem": {}},
        "listener": {
            "tcp": {
                "address": f"127.0.0.1:{port}",
                "tls_cert_file": str(certificates.chain),
                "tls_key_file": str(certificates.key),
            }
        },
        "disable_mlock": True,
        "default_lease_ttl": "768h",
        "max_lease_ttl": "768h",
    }
    file = tmp_path / "vault.json"
    file.write_text(json.dumps(document))
    binary = bao_binary() if IS_BAO else str(tmp_path / "vault")
    address = f"https://127.0.0.1:{port}"
    node = Node(tmp_path, [f"-config={file}"], address, certificates.ca, binary).start()
    try:
        client = node.initialize(5, 3).unseal().hvac()
        assert client.is_authenticated() and client.sys.is_initialized()
        client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        until(lambda: node.wire().get("secret/config").status == 200, "the mount")
        client.secrets.kv.v2.create_or_update_secret("a", {"x": "1"})
        assert node.wire().get("sys/seal-status").json["storage_type"] == "inmem"
    finally:
        node.stop()


# --- configuration formats ---------------------------------------------------------------------


def toml(document):
    """Our own format: the same names, as tables."""
    simple = {key: value for key, value in document.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in simple.items()]
    for key, blocks in document.items():
        for label, block in blocks.items() if isinstance(blocks, dict) else ():
            lines.append(f"[{key}.{label}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in block.items()]
    return "\n".join(lines) + "\n"


FORMATS = {"hcl": hcl, "json": json.dumps} | ({} if IS_BAO else {"toml": toml})


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("storage", ["raft", "inmem"] + ([] if IS_BAO else ["file"]))
def test_each_format_starts_a_server(tmp_path, certificates, kind, storage):
    """Storage `file` is Vault's; OpenBao gave it up."""
    port = free_port()
    document = settings(tmp_path, port, certificates, storage)
    file = tmp_path / f"server.{kind}"
    file.write_text(FORMATS[kind](document))
    node = Node(tmp_path, [f"-config={file}"], document["api_addr"], certificates.ca).start()
    node.initialize(1, 1).unseal()
    assert node.wire().get("sys/mounts/cubbyhole/tune").data["max_lease_ttl"] == 720 * 3600
    node.stop()


@pytest.mark.parametrize("split", ["flags", "folder"])
def test_a_configuration_in_two_files(tmp_path, certificates, split):
    document = settings(tmp_path, free_port(), certificates)
    folder = tmp_path / "conf"
    folder.mkdir()
    one, two = folder / "one.hcl", folder / "two.hcl"
    one.write_text(hcl({"storage": document.pop("storage")}))
    two.write_text(hcl(document))
    arguments = [f"-config={folder}"] if split == "folder" else [f"-config={one}", f"-config={two}"]
    node = Node(tmp_path, arguments, document["api_addr"], certificates.ca).start()
    node.stop()


def test_a_port_in_use_is_a_clear_error(tmp_path, certificates, node):
    document = settings(tmp_path, node.wire().url.port, certificates)
    file = tmp_path / "server.hcl"
    file.write_text(hcl(document))
    done = subprocess.run(
        [server_binary(), "server", f"-config={file}"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "in use" in done.stdout + done.stderr
    assert str(node.wire().url.port) in done.stdout + done.stderr


def test_interrupt_ends_it_as_terminate_does(tmp_path, certificates):
    node = production_node(tmp_path, certificates).start()
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(30) == 0


@pytest.mark.parametrize("flag", [["-config=absent.hcl"], [], ["-nonsense"]])
def test_without_a_usable_configuration(tmp_path, flag):
    done = subprocess.run(
        [server_binary(), "server", *flag],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 1 and (done.stderr + done.stdout).strip()
