"""`-output-policy`: a token with exactly the policy that a command prints can run that command."""

import re

import pytest
from command import Cli, Run
from node import only_secretum, production_node, until

pytestmark = only_secretum("OpenBao prints the rights to the last request alone")

NOTHING = 'path "nowhere" { capabilities = ["read"] }'


class Scene:
    """An open vault with something of everything, and our command as its root."""

    def __init__(self, node, home):
        self.node, self.home = node, home
        self.wire, self.ours = node.wire(), Cli("secretum", node, home)
        for mount, options in [("one", {}), ("two", {"version": "2"})]:
            body = {"type": "kv", "options": options}
            self.wire.put(f"sys/mounts/{mount}", body).expect(204)
        until(lambda: self.wire.get("two/config").status == 200, "an answer of two/config")
        self.wire.put("one/a", {"x": "1"}).expect(204)
        for value in ["1", "2"]:
            self.wire.put("two/data/a", {"data": {"x": value}}).expect(200)
        self.wire.put("sys/policies/acl/dev", {"policy": NOTHING}).expect(204)
        (home / "policy.hcl").write_text(NOTHING)
        self.ours.ok("kv", "export", "-mount=two", f"-file={home / 'tree.json'}")

    def token(self, *policies):
        body = {"policies": policies or ["dev"]}
        return self.wire.post("auth/token/create", body).expect(200).json["auth"]

    def wrapped(self):
        headers = {"X-Vault-Wrap-TTL": "60"}
        answer = self.wire.put("sys/wrapping/wrap", {"x": "1"}, headers=headers).expect(200)
        return answer.json["wrap_info"]["token"]

    def enable(self, path):
        self.wire.put(f"sys/mounts/{path}", {"type": "kv"}).expect(204)
        return path

    def device(self, path):
        options = {"file_path": str(self.node.directory / "audit" / f"{path}.log")}
        self.wire.put(f"sys/audit/{path}", {"type": "file", "options": options}).expect(204)
        return path

    def begin(self, path, **body):
        self.wire.put(f"sys/{path}", body).expect(200)
        return path

    def nonce(self, path):
        return ["-nonce", self.wire.get(f"sys/{path}").expect(200).json["nonce"]]

    def run(self, words):
        """Runs a command by the policy that it prints, and nothing else."""
        shown = self.ours(*words, "-output-policy")
        policy = shown.out
        if policy.startswith("#"):
            return policy, self.ours.as_token("")(*words)
        if not policy.startswith("path "):
            return policy, Run(-1, policy, f"no policy: {shown.err}")
        self.wire.put("sys/policies/acl/exactly", {"policy": policy}).expect(204)
        body = {"policies": ["exactly"], "no_default_policy": True}
        token = self.wire.post("auth/token/create", body).expect(200).json["auth"]["client_token"]
        return policy, self.ours.as_token(token)(*words)


