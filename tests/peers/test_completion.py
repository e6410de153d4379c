"""Completion at the tab key, by real shells; and in their start-up files."""

import os
import pty
import subprocess
from pathlib import Path

import pytest
from node import until

pytestmark = pytest.mark.only_secretum("our own command")


def complete(ours, line, point=None):
    """What Bash would offer behind a line."""
    script = f"""
        source <({ours.binary} completion bash | sed 's#| secretum #| {ours.binary} #')
        complete -p secretum >/dev/null || exit 9
        COMP_LINE={line!r}
        COMP_POINT={len(line) if point is None else point}
        _secretum_complete
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env=ours.environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.split("\n") if line]


def test_commands_and_flags(ours):
    assert complete(ours, "secretum kv met") == ["metadata "]
    assert complete(ours, "secretum kv get -fo") == ["-format="]
    # Bash has the equals sign as the end of a word.
    assert complete(ours, "secretum kv get -format=ya") == ["yaml "]
    assert complete(ours, "secretum kv put nothing", point=len("secretum kv pu")) == ["put "]
    assert complete(ours, "secretum kv nonsense -x") == []


def test_mounts_and_paths(ours, kv2, kv1):
    for path in ("app/db", "app/dc/x", "apple"):
        ours.ok("kv", "put", f"{kv2}/{path}", "x=1")
    assert complete(ours, f"secretum kv get {kv2}") == [f"{kv2}/"]
    assert complete(ours, f"secretum kv get {kv2}/app") == [f"{kv2}/app/", f"{kv2}/apple"]
    assert complete(ours, f"secretum kv get {kv2}/app/d") == [f"{kv2}/app/db", f"{kv2}/app/dc/"]
    assert complete(ours, f"secretum kv get -mount={kv2} app/db") == ["app/db"]
    assert complete(ours, f"secretum kv copy {kv2}/apple {kv2}/appl") == [f"{kv2}/apple"]
    assert complete(ours, f"secretum kv put {kv2}/apple {kv2}") == []
    ours.ok("kv", "put", f"{kv1}/one", "x=1")
    assert complete(ours, f"secretum read {kv1}/o") == [f"{kv1}/one"]


def test_words_that_bash_breaks(ours, kv2):
    for path in ("a:b/one", "me@host"):
        ours.ok("kv", "put", f"{kv2}/{path}", "x=1")
    assert complete(ours, f"secretum kv get {kv2}/a:b/o") == ["b/one"]
    assert complete(ours, f"secretum kv get {kv2}/me@h") == ["host"]


@pytest.fixture
def by_name(ours, tmp_path):
    """An environment in which `secretum` is the command under test."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "secretum").symlink_to(ours.binary)
    environment = ours.environment()
    return environment | {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}", "TERM": "dumb"}


def test_fish(ours, kv2, by_name):
    def offers(line):
        script = f"secretum completion fish | source; complete -C {line!r}"
        shell = ["fish", "--no-config", "--command", script]
        done = subprocess.run(shell, capture_output=True, text=True, env=by_name, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    for path in ("app/db", "app/dc", "a:b"):
        ours.ok("kv", "put", f"{kv2}/{path}", "x=1")
    assert offers("secretum kv met") == ["metadata"]
    assert offers("secretum kv get -format=ya") == ["-format=yaml"]
    assert offers(f"secretum kv get {kv2}/app/d") == [f"{kv2}/app/db", f"{kv2}/app/dc"]
    assert offers(f"secretum kv get {kv2}/a:") == [f"{kv2}/a:b"]


def test_zsh(ours, kv2, by_name):
    """At a terminal, since it completes nowhere else."""
    ours.ok("kv", "put", f"{kv2}/a:b", "x=1")
    ours_end, its_end = pty.openpty()
    start = "autoload -U compinit && compinit -u -D; source <(secretum completion zsh); PROMPT='rea''dy> '"
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=its_end, stdout=its_end, stderr=its_end, env=by_name
    )
    os.close(its_end)
    os.set_blocking(ours_end, False)
    seen = b""

    def shown(what):
        nonlocal seen
        try:
            seen += os.read(ours_end, 65_536)
        except BlockingIOError:
            pass
        return what.encode() in seen

    try:
        os.write(ours_end, start.encode() + b"\n")
        until(lambda: shown("ready>"), "a prompt")
        for typed, completed in [("kv met", "kv metadata"), (f"kv get {kv2}/a", f"kv get {kv2}/a:b")]:
            os.write(ours_end, f"secretum {typed}\t".encode())
            until(lambda: shown(f"secretum {completed}"), "the completed line")
            seen = b""
            os.write(ours_end, b"\x15\n")  # away with the line
            until(lambda: shown("ready>"), "a prompt")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours_end)


def test_names_that_a_shell_would_run_are_not_offered(ours, kv2):
    for path in ("x/plain", "x/$(touch planted)", "x/a b", "x/*"):
        ours.ok("kv", "put", f"-mount={kv2}", path, "x=1")
    assert complete(ours, f"secretum kv get {kv2}/x/") == [f"{kv2}/x/plain"]
    ours.ok("kv", "put", f"-mount={kv2}", "--", "-tls-skip-verify", "x=1")
    assert "-tls-skip-verify" not in complete(ours, f"secretum kv get -mount={kv2} ")


def test_without_a_server_nothing_is_said(ours):
    nobody = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_MAX_RETRIES": "0"}
    done = ours("completion", "bash", "-line=secretum kv get secret/", **nobody)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_installed_once_and_taken_out(ours):
    rc = Path(ours.home) / ".bashrc"
    rc.write_text("alias a=b\n")
    for _ in range(2):
        ours.ok("-autocomplete-install")
    assert rc.read_text().count("completion bash") == 1
    shell = ["bash", "--rcfile", str(rc), "-i", "-c", "complete -p secretum"]
    done = subprocess.run(shell, capture_output=True, text=True, env=ours.environment(), timeout=60)
    assert "-F _secretum_complete secretum" in done.stdout, done.stderr
    ours.ok("-autocomplete-uninstall")
    ours.ok("-autocomplete-uninstall")
    assert rc.read_text() == "alias a=b\n"
