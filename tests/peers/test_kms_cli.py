"""`secretum kms` as users run it: pipes, files, the real age, OpenBao and a running kms-service."""

import array
import base64
import fcntl
import hashlib
import json
import os
import pty
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kms_command import LOCAL, text64
from kms_scene import AGE, SECRET, age_keys, client_certificates
from node import IS_BAO, planted_files, until

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms is ours alone")

EVERY_BYTE = bytes(range(256)) * 3
def age(*arguments, stdin=b"", cwd=None):
    binary = shutil.which("age")
    assert binary, "no `age` command: apt-get install age"
    done = subprocess.run([binary, *arguments], input=stdin, capture_output=True, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_bytes_come_back_through_pipes(kms):
    for plaintext in (b"", b"x", SECRET, EVERY_BYTE, b"line\n"):
        text = kms.ok("encrypt", "-context=env=prod,service=api", stdin=plaintext)
        assert text.endswith(b"\n") and base64.b64decode(text).startswith(b"SKMS")
        again = ["-context", "service=api", "-context", '{"env":"prod"}']
        assert kms.ok("decrypt", *again, stdin=text) == plaintext
        raw = kms.ok("encrypt", "-binary", stdin=plaintext)
        assert raw.startswith(b"SKMS") and kms.ok("decrypt", "-in=-", stdin=raw) == plaintext
    wrong = kms.refused("decrypt", "-context=env=dev", stdin=text)
    assert "the encryption context is not the one" in wrong


def test_answers_as_documents_and_fields(kms):
    made = json.loads(kms.ok("encrypt", "-format=json", "-key=other", stdin=SECRET))
    assert (made["key_id"], made["key_version"], made["provider"]) == ("other", "1", "local")
    opened = yaml.safe_load(kms.ok("decrypt", "-format=yaml", stdin=made["ciphertext"].encode()))
    assert base64.b64decode(opened["plaintext"]) == SECRET and opened["key_id"] == "other"
    assert kms.ok("encrypt", "-field=key_id", stdin=SECRET) == b"default"
    assert "it has ciphertext, key_id" in kms.refused("encrypt", "-field=ky", code=1, stdin=b"x")
    other = made["ciphertext"].encode()
    assert "was made with the key `other`" in kms.refused("decrypt", "-key=k", code=1, stdin=other)


def test_what_cannot_be_meant_gets_a_suggestion(kms):
    def wrong(*arguments):
        return kms.refused(*arguments, code=1)

    assert "did you mean encrypt?" in wrong("encript")
    assert "did you mean -context?" in wrong("encrypt", "-contxt=a=1")
    assert "local" in wrong("encrypt", "-backend=locall")
    assert "key=value" in wrong("encrypt", "-context=nonsense")
    assert "is not a kind of data key" in wrong("generate-key", "-key-spec=AES_512")
    assert "no ciphertext" in kms.refused("decrypt", code=1, stdin=b"nonsense")
    assert "is empty" in kms.refused("decrypt", code=1)
    (kms.home / "kms.toml").write_text("[kms]\ndev_backend = \"locl\"\n")
    assert "kms.toml:2" in wrong("status")
    (kms.home / "kms.toml").unlink()
    told = wrong("encrypt")
    assert "looked for `kms.toml`" in told and "-service" in told


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_key_pair_of_age_is_made_once(kms):
    kms.configure(AGE)
    made = json.loads(kms.ok("create-key", "-format=json"))
    assert made["enabled"] and made["key_version"]
    private, public = kms.home / "private.txt", kms.home / "public.txt"
    assert (mode(private), mode(public)) == (0o600, 0o644)
    before = private.read_bytes(), public.read_bytes()
    sealed = age("-r", public.read_text().strip(), stdin=SECRET)
    assert age("-d", "-i", str(private), stdin=sealed) == SECRET
    assert kms.ok("decrypt", "-native", stdin=sealed) == SECRET
    assert "private.txt" in kms.refused("create-key", code=1)
    private.unlink()
    assert "public.txt" in kms.refused("create-key", code=1)
    assert not private.exists() and public.read_bytes() == before[1]
    assert "no name but its public key" in kms.refused("create-key", "-key=orders")


def test_keys_of_a_file_are_made_there(kms):
    keys = kms.home / "keys.txt"
    keys.unlink()
    assert kms.ok("create-key", "-field=key_version") == b"1" and mode(keys) == 0o600
    made = kms.ok("encrypt", stdin=SECRET)
    assert kms.ok("create-key", "-key=orders", "-field=key_id") == b"orders"
    again = kms.ok("encrypt", "-key=orders", stdin=SECRET)
    for ciphertext in (made, again):
        assert kms.ok("decrypt", stdin=ciphertext) == SECRET
    before = keys.read_bytes()
    for name in ("default", "orders"):
        assert f"`{name}`" in kms.refused("create-key", f"-key={name}")
    assert keys.read_bytes() == before and mode(keys) == 0o600
    service = kms.refused("create-key", "-service=http://127.0.0.1:1", code=1)
    assert "a kms-service makes no keys" in service


def test_age_opens_a_plain_one_and_the_other_way_round(kms):
    recipient = age_keys(kms)
    kms.configure(AGE)
    made = kms.ok("encrypt", "-native", stdin=EVERY_BYTE)
    assert age("-d", "-i", str(kms.home / "private.txt"), stdin=made) == EVERY_BYTE
    theirs = age("-r", recipient, stdin=SECRET)
    assert kms.ok("decrypt", "-native", stdin=theirs) == SECRET
    assert "-native" in kms.refused("decrypt", code=1, stdin=theirs)
    bound = kms.refused("encrypt", "-native", "-context=a=1", code=1, stdin=SECRET)
    assert "leave out -native" in bound
    whole = kms.ok("encrypt", stdin=SECRET)
    assert kms.ok("decrypt", stdin=whole) == SECRET
    # Without its head `age` opens it too; for that no configuration is wanted.
    (kms.home / "kms.toml").unlink()
    (kms.home / "note.enc").write_bytes(whole)
    kms.ok("export", "-native", "-in=note.enc", "-out=note.age")
    for taken in ((kms.home / "note.age").read_bytes(), kms.ok("export", "-native", stdin=whole)):
        assert age("-d", "-i", str(kms.home / "private.txt"), stdin=taken) == SECRET
    assert "-native" in kms.refused("export", code=1, stdin=whole)
    assert "no ciphertext" in kms.refused("export", "-native", code=1, stdin=theirs)
    kms.configure(AGE)
    bound = kms.ok("encrypt", "-context=a=1", stdin=SECRET)
    assert "`kms decrypt`" in kms.refused("export", "-native", code=1, stdin=bound)


def whole_life(kms, *where, **environment):
    """What every way to a key service does alike."""

    def ok(*arguments, **more):
        return kms.ok(*arguments, *where, **more, **environment)

    made = ok("encrypt", "-context=env=prod", stdin=SECRET)
    rotated = json.loads(ok("rotate", "-format=json"))
    assert ok("decrypt", "-context=env=prod", stdin=made) == SECRET
    moved = ok("re-encrypt", "-context=env=prod", "-new-context=env=dev", stdin=made)
    opened = json.loads(ok("decrypt", "-context=env=dev", "-format=json", stdin=moved))
    assert opened["key_version"] == rotated["key_version"] and rotated["enabled"]
    key = json.loads(ok("generate-key", "-format=json", "-context=file=1"))
    raw = ok("decrypt-key", "-context=file=1", stdin=key["ciphertext"].encode())
    assert raw == base64.b64decode(key["plaintext"]) and len(raw) == 32
    sealed = AESGCM(raw).encrypt(bytes(12), b"data", None)
    assert AESGCM(raw).decrypt(bytes(12), sealed, None) == b"data"
    assert "plaintext" not in json.loads(ok("generate-key", "-without-plaintext", "-format=json"))
    status, health = json.loads(ok("status", "-format=json")), ok("health", "-field=status")
    assert status["backend"] and health == b"healthy"
    (kms.home / "big").write_bytes(os.urandom(3 * 65536 + 7))
    ok("encrypt-file", "-context=f=1", "-out=big.kms", "big")
    ok("re-encrypt", "-context=f=1", "-new-context=f=2", "-in=big.kms", "-out=again.kms")
    ok("decrypt-file", "-context=f=2", "-out=big.again", "again.kms")
    assert (kms.home / "big.again").read_bytes() == (kms.home / "big").read_bytes()


def test_local(kms):
    whole_life(kms)


def test_openbao_transit(kms, transit):
    kms.configure(
        f'{LOCAL}[kms.vault]\naddress = "{transit.address}"\nauth = "token"\ntoken = "{transit.token}"\n'
    )
    whole_life(kms, "-backend=vault")
    other = kms.refused("health", f"-service={transit.address}")
    assert "no word of a kms-service" in other
    assert json.loads(kms.ok("status", "-format=json"))["backend"] == "local"


def test_aws(kms, moto):
    kms.configure(
        '[kms]\nenvironment = "dev"\ndev_backend = "aws"\n[kms.aws]\n'
        f'region = "{moto.region}"\nkey_id = "alias/app"\nendpoint_url = "{moto.address}"\n'
    )
    proof = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}
    told = kms("encrypt", stdin=SECRET, **proof).err
    assert "built without" not in told, f"{told}: SECRETUM_BIN wants --features secretum-cli/aws"
    whole_life(kms, **proof)
    assert len(moto.kms.list_key_rotations(KeyId=moto.key)["Rotations"]) == 1
    # What the service encrypted is its own ciphertext, which other programs open, and theirs is opened here.
    made = kms.ok("encrypt", "-native", "-context=env=prod", stdin=SECRET, **proof)
    bound = {"EncryptionContext": {"env": "prod"}}
    opened = moto.kms.decrypt(CiphertextBlob=made, **bound)
    assert opened["Plaintext"] == SECRET and opened["KeyId"] == moto.key
    theirs = moto.kms.encrypt(KeyId=moto.key, Plaintext=SECRET, **bound)["CiphertextBlob"]
    assert kms.ok("decrypt", "-native", "-context=env=prod", stdin=theirs, **proof) == SECRET
    assert kms.ok("create-key", "-key=alias/orders", "-field=key_id", **proof)
    names = [alias["AliasName"] for alias in moto.kms.list_aliases()["Aliases"]]
    assert "alias/orders" in names
    other = kms.ok("encrypt", "-key=alias/orders", stdin=SECRET, **proof)
    assert kms.ok("decrypt", stdin=other, **proof) == SECRET
    moto.stop()
    assert "cannot be reached" in kms.refused("encrypt", stdin=SECRET, **proof)


