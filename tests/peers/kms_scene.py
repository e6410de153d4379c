"""What the tests of `secretum kms` begin with: folders with keys, services, peers, and what is planted."""

import contextlib
import socket
import subprocess
import threading

import pytest
from kms_command import KmsCommand, text64
from kms_node import KmsService

SECRET = b"planted-value-of-kms-cli"
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


def age_keys(kms, private="private.txt", public="public.txt"):
    """A key pair of the real age-keygen; gives the recipient."""
    subprocess.run(["age-keygen", "-o", private], cwd=kms.home, check=True, capture_output=True)
    recipient = subprocess.run(
        ["age-keygen", "-y", private], cwd=kms.home, check=True, capture_output=True
    ).stdout
    (kms.home / private).chmod(0o600)
    (kms.home / public).write_bytes(recipient)
    return recipient.decode().strip()


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
