"""The flags of each command, beside those that the installed `bao` tells of the same command."""

import functools
import re
import subprocess

import pytest
from node import bao_binary, only_secretum, secretum_binary

# Flags of `bao` that are taken and not shown: they mean nothing here.
TAKEN = {
    "": {"policy-override"},
    "server": {
        "exit-on-core-shutdown",
        "log-file",
        "log-rotate-bytes",
        "log-rotate-duration",
        "log-rotate-max-files",
    },
}

# Flags of `bao` that are refused on purpose, and why.
REFUSED = {
    # its namespaces can be locked; here are none
    "": {"unlock-key"},
    # a server that opens no vault, only for seals by a key service; and a file about a cluster that
    # the development server is none of
    "server": {"recovery", "dev-cluster-json"},
    # there is no seal with recovery keys
    "operator init": {"recovery-pgp-keys"},
    "operator generate-root": {"recovery-token"},
    # it answers nothing that has fields
    "kv delete": {"field"},
    # no auth method here has versions
    "auth enable": {"version"},
    # nor counts failed logins
    "auth tune": {
        "version",
        "user-lockout-counter-reset-duration",
        "user-lockout-disable",
        "user-lockout-duration",
        "user-lockout-threshold",
    },
}

# These speak to no server here, so that nothing of a connection means anything to them.
LOCAL = {"policy fmt", "server"}


@functools.cache
def help_of(binary, words):
    run = subprocess.run([binary, *words, "-h"], capture_output=True, text=True, timeout=60)
    return run.stdout + run.stderr


def subcommands(binary, words=()):
    """Every command below these words that has none below itself."""
    text = help_of(binary, words)
    below = re.findall(r"^ {2,4}([a-z][a-z0-9-]+) {2,}\S", text, re.MULTILINE)
    if not re.search(r"^(Sub|Common )?[Cc]ommands:", text, re.MULTILINE) or not below:
        return {" ".join(words)} if words else set()
    return set().union(*(subcommands(binary, (*words, name)) for name in below))


def flags(binary, command):
    text = help_of(binary, tuple(command.split()))
    shown = re.findall(r"^ {2,6}(?:-\w, )?--?([a-z][a-z0-9-]*)", text, re.MULTILINE)
    return set(shown)


@only_secretum("it compares the two")
def test_a_flag_of_bao_is_known_here():
    ours, theirs = secretum_binary(), bao_binary()
    both = subcommands(ours) & subcommands(theirs)
    assert len(both) > 50, sorted(both)
    connection = flags(theirs, "status")
    missing = {}
    for command in sorted(both):
        excepted = set()
        for table in (TAKEN, REFUSED):
            excepted |= table[""] | table.get(command, set())
        if command in LOCAL:
            excepted |= connection
        lacking = flags(theirs, command) - flags(ours, command) - excepted
        if lacking:
            missing[command] = sorted(lacking)
    assert missing == {}


@only_secretum("they are flags of ours")
@pytest.mark.parametrize("command", ["status", "server"])
def test_what_means_nothing_here_is_taken(command):
    """The flag behind them is unknown; they are not."""
    taken = sorted(TAKEN[""] if command == "status" else TAKEN[command])
    given = [f"-{flag}=1" if flag.startswith("log-") else f"-{flag}" for flag in taken]
    run = subprocess.run(
        [secretum_binary(), command, *given, "-nonsense"], capture_output=True, text=True
    )
    assert run.returncode == 1 and "unknown flag -nonsense" in run.stderr, run.stderr


@only_secretum("they are flags of ours")
@pytest.mark.parametrize("command", [command for command in REFUSED if command])
def test_what_is_refused_is_refused_by_name(command):
    for flag in REFUSED[command]:
        run = subprocess.run(
            [secretum_binary(), *command.split(), f"-{flag}"], capture_output=True, text=True
        )
        assert run.returncode == 1 and f"unknown flag -{flag}" in run.stderr, run.stderr