def test_a_service(kms, serve):
    service = serve()
    (kms.home / "kms.toml").unlink()
    whole_life(kms, f"-service={service.url}")
    # The variable serves as well as the flag; a configuration that is named goes before it.
    assert kms.ok("health", "-field=backend", KMS_SERVICE_ADDR=service.url) == b"local"
    made = kms.ok("encrypt", stdin=SECRET, KMS_SERVICE_ADDR=service.url)
    kms.configure().keys(byte=9)
    nobody = {"KMS_SERVICE_ADDR": "http://127.0.0.1:1"}
    assert kms.ok("status", "-config=kms.toml", "-field=backend", **nobody) == b"local"
    assert "cannot be reached" in kms.refused("decrypt", stdin=made, **nobody)
    assert "not on this machine" in kms.refused("health", "-service=http://kms.example", code=1)


def test_a_service_with_tls_tokens_and_certificates(kms, serve, certificates):
    client_certificates(kms.home)
    digest = hashlib.sha256(b"token-of-app").hexdigest()
    service = serve(
        f'tls_cert_path = "{certificates.chain}"\ntls_key_path = "{certificates.key}"\n'
        f'client_ca_path = "{kms.home}/ca.pem"\n'
        f'[[service.tokens]]\nname = "app"\nsha256 = "{digest}"\n'
        'rights = [{ operations = ["encrypt"], keys = ["default"] }]\n'
        '[[service.certificates]]\nname = "backup"\ncommon_name = "client"\n'
        'rights = [{ operations = ["*"], keys = ["*"] }]\n',
        "https",
    )
    where = [f"-service={service.url}", f"-ca-cert={certificates.ca}"]
    token = {"KMS_SERVICE_TOKEN": "token-of-app"}
    made = kms.ok("encrypt", *where, stdin=SECRET, **token)
    kms.secret("token", "token-of-app\n")
    kms.ok("encrypt", *where, "-token-file=token", stdin=SECRET)
    for name, flags in (
        ("token", ["-token-file=token"]),
        ("client.key", ["-client-cert=client.pem", "-client-key=client.key"]),
    ):
        (kms.home / name).chmod(0o644)
        told = kms.refused("encrypt", *where, *flags, code=1, stdin=SECRET)
        assert f"chmod 600 {name}" in told and "0644" in told
        (kms.home / name).chmod(0o600)
    assert "-token-file" in kms.refused("encrypt", *where, stdin=SECRET)
    assert "give" in kms.refused("decrypt", *where, stdin=made, **token)
    wrong = kms.refused("encrypt", *where, stdin=SECRET, KMS_SERVICE_TOKEN="token-of-nobody")
    assert "token-of" not in wrong
    proof = ["-client-cert=client.pem", "-client-key=client.key"]
    assert kms.ok("decrypt", *where, *proof, stdin=made) == SECRET
    alone = kms.refused("decrypt", *where, proof[0], code=1, stdin=made)
    assert "-client-key" in alone
    unknown = kms.refused("encrypt", where[0], stdin=SECRET, SSL_CERT_FILE="/dev/null", **token)
    assert "does not prove who it is" in unknown or "certificate" in unknown


