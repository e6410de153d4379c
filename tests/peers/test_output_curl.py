"""`-output-curl-string`: what a command prints, a shell and a real curl do, over TLS of an own authority."""

import json
import os
import subprocess

import pytest

pytestmark = pytest.mark.only_secretum("our own command")


@pytest.fixture
def shell(ours, tmp_path):
    """Gives a printed command line to a shell; gives the status and the body of the answer."""
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "secretum").symlink_to(ours.binary)

    def run(line):
        environment = ours.environment()
        # What a person has in another terminal: a token, and nothing that names the authority.
        del environment["VAULT_CACERT"]
        environment["PATH"] = f"{bin}:{os.environ['PATH']}"
        line = f"{line.strip()} --silent --show-error --write-out '\\n%{{http_code}}'"
        command = ["bash", "-euc", line]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (line, done.stderr)
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), body

    return run


def test_what_is_printed_does_what_the_command_does(ours, shell, wire, kv1, kv2, tmp_path):
    odd = "it's \"quoted\" $HOME `id` \\ ü"
    policy = tmp_path / "policy.hcl"
    policy.write_text('path "nowhere" { capabilities = ["read"] }')
    for words, statuses in [
        (["write", f"{kv1}/a", f"x={odd}"], {204}),
        (["read", f"{kv1}/a"], {200}),
        (["list", kv1], {200}),
        (["kv", "put", f"-mount={kv2}", "a", f"x={odd}"], {200}),
        (["kv", "get", f"-mount={kv2}", "a"], {200}),
        (["kv", "metadata", "put", "-max-versions=3", f"-mount={kv2}", "a"], {204}),
        (["kv", "metadata", "patch", "-max-versions=4", f"-mount={kv2}", "a"], {204}),
        (["kv", "delete", f"-mount={kv2}", "a"], {204}),
        (["policy", "write", f"curl-{kv1}", str(policy)], {204}),
        (["policy", "delete", f"curl-{kv1}"], {204}),
        (["token", "lookup"], {200}),
        (["token", "create", "-ttl=1m", "-wrap-ttl=1m"], {200}),
        (["path-help", kv2], {200}),
        (["delete", f"{kv1}/a"], {204}),
    ]:
        line = ours.ok(*words, "-output-curl-string").out
        assert ours.token not in line
        status, body = shell(line)
        assert status in statuses, (line, status, body)
        if words[:2] == ["read", f"{kv1}/a"]:
            assert json.loads(body)["data"] == {"x": odd}
        if words[:2] == ["kv", "get"]:
            assert json.loads(body)["data"]["data"] == {"x": odd}
    assert wire.get(f"{kv2}/metadata/a").expect(200).data["max_versions"] == 4


def test_who_trusts_anybody_says_so(ours, shell):
    line = ours.ok("token", "lookup", "-tls-skip-verify", "-output-curl-string").out
    assert " --insecure " in line and shell(line)[0] == 200
