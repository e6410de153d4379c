"""`secretum kms` as users run it: pipes, files, the real age, OpenBao and a running kms-service."""

import array
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kms_command import LOCAL, KmsCommand, text64
from kms_node import KmsService
from node import IS_BAO, planted_files, until

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms is ours alone")

SECRET = b"planted-value-of-kms-cli"
EVERY_BYTE = bytes(range(256)) * 3
AGE = (
    '[kms]\nenvironment = "dev"\ndev_backend = "age"\n'
    '[kms.age]\npublic_key_path = "public.txt"\nprivate_key_path = "private.txt"\n'
)


@pytest.fixture
def kms(tmp_path):
    """The command with the provider `local`."""
    home = tmp_path / "home"
    home.mkdir()
    return KmsCommand(home).keys().configure()


@pytest.fixture
def serve(tmp_path):
    """Starts services with the same keys; ends them, and looks for secrets in their logs."""
    started = []

    def make(service="", scheme="http"):
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        KmsCommand(folder).keys()
        kms = 'dev_backend = "local"\n[kms.local]\nkeys_path = "keys.txt"\n'
        started.append(KmsService(folder, kms, service).start(scheme))
        return started[-1]

    yield make
    for service in started:
        assert service.stop() == 0, service.log.read_text()
        log = service.log.read_text()
        assert SECRET.decode() not in log and text64(SECRET)[:-2] not in log