def test_files_have_names_and_modes(kms):
    plain = kms.home / "a.txt"
    for size in (0, 1, 65535, 65536, 65537):
        plain.write_bytes(os.urandom(size))
        kms.ok("encrypt-file", "-force", "a.txt")
        told = json.loads(kms.ok("decrypt-file", "-format=json", "-out=b.txt", "-force", "a.txt.kms"))
        assert (told["bytes"], told["file"], told["key_id"]) == (size, "b.txt", "default")
        assert (kms.home / "b.txt").read_bytes() == plain.read_bytes()
    assert (kms.home / "b.txt").stat().st_mode & 0o777 == 0o600
    there = kms.refused("decrypt-file", "a.txt.kms", code=1)
    assert "`a.txt` is there already" in there and "-force" in there
    assert "is there already" in kms.refused("encrypt", "-out=b.txt", code=1, stdin=b"x")
    assert "-out=FILE" in kms.refused("decrypt-file", "b.txt", code=1)
    piped = kms.ok("encrypt-file", stdin=EVERY_BYTE)
    assert kms.ok("decrypt-file", stdin=piped) == EVERY_BYTE
    one = kms.ok("encrypt", "-binary", stdin=b"x")
    assert "`kms decrypt` opens it" in kms.refused("decrypt-file", code=1, stdin=one)
    assert "decrypt-file" in kms.refused("decrypt", code=1, stdin=piped)


