"""A `kms-service` process under test; `KMS_SERVICE_BIN` names the binary."""

import os
import re
import subprocess
from pathlib import Path

import requests
from node import bao_binary, free_port, until


def kms_service_binary():
    path = os.environ.get("KMS_SERVICE_BIN")
    assert path and os.access(path, os.X_OK), (
        "KMS_SERVICE_BIN must name the built `kms-service` binary: "
        "cargo build --package secretum-kms-service"
    )
    return str(Path(path).resolve())


class KmsService:
    """A service in a folder of its own, on a free port, logging into a file there."""

    def __init__(self, directory, kms, service=""):
        self.directory = directory
        self.log = directory / "service.log"
        text = f'[kms]\nenvironment = "dev"\n{kms}\n[service]\naddress = "127.0.0.1:0"\n{service}'
        (directory / "kms.toml").write_text(text)
        self.process = None
        self.url = None

    def start(self, scheme="http"):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [kms_service_binary(), "--config", "kms.toml"],
                cwd=self.directory,
                env={"HOME": str(self.directory)},
                stderr=log,
            )
        found = until(self._address, "an address in the log of kms-service")
        self.url = f"{scheme}://{found}"
        return self

    def _address(self):
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"listening address=(\S+)", self.log.read_text())
        return found and found.group(1)

    def grpc(self):
        """Where it serves gRPC."""
        found = re.search(r"serving gRPC grpc=(\S+)", self.log.read_text())
        return found.group(1)

    def stop(self):
        """Ends it as an operator would, and gives its exit code."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=40)
        return self.process and self.process.returncode


class Transit:
    """OpenBao with a transit engine, and a key `default` in it."""

    token = "root-of-bao"

    def __init__(self, directory):
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [bao_binary(), "server", "-dev", "-dev-no-store-token"]
            + [f"-dev-root-token-id={self.token}", f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"HOME": str(directory)},
        )
        until(lambda: self._write("sys/mounts/transit", {"type": "transit"}), "OpenBao")
        assert self._write("transit/keys/default", {})

    def _write(self, path, body):
        head = {"X-Vault-Token": self.token}
        try:
            answer = requests.post(f"{self.address}/v1/{path}", json=body, headers=head, timeout=30)
        except requests.ConnectionError:
            return False
        return answer.ok

    def stop(self):
        self.process.kill()
        self.process.wait()