def age(*arguments, stdin=b"", cwd=None):
    binary = shutil.which("age")
    assert binary, "no `age` command: apt-get install age"
    done = subprocess.run([binary, *arguments], input=stdin, capture_output=True, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def age_keys(kms, private="private.txt", public="public.txt"):
    """A key pair of the real age-keygen; gives the recipient."""
    subprocess.run(["age-keygen", "-o", private], cwd=kms.home, check=True, capture_output=True)
    recipient = subprocess.run(
        ["age-keygen", "-y", private], cwd=kms.home, check=True, capture_output=True
    ).stdout
    (kms.home / private).chmod(0o600)
    (kms.home / public).write_bytes(recipient)
    return recipient.decode().strip()


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
    assert kms.ok("decrypt", stdin=kms.ok("encrypt", stdin=SECRET)) == SECRET


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


def client_certificates(home, ca="ca", client="client"):
    """Makes an authority, and a certificate of it for a client."""
    for name in (ca, client):
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        made += ["-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}", "-days", "2"]
        made += ["-out", f"{name}.pem"]
        if name == client:
            made += ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key"]
            made += ["-addext", "extendedKeyUsage=clientAuth"]
            made += ["-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run(made, cwd=home, check=True, capture_output=True)


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
    (kms.home / "token").write_text("token-of-app\n")
    kms.ok("encrypt", *where, "-token-file=token", stdin=SECRET)
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


def test_a_signal_leaves_nothing(kms):
    for stop in (signal.SIGINT, signal.SIGTERM):
        before = kms.names()
        running = kms.start("encrypt-file", "-out=out")
        running.stdin.write(os.urandom(1 << 20))
        running.stdin.flush()
        until(lambda: any(name.startswith(".kms-") for name in kms.names()), "a temporary file")
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
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
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
    until(lambda: any(name.startswith(".kms-") for name in kms.names()), "a temporary file")
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
        assert running.stderr.read() == b""


def test_bytes_follow_a_flag_and_no_variable(kms):
    json_wanted = {"VAULT_FORMAT": "json"}
    made = kms.ok("encrypt", stdin=SECRET, **json_wanted)
    assert kms.ok("decrypt", stdin=made, **json_wanted) == SECRET
    assert json.loads(kms.ok("encrypt", "-format=json", stdin=SECRET))["provider"] == "local"
    key = json.loads(kms.ok("generate-key", **json_wanted))
    opened = kms.ok("decrypt-key", stdin=key["ciphertext"].encode(), **json_wanted)
    assert opened == base64.b64decode(key["plaintext"])


@pytest.fixture
def answering():
    """Starts peers that answer every request by a function of its connection; gives their address."""
    listeners = []

    def make(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # the test is over
                    return
                threading.Thread(target=answered, args=(connection,), daemon=True).start()

        def answered(connection):
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield make
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


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


def tree(kms, folder="tree"):
    """A tree of everything that is migrated and of what is not; gives what it opens to."""
    (kms.home / folder / "deep").mkdir(parents=True)
    plaintexts = {}
    for number in range(12):
        name = f"{folder}/{'deep/' if number % 2 else ''}file {number}"
        plaintexts[name] = os.urandom(number * 20_000)
        flags = [["-binary"], []][number % 2]
        kms.ok("encrypt", "-context=env=prod", f"-out={name}", *flags, stdin=plaintexts[name])
    for number in range(4):
        name = f"{folder}/deep/stream{number}"
        plaintexts[name] = os.urandom(150_000 + number)
        kms.ok("encrypt-file", "-context=env=prod", f"-out={name}", stdin=plaintexts[name])
    (kms.home / folder / "deep" / "stream1").chmod(0o640)
    (kms.home / folder / "note.txt").write_text("nothing of ours")
    (kms.home / folder / "link").symlink_to("note.txt")
    return plaintexts


def check_opens(kms, plaintexts, *where):
    for name, plaintext in plaintexts.items():
        command = "decrypt-file" if "stream" in name else "decrypt"
        assert kms.ok(command, "-context=env=prod", f"-in={name}", *where, "-out=-") == plaintext


MIGRATE = ["migrate", "-from=kms.toml", "-to=b.toml", "-context=env=prod", "-format=json"]


def test_a_tree_moves_to_another_service(kms, transit):
    plaintexts = tree(kms)
    vault = f'[kms.vault]\naddress = "{transit.address}"\nauth = "token"\ntoken = "{transit.token}"\n'
    kms.configure(f'[kms]\nenvironment = "dev"\ndev_backend = "vault"\n{vault}', "b.toml")
    before = {name: (kms.home / name).read_bytes() for name in plaintexts}
    dry = json.loads(kms.ok(*MIGRATE, "-dry-run", "tree"))
    assert (dry["migrated"], dry["no_ciphertexts"], dry["failed"]) == (16, 1, 0)
    assert (dry["complete"], dry["left"]) == (False, 16)
    assert before == {name: (kms.home / name).read_bytes() for name in plaintexts}
    assert not (kms.home / "tree/.kms-migration").exists()
    done = json.loads(kms.ok(*MIGRATE, "tree"))
    assert (done["files"], done["migrated"], done["already"]) == (17, 16, 0)
    assert (done["complete"], done["left"]) == (True, 0)
    check_opens(kms, plaintexts, "-config=b.toml")
    stream = "tree/deep/stream1"
    assert (kms.home / stream).stat().st_mode & 0o777 == 0o640
    # Only the wrapped key of a file changed: what is behind the head stayed.
    assert (kms.home / stream).read_bytes()[-150_000:] == before[stream][-150_000:]
    assert kms.ok("decrypt-file", "-config=b.toml", "-context=env=prod", stdin=(kms.home / stream).read_bytes())
    again = json.loads(kms.ok(*MIGRATE, "tree"))
    assert (again["migrated"], again["already"]) == (0, 16)
    # And back, by other names of the same services.
    kms.configure(LOCAL + vault)
    back = ["migrate", "-from=vault", "-to=kms.toml:local", "-context=env=prod", "tree"]
    assert b"16 migrated" in kms.ok(*back)
    check_opens(kms, plaintexts)


def test_a_tree_moves_into_a_service(kms, serve, tmp_path):
    plaintexts = tree(kms)
    service = serve()
    KmsCommand(service.directory).keys(byte=5)
    service.stop()
    service.start()
    arguments = ["migrate", "-from=kms.toml", f"-to={service.url}", "-context=env=prod", "-key=other"]
    assert b"16 migrated" in kms.ok(*arguments, "tree")
    check_opens(kms, plaintexts, f"-service={service.url}")
    made = kms.ok("decrypt", "-context=env=prod", "-in=tree/file 0", "-field=key_id", f"-service={service.url}")
    assert made == b"other"


def test_a_migration_that_is_killed_anywhere_goes_on(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    killed = 0
    for delay in range(1, 60):
        running = kms.start(*MIGRATE, "tree", stdin=subprocess.DEVNULL)
        time.sleep(delay / 400)
        running.kill()
        running.communicate(timeout=20)
        killed += 1
        if running.returncode == 0:
            break
    assert killed > 1, "it was never stopped"
    done = json.loads(kms.ok(*MIGRATE, "tree"))
    assert done["failed"] == 0 and done["migrated"] + done["already"] == 16
    check_opens(kms, plaintexts, "-config=b.toml")
    left = [name for name in kms.names("tree") + kms.names("tree/deep") if ".kms-migrate-" in name]
    assert left == []


def test_what_cannot_be_migrated_is_named_and_left(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    kms.ok("encrypt", "-context=env=dev", "-out=tree/foreign", stdin=SECRET)
    cut = (kms.home / "tree/file 0").read_bytes()[:-1]
    (kms.home / "tree/cut").write_bytes(cut)
    odd = {name: (kms.home / name).read_bytes() for name in ("tree/foreign", "tree/cut")}
    done = kms(*MIGRATE, "tree")
    assert done.code == 2 and done.json["migrated"] == 16
    told = {failure["file"]: failure["error"] for failure in done.json["failures"]}
    assert "context" in told["tree/foreign"] and "cut off" in told["tree/cut"]
    assert odd == {name: (kms.home / name).read_bytes() for name in odd}
    check_opens(kms, plaintexts, "-config=b.toml")
    # Another migration waits until this one is complete, or gets a journal of its own.
    back = ["migrate", "-from=b.toml", "-to=kms.toml", "-context=env=prod"]
    assert "not complete" in kms.refused(*back, "tree", code=1)
    for name in odd:
        (kms.home / name).unlink()
    kms.ok(*MIGRATE, "tree")
    assert b"16 migrated" in kms.ok(*back, "tree")
    check_opens(kms, plaintexts)
    same = kms.refused("migrate", "-from=kms.toml", "-to=local", "tree", code=1)
    assert "nothing to do" in same


def errors(run):
    """The files that a migration names, and why."""
    return {failure["file"]: failure["error"] for failure in run.json["failures"]}


def test_a_folder_that_cannot_be_read_is_named(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    closed = kms.home / "tree/closed"
    closed.mkdir(mode=0)
    # Root reads everything, unless it gives that up.
    lesser = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*lesser, kms.binary, "kms", *MIGRATE, "tree"]
    done = subprocess.run(command, capture_output=True, cwd=kms.home, env=kms.environment())
    told = json.loads(done.stdout)
    assert (done.returncode, told["migrated"], told["left"], told["complete"]) == (2, 16, 1, False)
    assert told["failures"][0]["file"] == "tree/closed"
    closed.rmdir()
    check_opens(kms, plaintexts, "-config=b.toml")


def test_what_is_said_to_be_migrated_is_opened(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    kms.ok("encrypt", "-context=env=dev", "-out=tree/foreign", stdin=SECRET)
    assert kms(*MIGRATE, "tree").code == 2
    # The journal is of keys that are there no more: first in the same file, then in another one.
    kms.keys("other.txt", byte=8)
    lost = kms(*MIGRATE, "tree")
    assert (lost.code, lost.json["already"], lost.json["failed"]) == (2, 0, 17)
    assert "does not open" in errors(lost)["tree/file 0"]
    kms.keys("third.txt", byte=9)
    kms.configure(LOCAL.replace("keys.txt", "third.txt"), "b.toml")
    assert "not complete" in kms.refused(*MIGRATE, "tree", code=1)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml").keys("other.txt", byte=7)
    (kms.home / "tree/foreign").unlink()
    assert json.loads(kms.ok(*MIGRATE, "tree"))["already"] == 16
    check_opens(kms, plaintexts, "-config=b.toml")


def test_what_is_of_another_key_of_the_new_service_is_named(kms):
    (kms.home / "tree").mkdir()
    age_keys(kms)
    kms.configure(AGE, "a.toml").keys("third.txt", byte=9)
    kms.configure(LOCAL.replace("keys.txt", "third.txt"), "third.toml")
    kms.ok("encrypt", "-config=a.toml", "-out=tree/ours", stdin=SECRET)
    kms.ok("encrypt", "-config=third.toml", "-out=tree/theirs", stdin=SECRET)
    run = ["migrate", "-from=a.toml", "-to=kms.toml", "-format=json", "tree"]
    done = kms(*run)
    assert (done.code, done.json["migrated"], done.json["already"]) == (2, 1, 0)
    assert "does not open" in errors(done)["tree/theirs"]
    (kms.home / "tree/theirs").unlink()
    assert json.loads(kms.ok(*run))["already"] == 1
    (kms.home / "tree/.kms-migration").unlink()
    other = kms(*run, "-key=other")
    assert other.code == 2 and "`default` and not `other`" in errors(other)["tree/ours"]
    (kms.home / "tree/.kms-migration").unlink()
    bound = kms(*run, "-new-context=n=1")
    assert bound.code == 2 and bound.json["already"] == 0


def test_a_key_that_is_missing_stops_a_migration_before_the_first_file(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    for dry in (["-dry-run"], []):
        done = kms(*MIGRATE, *dry, "-key=archive", "tree")
        assert (done.code, done.json["failed"], done.json["complete"]) == (2, 0, False)
        assert "has no key `archive`" in done.json["stopped"]
    check_opens(kms, plaintexts)


def test_a_rate_limit_is_waited_for(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    limit = "[kms.rate_limit]\nper_second = 40\nburst = 1\n"
    kms.configure(LOCAL.replace("keys.txt", "other.txt") + limit, "b.toml")
    done = json.loads(kms.ok(*MIGRATE, "tree"))
    assert (done["migrated"], done["complete"]) == (16, True)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    check_opens(kms, plaintexts, "-config=b.toml")


def test_what_stands_around_a_ciphertext_stays(kms):
    (kms.home / "tree").mkdir()
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    made = kms.ok("encrypt", "-context=env=prod", stdin=SECRET).strip()
    around = {"dos": (b"", b"\r\n"), "behind": (b"\n \t", b""), "both": (b"\r\n", b" \n\n")}
    for name, (before, after) in around.items():
        (kms.home / "tree" / name).write_bytes(before + made + after)
    assert json.loads(kms.ok(*MIGRATE, "tree"))["migrated"] == 3
    for name, (before, after) in around.items():
        found = (kms.home / "tree" / name).read_bytes()
        assert found.startswith(before + b"U0tNU") and found.endswith(after)
        assert found == before + found.strip() + after and made not in found
        opened = kms.ok("decrypt", "-config=b.toml", "-context=env=prod", stdin=found)
        assert opened == SECRET


def test_a_token_goes_to_one_service(kms, answering):
    (kms.home / "tree").mkdir()
    (kms.home / "token").write_text("token-of-app")
    urls = [answering(lambda connection: None) for _ in range(2)]
    run = ["migrate", f"-from={urls[0]}", f"-to={urls[1]}", "tree"]
    for more, environment in ((["-token-file=token"], {}), ([], {"KMS_SERVICE_TOKEN": "t"})):
        refused = kms.refused(*run, *more, code=1, **environment)
        assert "-from-token-file" in refused
        kms.refused(*run, *more, "-from-token-file=token", "-to-token-file=token", **environment)


def test_each_of_two_services_is_shown_its_own_certificate(kms, serve, certificates):
    services = []
    for side in ("from", "to"):
        client_certificates(kms.home, f"{side}-ca", side)
        service = serve(
            f'tls_cert_path = "{certificates.chain}"\ntls_key_path = "{certificates.key}"\n'
            f'client_ca_path = "{kms.home}/{side}-ca.pem"\n'
            f'[[service.certificates]]\nname = "app"\ncommon_name = "{side}"\n'
            'rights = [{ operations = ["*"], keys = ["*"] }]\n',
            "https",
        )
        services.append(service.url)
    plaintexts = tree(kms)
    run = ["migrate", f"-from={services[0]}", f"-to={services[1]}", "-context=env=prod"]
    run += [f"-ca-cert={certificates.ca}", "-format=json"]
    one = ["-client-cert=from.pem", "-client-key=from.key"]
    assert b'"complete": true' not in kms(*run, *one, "tree").out
    both = ["-from-client-cert=from.pem", "-from-client-key=from.key"]
    both += ["-to-client-cert=to.pem", "-to-client-key=to.key"]
    assert "-from-client-key" in kms.refused(*run, both[0], "tree", code=1)
    done = json.loads(kms.ok(*run, *both, "tree"))
    assert (done["migrated"], done["complete"]) == (16, True)
    # What is one's own goes before what is for both.
    assert json.loads(kms.ok(*run, *one, *both[2:], "tree"))["complete"]
    check_opens(kms, plaintexts)


def test_a_migration_leaves_temporary_files_of_another_one(kms):
    tree(kms)
    other = kms.home / "tree/.kms-migrate-in-place-0123456789abcdef-abc123"
    other.write_bytes(b"of a run with another plan")
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    assert json.loads(kms.ok(*MIGRATE, "tree"))["complete"]
    assert other.exists()


def test_names_of_files_need_not_be_text(kms):
    name = os.fsdecode(b"b\xff")
    (kms.home / name).write_bytes(kms.ok("encrypt", stdin=SECRET))
    for flag in ([f"-in={name}"], [f"--in={name}"], ["-in", name]):
        assert kms.ok("decrypt", *flag) == SECRET


def test_a_tree_has_one_migration_at_a_time(kms):
    tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    with (kms.home / "tree/.kms-migration").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for journal in ([], ["-journal=elsewhere"]):
            assert "at work" in kms.refused(*MIGRATE, *journal, "tree", code=1)
    assert json.loads(kms.ok(*MIGRATE, "-journal=elsewhere", "tree"))["files"] == 17


def test_a_service_that_is_away_stops_a_migration(kms):
    tree(kms)
    vault = '[kms.vault]\naddress = "http://127.0.0.1:1"\nauth = "token"\ntoken = "t"\n'
    kms.configure(f'[kms]\nenvironment = "dev"\ndev_backend = "vault"\n{vault}', "b.toml")
    done = kms(*MIGRATE, "tree")
    assert done.code == 2 and "cannot be reached" in done.json["stopped"]
    assert (done.json["migrated"], done.json["complete"], done.json["left"]) == (0, False, 17)


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