def test_a_failed_run_leaves_nothing(kms):
    (kms.home / "a").write_bytes(os.urandom(5 * 65536))
    kms.ok("encrypt-file", "a")
    whole = (kms.home / "a.kms").read_bytes()
    before = kms.names()
    head = len(whole) - 5 * (65536 + 16)
    cuts = [whole[:-1], whole[: -65536 - 16], whole + b"x", whole[:50], b""]
    cuts += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (head + 9, len(whole) - 1)]
    for damaged in cuts:
        (kms.home / "a.kms").write_bytes(damaged)
        done = kms("decrypt-file", "-out=out", "a.kms")
        assert done.code in (1, 2) and "a.kms" in done.err, done
        assert kms.names() == before
    assert "cannot" in kms.refused("encrypt-file", "-out=no/such/folder", "a", code=1)


def writes(process):
    """Whether a process holds a file that has no name yet, or, where the file system has no such, its own."""
    held = Path(f"/proc/{process.pid}/fd")
    opened = [os.readlink(held / number) for number in os.listdir(held)]
    return any("/#" in path or "/.kms-" in path for path in opened)


def test_a_signal_leaves_nothing(kms):
    for stop in (signal.SIGINT, signal.SIGTERM):
        before = kms.names()
        running = kms.start("encrypt-file", "-out=out")
        running.stdin.write(os.urandom(1 << 20))
        running.stdin.flush()
        until(lambda: writes(running), "a file that is being written")
        running.send_signal(stop)
        assert running.wait(timeout=20) == 130
        assert b"nothing was written" in running.stderr.read()
        assert kms.names() == before


