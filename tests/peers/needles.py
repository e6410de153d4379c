"""What the servers of a run handed out and must tell nobody, and where it is looked for at the end.

Collected from the answers as the tests get them: tokens of all kinds and wrapping tokens, shares, one-time
passwords and what they cover, data keys. Beside them the keys in the files of key services, and the values
that tests plant.
"""

import base64
import os
import re
import shutil
import subprocess
import tempfile

# The last ones are what tests call the tokens of callers, and that of OpenBao as a key service.
PLANTED = {"planted-value-", "planted-0c5f", "token-of-", "root-of-bao"}
TOKEN = re.compile(rb"hv[sb]\.[A-Za-z0-9_-]{20,}")
# Of what stands in lists; names stand in lists of one of these names too, and never in two.
SHARE = re.compile(rb'"([0-9a-f]{64,}|[A-Za-z0-9+/]{43,}={0,2})"')
SHARES = re.compile(rb'"(?:keys|keys_base64|keys_b64)":\s*\[([^\]]*)\]')
COVERED = re.compile(rb'"(?:otp|encoded_token|encoded_root_token)":\s*"([^"]{20,})"')
PRINTED = re.compile(rb"(?:Unseal Key|Key) \d+: (\S{43,})")

DATA_KEY = re.compile(rb'"plaintext":\s*"([A-Za-z0-9+/]{22,}={0,2})"')
# What key services keep in files: local keys, and those of age.
LOCAL_KEY = re.compile(rb"^[^:\s]+:\d+:([A-Za-z0-9+/]{43,}={0,2})", re.M)
AGE_KEY = re.compile(rb"AGE-SECRET-KEY-1[A-Z0-9]{50,}")

_learned = set()
_keys = set()
_told = []


def learn(answer):
    """Keeps what an answer, or what a command printed, hands out."""
    body = answer.encode() if isinstance(answer, str) else answer
    for found in (TOKEN, COVERED, PRINTED):
        _learned.update(found.findall(body))
    for text in DATA_KEY.findall(body):
        learn_key(base64.b64decode(text))
    lists = SHARES.findall(body)
    if len(lists) > 1:
        for listed in lists:
            _learned.update(SHARE.findall(listed))


def keep(what, text):
    """Keeps what a server or a command told without handing anything out: errors, metrics."""
    body = text.encode() if isinstance(text, str) else text
    if body:
        _told.append(what.encode() + b": " + body.replace(b"\n", b" ") + b"\n")


def write_kept(file):
    """Writes that down, to be searched."""
    file.write_bytes(b"".join(_told))
    return file


def learn_key(raw):
    """Keeps the bytes of a key; those of tests that are all alike stand everywhere."""
    if len(raw) >= 16 and len(set(raw)) > 4:
        _keys.add(raw)


def learn_files(directory):
    """Keeps the keys that a key service has in files there."""
    for file in directory.glob("*.txt"):
        content = file.read_bytes()
        _learned.update(AGE_KEY.findall(content))
        for text in LOCAL_KEY.findall(content):
            learn_key(base64.b64decode(text))


def all_of_them():
    """Every text in the forms that it may be told in: plain, hex, base64."""
    forms = set()
    for key in _keys:
        # Each line is looked for by itself.
        raw = {key} if b"\n" not in key else set()
        forms |= raw | {key.hex().encode(), base64.b64encode(key).rstrip(b"=")[:-1]}
    for needle in _learned | {text.encode() for text in PLANTED}:
        coded = base64.b64encode(needle).rstrip(b"=")[:-1]
        forms |= {needle, needle.hex().encode(), coded}
    return forms


def told_in(places):
    """Which files at these places hold which of them."""
    places = [str(place) for place in places if place.exists()]
    if not places:
        return []
    grep = shutil.which("grep")
    assert grep, "no `grep` command: apt-get install grep"
    with tempfile.NamedTemporaryFile() as patterns:
        patterns.write(b"\n".join(sorted(all_of_them())) + b"\n")
        patterns.flush()
        command = [grep, "-raoF", "-m", "5", f"--file={patterns.name}", "--", *places]
        done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.decode(errors="replace").splitlines()