# What each command is run with; a function gets the scene. Those that end or open the vault come last.
COMMANDS = {
    "read": ["one/a"],
    "write": ["one/b", "x=1"],
    "patch": ["two/metadata/a", "max_versions=5"],
    "delete": ["one/b"],
    "list": ["one"],
    "scan": ["two/metadata"],
    "login": lambda scene: ["-no-store", "-method=token", scene.token("default")["client_token"]],
    "status": [],
    "unwrap": lambda scene: [scene.wrapped()],
    "path-help": ["two"],
    "kv get": ["two/a"],
    "kv put": ["two/b", "x=1"],
    "kv patch": ["two/a", "x=3"],
    "kv patch -method=rw": ["two/a", "x=3"],
    "kv list": ["two"],
    "kv scan": ["two"],
    "kv find": ["-name=a", "two"],
    "kv find -keys": ["-name=x", "two"],
    "kv diff": ["two/a"],
    "kv diff -from=1": ["-to=2", "two/a"],
    "kv copy": ["two/a", "two/c"],
    "kv move": ["two/c", "two/d"],
    "kv export": ["-mount=two"],
    "kv import": lambda scene: ["-mount=two", "-on-conflict=overwrite", str(scene.home / "tree.json")],
    "kv rollback": ["-version=1", "two/a"],
    "kv delete": ["two/d"],
    "kv undelete": ["-versions=1", "two/d"],
    "kv destroy": ["-versions=1", "two/d"],
    "kv metadata get": ["two/a"],
    "kv metadata put": ["-max-versions=7", "two/a"],
    "kv metadata patch": ["-max-versions=8", "two/a"],
    "kv metadata delete": ["two/d"],
    "kv enable-versioning": lambda scene: [scene.enable("older")],
    "token create": ["-policy=exactly", "-no-default-policy"],
    "token lookup": lambda scene: [scene.token()["client_token"]],
    "token renew": lambda scene: [scene.token()["client_token"]],
    "token revoke": lambda scene: [scene.token()["client_token"]],
    "token capabilities": lambda scene: [scene.token()["client_token"], "one/a"],
    "policy list": [],
    "policy read": ["dev"],
    "policy write": lambda scene: ["new", str(scene.home / "policy.hcl")],
    "policy delete": ["new"],
    "policy check": lambda scene: [
        f"-token={scene.token()['client_token']}",
        "read",
        "nowhere",
    ],
    "secrets list": [],
    "secrets list -detailed": [],
    "secrets enable": ["-path=made", "kv"],
    "secrets tune": ["-description=x", "made"],
    "secrets move": ["made", "moved"],
    "secrets disable": ["moved"],
    "auth list": [],
    "auth tune": ["-description=x", "token"],
    "auth disable": ["nothing"],
    "lease revoke": ["auth/token/create/x"],
    "audit enable": lambda scene: [
        "-path=made",
        "file",
        f"file_path={scene.node.directory / 'audit' / 'made.log'}",
    ],
    "audit list": [],
    "audit key": ["made"],
    "audit disable": ["made"],
    "operator key-status": [],
    "operator rotate": [],
    "operator init -status": [],
    "operator generate-root -init": [],
    "operator generate-root -status": [],
    "operator generate-root": lambda scene: [
        *scene.nonce("generate-root/attempt"),
        scene.node.keys[0],
    ],
    "operator rekey -init": ["-key-shares=1", "-key-threshold=1"],
    "operator rekey -status": [],
    "operator rekey": lambda scene: [*scene.nonce("rekey/init"), scene.node.keys[0]],
    "operator members": [],
    "version-history": [],
    "operator step-down": [],
    "operator seal": [],
    "operator unseal -reset": [],
}

# What cannot succeed here, and is refused for another reason than its rights.
REFUSED = {
    "lease lookup": ["auth/token/create/x"],
    "lease renew": ["auth/token/create/x"],
    "auth enable": ["userpass"],
    "auth move": ["userpass", "other"],
}


def words_of(name, given, scene):
    given = given(scene) if callable(given) else given
    return [*name.split(), *given]


def commands(ours, *words):
    """Every command that has the flag."""
    told = ours.ok(*words, "-help").out
    listed = re.search(r"Commands:\n((?:  .*\n|\n)+)", told)
    if not listed:
        return [" ".join(words)] if "--output-policy" in told else []
    below = re.findall(r"^  (\S+)", listed.group(1), re.MULTILINE)
    return [found for name in below if name != "help" for found in commands(ours, *words, name)]


@pytest.fixture
def scene(tmp_path, certificates):
    directory = tmp_path / "node"
    directory.mkdir()
    node = production_node(directory, certificates, "inmem").start().initialize(1, 1).unseal()
    home = tmp_path / "home"
    home.mkdir()
    yield Scene(node, home)
    node.stop()


@pytest.mark.timeout(300)
def test_the_policy_that_is_shown_is_enough(scene):
    failed = []
    for name, given in COMMANDS.items():
        words = words_of(name, given, scene)
        policy, done = scene.run(words)
        if done.code != 0:
            failed.append(f"{words}\n{policy}{done.out}{done.err}")
    assert not failed, "\n".join(failed)


def test_it_is_enough_for_what_is_refused_otherwise(scene):
    for name, given in REFUSED.items():
        words = words_of(name, given, scene)
        policy, done = scene.run(words)
        assert done.code == 2 and "permission denied" not in done.err, (words, policy, done.err)


def test_every_command_that_has_it_is_tried(scene):
    tried = {" ".join(word for word in name.split() if word[0] != "-") for name in [*COMMANDS, *REFUSED]}
    assert set(commands(scene.ours)) == tried