def test_a_signal_is_heard_while_a_pipe_gives_nothing(kms):
    for command in ("encrypt", "decrypt", "re-encrypt", "encrypt-file", "decrypt-file"):
        before = kms.names()
        running = kms.start(command, f"-out={command}.out")
        running.stdin.write(b"U0")
        running.stdin.flush()
        until(lambda: waiting(running.stdin) == 0, f"{command} at its input")
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) in (130, -signal.SIGINT)
        running.communicate()
        left = [name for name in kms.names() if name not in before]
        assert left == [], (command, left)


def hears(process):
    """Whether a process catches Ctrl-C itself by now."""
    with open(f"/proc/{process.pid}/status") as status:
        caught = [line.split()[1] for line in status if line.startswith("SigCgt")]
    return int(caught[0], 16) & 1 << (signal.SIGINT - 1)


def ended_by_signal(process):
    """Ends a process by Ctrl-C; gives what it said."""
    until(lambda: hears(process), "a process that hears signals")

    def interrupted():
        # One that comes while it begins to listen may be lost.
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(timeout=2) is not None
        except subprocess.TimeoutExpired:
            return False

    until(interrupted, "an end by a signal")
    assert process.returncode == 130
    return process.stderr.read().decode()


def test_a_signal_is_heard_while_a_pipe_with_a_name_waits(kms):
    os.mkfifo(kms.home / "fifo")
    before = kms.names()
    for command in ("encrypt", "decrypt", "re-encrypt", "encrypt-file", "decrypt-file", "decrypt-key"):
        running = kms.start(command, "-in=fifo", "-out=out", stdin=subprocess.DEVNULL)
        assert "nothing was written" in ended_by_signal(running), command
        assert kms.names() == before
    made = kms.ok("encrypt", stdin=SECRET)
    (kms.home / "made").write_bytes(made)
    running = kms.start("decrypt", "-in=made", "-out=fifo", stdin=subprocess.DEVNULL)
    assert "not whole" in ended_by_signal(running)
    head = kms.ok("encrypt-file", stdin=SECRET)[:40]
    running = kms.start("re-encrypt", "-out=out")
    running.stdin.write(head)
    running.stdin.flush()
    until(lambda: waiting(running.stdin) == 0, "re-encrypt at its input")
    assert "nothing was written" in ended_by_signal(running)


