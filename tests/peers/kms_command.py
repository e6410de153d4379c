"""Our `secretum kms`, called with bytes in and out, in a folder of its own and without a vault."""

import base64
import json
import os
import subprocess
from dataclasses import dataclass

import needles
from node import secretum_binary

LEFT_OUT = ("BAO_", "VAULT_", "SECRETUM_", "KMS_", "XDG_", "PROVISIONING_", "COSMIAN_", "AWS_")
LOCAL = '[kms]\nenvironment = "dev"\ndev_backend = "local"\n[kms.local]\nkeys_path = "keys.txt"\n'


def text64(raw):
    return base64.b64encode(raw.encode() if isinstance(raw, str) else raw).decode()


@dataclass(frozen=True)
class Run:
    """What one command did."""

    code: int
    out: bytes
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class KmsCommand:
    """The command in a folder, where it finds the `kms.toml` that was written there."""

    def __init__(self, home):
        self.home, self.binary = home, secretum_binary()

    def configure(self, text=LOCAL, name="kms.toml"):
        (self.home / name).write_text(text)
        return self

    def keys(self, name="keys.txt", byte=0):
        """A file of the provider `local` with the keys `default` and `other`."""
        lines = [f"{key}:1:{text64(bytes([byte]) * 32)}\n" for key in ["default", "other"]]
        return self.secret(name, "".join(lines))

    def secret(self, name, text):
        """A file that is its owner's alone."""
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        return self

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT)}
        return kept | {"HOME": str(self.home)} | more

    def start(self, *arguments, **more):
        """The command as a process that goes on."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [self.binary, "kms", *map(str, arguments)]
        return subprocess.Popen(command, cwd=self.home, env=self.environment(), **(pipes | more))

    def __call__(self, *arguments, stdin=b"", **environment):
        done = subprocess.run(
            [self.binary, "kms", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=100,
            cwd=self.home,
            env=self.environment(**environment),
        )
        needles.learn(done.stdout)
        return Run(done.returncode, done.stdout, done.stderr.decode())

    def ok(self, *arguments, **more):
        done = self(*arguments, **more)
        assert done.code == 0, (arguments, done)
        return done.out

    def refused(self, *arguments, code=2, **more):
        """The words of a refusal."""
        done = self(*arguments, **more)
        assert done.code == code, (arguments, done)
        return done.err

    def names(self, folder=""):
        """What stands in a folder, hidden files too."""
        return sorted(path.name for path in (self.home / folder).iterdir())
