"""What README.md tells people to copy and paste."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from node import free_port, only_secretum, secretum_binary

README = Path(__file__).parents[2] / "README.md"


def blocks(language, behind):
    """The blocks of a language below a heading, in order."""
    text = README.read_text()
    section = text.split(f"\n## {behind}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def programs(tmp_path):
    """A folder for PATH in which the server under test is `secretum`."""
    folder = tmp_path / "target" / "debug"
    folder.mkdir(parents=True)
    (folder / "secretum").symlink_to(secretum_binary())
    return folder


def shell(text, folder, **environment):
    home = {"HOME": str(folder), "PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        ["bash", "-euc", text], cwd=folder, env=home, capture_output=True, text=True, timeout=120
    )


@only_secretum("it tells of ours")
def test_store_and_read_a_secret(dev, tmp_path, programs):
    (text,) = blocks("sh", "Store and read a secret")
    address = "http://127.0.0.1:8200"
    assert text.count(address) == 1 and 'export PATH="$PWD/target/debug:$PATH"' in text
    run = shell(text.replace(address, dev.address), tmp_path)
    assert run.returncode == 0, run.stderr
    # by the root token, its field, by a token of the policy, and as JSON
    assert run.stdout.count("s3cr3t") == 4, run.stdout
    assert '"password":"s3cr3t"' in run.stdout.replace(" ", "")


@only_secretum("it tells of ours")
def test_the_configuration_and_its_certificate(tmp_path, programs):
    (configuration,) = blocks("toml", "Run it for real")
    certificate = next(text for text in blocks("sh", "Run it for real") if "openssl req" in text)

    def here(text):
        text = text.replace("[::]:8200", f"127.0.0.1:{free_port()}")
        for place in ("/etc/secretum", "/var/log/secretum", "/var/lib/secretum"):
            assert place in configuration, place
            text = text.replace(place, str(tmp_path) + place)
        return text

    made = shell(here(certificate), tmp_path)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "etc" / "secretum" / "server.toml"
    file.write_text(here(configuration))
    checked = subprocess.run(
        [secretum_binary(), "server", f"-config={file}", "-check"], capture_output=True, text=True
    )
    assert checked.returncode == 0 and checked.stdout.endswith("ok\n"), checked.stdout
    assert checked.stderr == ""