def full_pipe():
    """A pipe that takes nothing more: its two ends."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(1024))
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


def test_a_signal_while_nobody_reads_leaves_nothing(kms):
    kms.ok("encrypt", "-out=made", stdin=SECRET)
    before = kms.names()
    reader, writer = full_pipe()
    running = kms.start("generate-key", "-out=key", stdin=subprocess.DEVNULL, stdout=writer)
    until(lambda: writes(running), "a file that is being written")
    ended_by_signal(running)
    assert kms.names() == before
    running = kms.start("decrypt", "-in=made", stdin=subprocess.DEVNULL, stdout=writer)
    assert "not whole" in ended_by_signal(running)
    os.close(reader)
    os.close(writer)


def test_a_key_is_not_left_without_its_wrapped_form(kms):
    before = kms.names()
    for field in ("nonsense", "plaintext"):
        assert "no field" in kms.refused("generate-key", "-out=key", f"-field={field}", code=1)
        assert kms.names() == before
    with open("/dev/full", "wb") as full:
        running = kms.start("generate-key", "-out=key", stdin=subprocess.DEVNULL, stdout=full)
        assert running.wait(timeout=20) == 1
    assert kms.names() == before


def test_readers_may_leave(kms):
    (kms.home / "big").write_bytes(os.urandom(4 << 20))
    kms.ok("encrypt-file", "big")
    for command in (["decrypt-file", "-out=-", "big.kms"], ["re-encrypt", "-in=big.kms"]):
        reader, writer = os.pipe()
        os.close(reader)
        running = kms.start(*command, stdin=subprocess.DEVNULL, stdout=writer)
        os.close(writer)
        assert running.wait(timeout=20) == 0
        told = running.stderr.read().splitlines()
        assert len(told) == 1 and b"`local` is for development" in told[0]


def test_bytes_follow_a_flag_and_no_variable(kms):
    json_wanted = {"VAULT_FORMAT": "json"}
    made = kms.ok("encrypt", stdin=SECRET, **json_wanted)
    assert kms.ok("decrypt", stdin=made, **json_wanted) == SECRET
    assert json.loads(kms.ok("encrypt", "-format=json", stdin=SECRET))["provider"] == "local"
    key = json.loads(kms.ok("generate-key", **json_wanted))
    opened = kms.ok("decrypt-key", stdin=key["ciphertext"].encode(), **json_wanted)
    assert opened == base64.b64decode(key["plaintext"])


def test_a_service_that_hangs_or_trickles_is_given_up(kms, answering):
    def hang(connection):
        connection.recv(1)

    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.2)

    (kms.home / "tree").mkdir()
    running = []
    for answer in (hang, trickle):
        url = answering(answer)
        for command in (
            ["health", f"-service={url}"],
            ["status", f"-service={url}"],
            ["decrypt", "-native", "-in=keys.txt", f"-service={url}"],
            ["migrate", "-from=kms.toml", f"-to={url}", "tree"],
        ):
            running.append(kms.start(*command, stdin=subprocess.DEVNULL))
    for process in running:
        assert process.wait(timeout=40) == 2, process.args
        assert b"did not answer within 10000 ms" in process.stderr.read()


def test_health_is_not_what_anybody_says(kms, answering):
    for body in (b"{}", b"[]", b'{"status":"healthy"}', b'{"status":"down","backend":"x"}'):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        url = answering(lambda connection, answer=head + body: connection.sendall(answer))
        kms.refused("health", f"-service={url}")


def waiting(pipe):
    """Bytes in a pipe that nobody has read."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def peak_kib(pid):
    """The most memory that a process had; what its parent had at its start is not part of it."""
    try:
        with open(f"/proc/{pid}/status") as status:
            lines = [line.split() for line in status if line.startswith("VmHWM")]
    except OSError:
        return 0
    return int(lines[0][1]) if lines else 0


def test_a_large_file_takes_little_memory(kms):
    with (kms.home / "large").open("wb") as file:
        file.truncate(512 << 20)
    for arguments in (["encrypt-file", "large"], ["decrypt-file", "-out=back", "large.kms"]):
        process = kms.start(*arguments, stdin=subprocess.DEVNULL)
        most = 0
        while process.poll() is None:
            most = max(most, peak_kib(process.pid))
        assert process.returncode == 0 and 0 < most < 64 << 10, most
    assert (kms.home / "back").stat().st_size == 512 << 20


