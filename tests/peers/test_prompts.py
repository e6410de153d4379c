"""Questions at a real terminal: a secret is never echoed, and -non-interactive never asks."""

import fcntl
import json
import os
import pty
import subprocess
import termios

import pytest
from command import Cli
from node import until

pytestmark = pytest.mark.only_secretum("our own command")


def at_terminal(ours, *arguments, typed=None, more=()):
    """Runs a command whose input and output are a terminal; gives its exit code and what was seen."""
    ours_end, its_end = pty.openpty()
    environment = ours.environment()
    environment.pop("VAULT_TOKEN", None)
    environment.update(more)
    running = subprocess.Popen(
        [ours.binary, *arguments],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(its_end)
    seen = b""
    while True:
        try:
            some = os.read(ours_end, 4096)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        seen += some
        if typed and b"hidden" in seen:
            # As a person would: behind the question, when the terminal is ready for the answer.
            until(lambda: not termios.tcgetattr(ours_end)[3] & termios.ECHO, "a terminal without echo")
            os.write(ours_end, typed.encode() + b"\n")
            typed = None
    os.close(ours_end)
    return running.wait(timeout=60), seen.decode()


def test_a_secret_is_not_echoed(ours):
    code, seen = at_terminal(ours, "login", typed="hvs.planted-value-typed")
    assert code == 2 and "hidden" in seen
    assert "planted" not in seen


def test_shares_are_not_echoed(ours, fresh):
    node = fresh().start().initialize(shares=3, threshold=2)
    at = Cli("secretum", node, ours.home)
    for share in node.keys[:2]:
        code, seen = at_terminal(at, "operator", "unseal", typed=share)
        assert code == 0 and "hidden" in seen and share not in seen
    assert "Sealed" in seen and "false" in seen
    (ours.home / ".vault-token").write_text(node.root_token)
    begun = at.ok("operator", "rekey", "-init", "-key-shares=1", "-key-threshold=1", "-format=json")
    for command, nonce in [
        ("rekey", begun.json["nonce"]),
        ("generate-root", at.ok("operator", "generate-root", "-init", "-format=json").json["nonce"]),
    ]:
        code, seen = at_terminal(at, "operator", command, f"-nonce={nonce}", typed=node.keys[2])
        assert code == 0 and "hidden" in seen and node.keys[2] not in seen, seen
        code, seen = at_terminal(at, "operator", command, f"-nonce={nonce}", typed="planted-share")
        assert code == 2 and "planted" not in seen, seen


def test_nobody_is_asked_where_that_is_said(ours):
    code, seen = at_terminal(ours, "login", "-non-interactive")
    assert code == 1 and "-non-interactive" in seen and "hidden" not in seen


RED = "\x1b[31m"


@pytest.mark.parametrize("arguments", [["kv", "gett"], ["read", "sys/none"]], ids=" ".join)
def test_failures_are_coloured_on_a_terminal_only(ours, arguments):
    for plain in ([], ["-no-color"]):
        code, seen = at_terminal(ours, *arguments, *plain)
        assert code and seen and (RED in seen) == (not plain), seen
    for name, value in (("NO_COLOR", "1"), ("VAULT_CLI_NO_COLOR", "1"), ("TERM", "dumb")):
        _, seen = at_terminal(ours, *arguments, more={name: value})
        assert seen and "\x1b[" not in seen, (name, seen)
    assert RED in at_terminal(ours, *arguments, more={"NO_COLOR": ""})[1]
    told = ours(*arguments)
    assert told.err and "\x1b[" not in told.out + told.err


def test_what_was_asked_for_is_not_coloured(ours):
    for arguments in (["-help"], ["kv", "-help"], ["status"]):
        _, seen = at_terminal(ours, *arguments)
        assert seen and "\x1b[" not in seen


def test_long_work_shows_a_bar_at_a_terminal_only(ours, kv2, tmp_path):
    file = tmp_path / "tree.json"
    secrets = {f"s{number}": {"data": {"n": "1"}} for number in range(40)}
    file.write_text(json.dumps({"format": "secretum-kv-1", "secrets": secrets}))
    token = {"VAULT_TOKEN": ours.environment()["VAULT_TOKEN"]}
    for doing, *command in (
        ["writing", "import", str(file), f"{kv2}/seen"],
        ["comparing", "import", str(file), f"{kv2}/seen"],
        ["reading", "export", f"-file={tmp_path}/out.json", "-force", f"{kv2}/seen"],
    ):
        code, seen = at_terminal(ours, "kv", *command, more=token)
        assert code == 0 and f"{doing} " in seen and " of 4" in seen and " left" in seen, seen
        assert f"{doing} " not in ours.ok("kv", *command).err
