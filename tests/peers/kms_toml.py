"""The configurations of kms-service that stand in guides and manifests, made ready to be checked.

A guide shows parts of a file, and names files that only its reader has. What is missing around a part is
put there, and each file that is named is made: then the real program can say whether it is right.
"""

import base64
import os
import re
import subprocess
import tomllib

from kms_node import kms_service_binary

_TOML = re.compile(r"^```toml\n(.*?)^```", re.M | re.S)
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
_HEREDOC = re.compile(r"> kms\.toml <<'?TOML'?\n(.*?)^TOML$", re.M | re.S)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SHELL_VARIABLE = re.compile(r"\$SHA256\b")

# A public and a private key of age, for nothing else.
AGE_PUBLIC = "age13vzmtcduvlmcyg2t0pxgks8d63wxpxean0znspjjt0c5nat4xvxs0ysu7j\n"
AGE_PRIVATE = "AGE-SECRET-KEY-18CAUY0UMLMAPZ9TCEW60RTXGJYCVH589TLJHMCJLYLTYVX6V9AMSSXWY4H\n"
# Tables of [kms] that are of no provider.
WRAPPERS = {"cache", "retry", "circuit_breaker", "rate_limit", "rotation"}
KEY_BYTES = base64.b64encode(bytes(32)).decode()


def of_guide(text):
    """Every configuration in a guide, with the line it begins at: blocks, and files made in shells."""
    found = [(text.count("\n", 0, at.start(1)) + 1, at.group(1)) for at in _TOML.finditer(text)]
    for shell in _SHELL.finditer(text):
        for at in _HEREDOC.finditer(shell.group(1)):
            line = text.count("\n", 0, shell.start(1) + at.start(1)) + 1
            found.append((line, _SHELL_VARIABLE.sub("0" * 64, at.group(1))))
    return sorted(found)


def stages(text):
    """The stages that it has a backend for: both are to be right."""
    kms = tomllib.loads(text).get("kms", {})
    named = [stage for stage in ("dev", "prod") if f"{stage}_backend" in kms]
    is_open = "${" in kms.get("environment", "${")
    return named if is_open and named else ["dev"]


def backend(text, stage):
    """Which provider serves in this stage."""
    kms = tomllib.loads(text).get("kms", {})
    environment = kms.get("environment", stage)
    stage = stage if "${" in environment else "dev" if environment[:3] in ("dev", "tes") else "prod"
    return kms.get(f"{stage}_backend") or (_tables(kms) or ["local"])[0]


def _tables(kms):
    """The providers that have a table."""
    return [name for name, value in kms.items() if isinstance(value, dict) and name not in WRAPPERS]


def _completed(text):
    """The whole file that a part of it comes from."""
    document = tomllib.loads(text)
    kms, service = document.get("kms", {}), document.get("service", {})
    front = behind = ""
    if not any(key.endswith("_backend") for key in kms):
        tables = _tables(kms)
        provider = (tables or ["local"])[0]
        front = f'[kms]\nenvironment = "prod"\nprod_backend = "{provider}"\n'
        if provider not in tables:
            behind = f'\n[kms.{provider}]\nallow_in_production = true\nkeys_path = "keys.txt"\n'
    sops = service.get("sops", {}).get("providers", [])
    if "grpc" in service and not {"sops", "data_keys"} & set(service):
        sops = ["age"]
        behind += '\n[service.sops]\nproviders = ["age"]\n'
    if "age" in sops and "age" not in kms:
        behind += '\n[kms.age]\nallow_in_production = true\nprivate_key_path = "private.txt"\n'
    if {"sops", "data_keys"} & set(service) and "grpc" not in service:
        behind += '\n[service.grpc]\naddress = "127.0.0.1:8083"\n'
    return front + text + behind


def _paths(table):
    """Every key that names a file, with its value."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _paths(value)
        elif isinstance(value, str) and key.endswith("_path"):
            yield key, value


class Sandbox:
    """A folder with every file that a configuration can name."""

    def __init__(self, directory, certificates):
        self.directory = directory
        self.certificates = certificates

    def _content(self, key):
        if key in ("public_key_path", "private_key_path"):
            return AGE_PUBLIC if key.startswith("public") else AGE_PRIVATE
        if key == "keys_path":
            return f"default:1:{KEY_BYTES}\n"
        if key == "key_path":  # what signs audit logs
            return bytes(32).hex()
        if key.endswith("key_path"):
            return self.certificates.key.read_text()
        if "ca" in key.split("_"):
            return self.certificates.ca.read_text()
        if key.endswith("cert_path"):
            return self.certificates.chain.read_text()
        return "a token"

    def _make(self, name, key):
        file = self.directory / name
        file.write_text(self._content(key))
        file.chmod(0o600)
        return name

    def ready(self, text):
        """A whole file whose every path leads to something."""
        whole = _completed(text)
        self._make("keys.txt", "keys_path")
        self._make("private.txt", "private_key_path")
        for number, (key, path) in enumerate(_paths(tomllib.loads(whole))):
            whole = whole.replace(f'"{path}"', f'"{self._make(f"file-{number}", key)}"')
        return whole.replace("file?path=/", f"file?path={self.directory}/")

    def check(self, text, stage="dev"):
        """What `kms-service --check` says: its code, and its words."""
        whole = self.ready(text)
        (self.directory / "kms.toml").write_text(whole)
        environment = {name: KEY_BYTES for name in _VARIABLE.findall(whole)}
        environment |= {
            name: "https://localhost:8200"
            for name in environment
            if name.endswith(("_URL", "_ADDR", "_ENDPOINT"))
        }
        environment |= {
            "HOME": str(self.directory),
            "PROVISIONING_ENV": stage,
            "VAULT_ADDR": "https://localhost:8200",
            "VAULT_TOKEN": "a-token",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            [kms_service_binary(), "--config", "kms.toml", "--check"],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr
