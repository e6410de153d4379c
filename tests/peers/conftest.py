r"""Fixtures: one production node and one development node per run, and fresh ones on demand.

    pip install -r tests/peers/requirements.txt
    SECRETUM_BIN=target/debug/secretum KMS_SERVICE_BIN=target/debug/kms-service \
        SECRETUM_NU=.peers/nu-0.115.1 SECRETUM_KUSTOMIZE=.peers/kustomize-5.0.3 \
        python -m pytest tests/peers
    PEERS_SERVER=bao python -m pytest tests/peers      # the tests themselves, against OpenBao

`openssl`, `curl`, `gpg`, `rsyslogd`, `age`, `fish`, `zsh` and `systemd-analyze` are needed too. The tests
that fill up a disk of their own need root, or a system
that lets users have namespaces.
"""

import itertools
import sys
from pathlib import Path

import certificates as certificate_files
import needles
import pytest
from command import CLIENTS, Cli
from disk import SmallDisk, allow_mounts
from kms_node import KmsService, Moto, Transit
from kms_scene import answering, kms, serve  # noqa: F401 (fixtures)
from node import IS_BAO, Node, dev_node, production_node, until

_counter = itertools.count(1)

# What of the programs that tests start is a peer of ours, by how its name begins, and its name for people.
PEERS = {
    "bao": "OpenBao",
    "age": "age",
    "bash": "Bash",
    "curl": "curl",
    "fish": "fish",
    "gpg": "GnuPG",
    "kustomize": "kustomize",
    "moto_server": "moto",
    "nu-": "Nushell",
    "openssl": "OpenSSL",
    "promtool": "promtool",
    "rsyslogd": "rsyslog",
    "schemathesis": "Schemathesis",
    "sops": "SOPS",
    "ssh-keygen": "OpenSSH",
    "systemd-analyze": "systemd",
    "zsh": "zsh",
}
_started = set()


def _note(event, arguments):
    if event == "subprocess.Popen":
        program = Path(str(arguments[0] or arguments[1][0])).name
        _started.update(name for start, name in PEERS.items() if program.startswith(start))


sys.addaudithook(_note)

# Before there is a thread, and before any server is started: they are to see the mounts, too.
no_mounts = allow_mounts()


def pytest_collection_modifyitems(items):
    """Leaves out what does not concern the server under test, by name in the summary."""
    unwanted = "only_secretum" if IS_BAO else "only_bao"
    for item in items:
        mark = item.get_closest_marker(unwanted)
        if mark:
            item.add_marker(pytest.mark.skip(reason=f"{unwanted}: {mark.args[0]}"))


def pytest_terminal_summary(terminalreporter):
    """The Python clients are libraries here, and take part in every run."""
    took_part = ", ".join(sorted(_started, key=str.lower)) or "none"
    terminalreporter.write_line(f"programs that took part: {took_part}")


def pytest_sessionfinish():
    """Ends the servers of tests that failed before they could."""
    for process in Node.started:
        if process.poll() is None:
            process.kill()


@pytest.fixture(scope="session", autouse=True)
def told_to_nobody(tmp_path_factory):
    """At the end of the run, nothing that any server handed out is in what any of them wrote, refused or
    counted."""
    yield
    if IS_BAO:
        return
    nodes = [node for node in Node.every if not node.is_raw] + KmsService.every
    places = [place for node in nodes for place in node.places()]
    places.append(needles.write_kept(tmp_path_factory.mktemp("told") / "errors-and-metrics"))
    told = needles.told_in(places)
    assert told == [], f"{len(needles.all_of_them())} texts were looked for in {len(places)} places"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return certificate_files.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def node(tmp_path_factory, certificates):
    """The production node: TLS, Raft storage, initialized 5/3, unsealed, file audit on."""
    directory = tmp_path_factory.mktemp("production")
    node = production_node(directory, certificates).start().initialize().unseal()
    node.audit_log = directory / "audit" / "production.log"
    device = {"type": "file", "options": {"file_path": str(node.audit_log)}}
    node.wire().put("sys/audit/file", device).expect(204)
    yield node
    if not IS_BAO:
        for form in ["prometheus", ""]:
            path = f"sys/metrics?format={form}"
            needles.keep(path, node.wire().get(path).expect(200).body)
    node.stop()


