"""The command lines under test: OpenBao's `bao` and our `secretum`, called the same way."""

import json
import os
import subprocess
from dataclasses import dataclass

import needles
import yaml
from node import IS_BAO, bao_binary, secretum_binary

# With PEERS_SERVER=bao our own command joins in only if there is one.
CLIENTS = ["bao"] if IS_BAO and not os.environ.get("SECRETUM_BIN") else ["bao", "secretum"]
LEFT_OUT = ("BAO_", "VAULT_", "SECRETUM_")


@dataclass(frozen=True)
class Run:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def yaml(self):
        return yaml.safe_load(self.out)

    @property
    def pairs(self):
        """A two-column table as a map; what has no second column is left out."""
        lines = (line.split(None, 1) for line in self.out.splitlines())
        return {line[0]: line[1].strip() for line in lines if len(line) == 2}

    def expect(self, code=0):
        assert self.code == code, (self.code, self.out, self.err)
        return self


class Cli:
    """One client binary, one server, one home directory."""

    def __init__(self, client, node, home, token=None):
        self.client, self.node, self.home = client, node, home
        self.binary = bao_binary() if client == "bao" else secretum_binary()
        self.token = node.root_token if token is None else token

    def as_token(self, token):
        return Cli(self.client, self.node, self.home, token)

    def environment(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT)}
        kept |= {"HOME": str(self.home), "VAULT_ADDR": self.node.address}
        if self.node.cafile:
            kept["VAULT_CACERT"] = str(self.node.cafile)
        if self.token:
            kept["VAULT_TOKEN"] = self.token
        if self.client == "bao":  # `bao` hears both names, its own first
            kept |= {"BAO_" + key[6:]: value for key, value in kept.items() if key[:6] == "VAULT_"}
        return kept

    def __call__(self, *arguments, stdin="", **environment):
        done = subprocess.run(
            [self.binary, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home,
            env=self.environment() | environment,
        )
        needles.learn(done.stdout)
        needles.keep(" ".join(map(str, arguments[:1])), done.stderr)
        return Run(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments, **more):
        return self(*arguments, **more).expect(0)
