"""A `kms-service` process under test, whose binary `KMS_SERVICE_BIN` names; and servers of keys beside it."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import needles
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

    every = []  # every service that was started

    def __init__(self, directory, kms, service=""):
        self.directory = directory
        self.starts = 0
        self.session = requests.Session()
        # Else a variable of the environment goes before what a test says.
        self.session.trust_env = False
        self.session.hooks["response"].append(self._answered)
        text = f'[kms]\nenvironment = "dev"\n{kms}\n[service]\naddress = "127.0.0.1:0"\n{service}'
        (directory / "kms.toml").write_text(text)
        self.process = None
        self.url = None

    def start(self, scheme="http"):
        self.starts += 1
        self.log = self.directory / f"service-{self.starts}.log"
        KmsService.every.append(self)
        needles.learn_files(self.directory)
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

    def _answered(self, answer, **_):
        """Keeps what an answer hands out; a refusal is something that it wrote."""
        if answer.ok:
            needles.learn(answer.content)
        else:
            with (self.directory / "refusals").open("ab") as refusals:
                refusals.write(answer.content + b"\n")

    def _keep_metrics(self):
        """What it tells of itself, to who may ask; with certificates alone, not even that."""
        with contextlib.suppress(requests.RequestException):
            answer = self.session.get(f"{self.url}/metrics", verify=False, timeout=30)
            (self.directory / f"metrics-{self.starts}").write_bytes(answer.content)

    def places(self):
        """All that it wrote, and what it answered without handing anything out."""
        names = ["service-*.log", "metrics-*", "refusals", "audit*", "data-keys", "rotation"]
        return [place for name in names for place in self.directory.glob(name)]

    def stop(self):
        """Ends it as an operator would, and gives its exit code."""
        if self.process and self.process.poll() is None:
            if self.url:
                self._keep_metrics()
            self.process.terminate()
            self.process.wait(timeout=40)
            needles.learn_files(self.directory)
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


class Moto:
    """moto, which plays AWS, with a key that has the alias `alias/app`."""

    region = "eu-central-1"

    def __init__(self, directory):
        self.address = f"http://127.0.0.1:{free_port()}"
        binary = Path(sys.executable).parent / "moto_server"
        assert binary.exists(), "no `moto_server`: pip install -r tests/peers/requirements.txt"
        self.process = subprocess.Popen(
            [str(binary), "-H", "127.0.0.1", "-p", self.address.rsplit(":", 1)[1]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"HOME": str(directory)},
        )
        until(self._answers, "moto")
        self.kms = boto3.client(
            "kms",
            region_name=self.region,
            endpoint_url=self.address,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="x",
        )
        self.key = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.kms.create_alias(AliasName="alias/app", TargetKeyId=self.key)

    def _answers(self):
        assert self.process.poll() is None, "moto ended"
        try:
            return requests.get(self.address, timeout=30).ok
        except requests.ConnectionError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()
