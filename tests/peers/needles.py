"""What the servers of a run handed out and must tell nobody, and where it is looked for at the end.

Collected from the answers as the tests get them: tokens of all kinds and wrapping tokens, shares, one-time
passwords and what they cover. Beside them the values that tests plant.
"""

import base64
import os
import re
import shutil
import subprocess
import tempfile

PLANTED = {"planted-value-", "planted-0c5f"}
TOKEN = re.compile(rb"hv[sb]\.[A-Za-z0-9_-]{20,}")
# Of what stands in lists; names stand in lists of one of these names too, and never in two.
SHARE = re.compile(rb'"([0-9a-f]{64,}|[A-Za-z0-9+/]{43,}={0,2})"')
SHARES = re.compile(rb'"(?:keys|keys_base64|keys_b64)":\s*\[([^\]]*)\]')
COVERED = re.compile(rb'"(?:otp|encoded_token|encoded_root_token)":\s*"([^"]{20,})"')
PRINTED = re.compile(rb"(?:Unseal Key|Key) \d+: (\S{43,})")

_learned = set()


def learn(answer):
    """Keeps what an answer, or what a command printed, hands out."""
    body = answer.encode() if isinstance(answer, str) else answer
    for found in (TOKEN, COVERED, PRINTED):
        _learned.update(found.findall(body))
    lists = SHARES.findall(body)
    if len(lists) > 1:
        for listed in lists:
            _learned.update(SHARE.findall(listed))


def all_of_them():
    """Every text in the forms that it may be told in: plain, hex, base64."""
    forms = set()
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