def at_terminal(kms, *arguments):
    """Runs a command whose output is a terminal."""
    ours, its = pty.openpty()
    process = kms.start(*arguments, stdin=subprocess.DEVNULL, stdout=its, stderr=its)
    os.close(its)
    seen = b""
    while True:
        try:
            some = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        seen += some
    os.close(ours)
    return process.wait(timeout=60), seen.decode()


def test_big_files_have_a_bar_at_a_terminal(kms):
    for name, size, has_bar in (("big", 65 << 20, True), ("small", 63 << 20, False)):
        with open(kms.home / name, "wb") as file:
            file.truncate(size)
        code, seen = at_terminal(kms, "encrypt-file", name)
        assert code == 0 and (" left" in seen) == has_bar, seen
        assert f"{size} bytes encrypted" in seen
    code, seen = at_terminal(kms, "decrypt-file", "-out=back", "big.kms")
    assert code == 0 and " left" in seen
    # Nobody looks at a bar in a file.
    assert " left" not in kms("encrypt-file", "-force", "big").err


def test_flags_have_two_hyphens_and_long_names_too(kms):
    assert kms.ok("encrypt", "--context", "env=prod", "--output", "made", stdin=SECRET) == b""
    kms.ok("decrypt", "--context=env=prod", "--in", "made", "--output=opened")
    assert (kms.home / "opened").read_bytes() == SECRET
    kms.refused("decrypt", "--in", "made")


def test_keys_are_shown_on_a_terminal_only_where_that_is_asked_for(kms):
    code, seen = at_terminal(kms, "generate-key")
    assert code == 1 and "-show-plaintext" in seen and "ciphertext" not in seen
    code, seen = at_terminal(kms, "generate-key", "-show-plaintext")
    assert code == 0 and "plaintext" in seen
    assert at_terminal(kms, "generate-key", "-without-plaintext")[0] == 0
    assert at_terminal(kms, "generate-key", "-field=ciphertext")[0] == 0
    wrapped = kms.ok("generate-key", "-out=key", "-field=ciphertext")
    (kms.home / "wrapped").write_bytes(wrapped)
    key = (kms.home / "key").read_bytes()
    assert len(key) == 32 and (kms.home / "key").stat().st_mode & 0o777 == 0o600
    code, seen = at_terminal(kms, "decrypt-key", "-in=wrapped")
    assert code == 1 and text64(key) not in seen
    code, seen = at_terminal(kms, "decrypt-key", "-in=wrapped", "-show-plaintext")
    assert code == 0 and text64(key) in seen
    (kms.home / "binary").write_bytes(EVERY_BYTE)
    code, seen = at_terminal(kms, "encrypt", "-binary", "-in=binary")
    assert code == 1 and "is no text" in seen
    code, seen = at_terminal(kms, "generate-key", "-out=/dev/stdout")
    assert code == 1 and "-show-plaintext" in seen and len(seen) < 300
    kms.ok("encrypt-file", "-out=stream", stdin=EVERY_BYTE)
    code, seen = at_terminal(kms, "re-encrypt", "-in=stream")
    assert code == 1 and "is no text" in seen and "SKST" not in seen


def test_secrets_stand_nowhere(kms):
    made = kms.ok("encrypt", stdin=SECRET)
    for command in (["decrypt", "-context=a=1"], ["decrypt", "-key=x"], ["decrypt", "-field=x"]):
        done = kms(*command, stdin=made)
        assert done.code and SECRET.decode() not in done.err and text64(SECRET) not in done.err
    (kms.home / "made").write_bytes(made)
    assert planted_files(kms.home, [SECRET.decode()]) == []


def test_completion_offers_it(kms):
    def offers(line):
        done = subprocess.run(
            [kms.binary, "completion", "bash", f"-line={line}"],
            capture_output=True,
            env=kms.environment(),
            cwd=kms.home,
            check=True,
        )
        return done.stdout.decode().split()

    assert "encrypt-file" in offers("secretum kms enc")
    assert "vault" in offers("secretum kms encrypt -backend=")