@pytest.fixture(scope="session")
def dev(tmp_path_factory):
    """A development node with the root token `root` and KV 2 at secret/."""
    node = dev_node(tmp_path_factory.mktemp("dev")).start()
    yield node
    node.stop()


@pytest.fixture
def fresh(tmp_path, certificates):
    """Makes production nodes that belong to one test; not started, not initialized."""
    made = []

    def make(storage="raft"):
        directory = tmp_path / f"node-{len(made) + 1}"
        directory.mkdir()
        made.append(production_node(directory, certificates, storage))
        return made[-1]

    yield make
    for node in made:
        node.stop()


@pytest.fixture
def transit(tmp_path):
    """OpenBao with a transit engine, for one test."""
    transit = Transit(tmp_path)
    yield transit
    transit.stop()


@pytest.fixture
def small_disk():
    """Mounts file systems of limited size."""
    if no_mounts:
        pytest.fail(no_mounts)
    made = []

    def mount(directory, size_bytes):
        made.append(SmallDisk(directory, size_bytes))
        return made[-1]

    yield mount
    for disk in made:
        disk.unmount()


@pytest.fixture
def wire(node):
    """Raw HTTP to the production node as root."""
    return node.wire()


@pytest.fixture
def client(node):
    """hvac to the production node as root."""
    return node.hvac()


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"n{next(_counter)}"


@pytest.fixture
def kv1(wire, name):
    """The path of a new KV 1 mount."""
    path = f"kv1-{name}"
    wire.put(f"sys/mounts/{path}", {"type": "kv", "options": {"version": "1"}}).expect(204)
    yield path
    wire.delete(f"sys/mounts/{path}").expect(204)


@pytest.fixture
def kv2(wire, name):
    """The path of a new KV 2 mount that is ready for use."""
    path = f"kv2-{name}"
    wire.put(f"sys/mounts/{path}", {"type": "kv", "options": {"version": "2"}}).expect(204)
    ready(wire, path)
    yield path
    wire.delete(f"sys/mounts/{path}").expect(204)


@pytest.fixture
def kv(client, kv2):
    """hvac's KV 2 calls, bound to a fresh mount."""
    return Bound(client.secrets.kv.v2, kv2)


class Bound:
    def __init__(self, calls, mount):
        self.calls, self.mount = calls, mount

    def __getattr__(self, method):
        call = getattr(self.calls, method)
        return lambda *args, **more: call(*args, mount_point=self.mount, **more)

    def write(self, path, cas=None, **secret):
        return self.create_or_update_secret(path, secret, cas=cas)["data"]

    def read(self, path, version=None):
        answer = self.read_secret_version(path, version=version, raise_on_deleted_version=False)
        return answer["data"]

    def metadata(self, path):
        return self.read_secret_metadata(path)["data"]


def ready(wire, path):
    """Waits until a KV 2 mount answers: OpenBao prepares it in the background."""
    until(lambda: wire.get(f"{path}/config").status == 200, f"an answer of {path}/config")


@pytest.fixture
def token_with(wire, name):
    """Makes tokens that hold one policy, whose HCL text is given."""

    def make(policy, **fields):
        policy_name = f"p-{name}-{next(_counter)}"
        wire.put(f"sys/policies/acl/{policy_name}", {"policy": policy}).expect(200, 204)
        body = {"policies": [policy_name], "no_default_policy": True, **fields}
        auth = wire.post("auth/token/create", body).expect(200).json["auth"]
        return auth["client_token"]

    return make


@pytest.fixture(params=CLIENTS)
def cli(request, node, tmp_path):
    """Each command line in turn, as root against the production node, with a home of its own."""
    return Cli(request.param, node, tmp_path)


@pytest.fixture
def ours(node, tmp_path):
    """Our own command line, for what the others have not."""
    return Cli("secretum", node, tmp_path)


@pytest.fixture
def moto(tmp_path):
    """moto, which plays AWS, for one test."""
    moto = Moto(tmp_path)
    yield moto
    moto.stop()
