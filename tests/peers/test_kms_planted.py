"""Plaintexts, data keys, tokens and values of contexts are in nothing that `kms-service` writes or refuses."""

import base64
import hashlib
import json

import grpc
import needles
import pytest
from kms_command import KmsCommand, text64
from kms_node import KmsService
from node import IS_BAO, until

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms-service is ours alone")

PLANTED = "planted-value-of-kms-service"
TOKEN = "token-of-planter"
MASTER = base64.b64encode(b"planted-value-of-the-master-secret").decode()

CALLER = f"""
[[service.tokens]]
name = "app"
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
rights = [{{ operations = ["*"], keys = ["*"] }}]
"""
AUDIT = """
[service.audit]
key_path = "signing.key"
[[service.audit.devices]]
type = "file"
options = { file_path = "FOLDER/audit.log" }
"""
GRPC = '\n[service.grpc]\naddress = "127.0.0.1:0"\n'
KEPT = '\n[service.data_keys]\nstorage = "storage://file?path=FOLDER/data-keys"\n'
DERIVED = f'\n[service.data_keys]\nkms = "kms://cluster-kms?key={MASTER}&salt={MASTER}"\n'


@pytest.fixture
def serve(tmp_path):
    """Starts services that log all they can; ends them."""
    started = []

    def make(data_keys):
        folder = tmp_path / f"service-{len(started)}"
        folder.mkdir()
        kms = 'dev_backend = "local"\n[kms.local]\nkeys_path = "keys.txt"\n[kms.cache]\nenabled = true\n'
        KmsCommand(folder).configure().ok("create-key")
        KmsCommand(folder).ok("create-key", "-key=other")
        service = f'log_level = "trace"\n{CALLER}{AUDIT}{GRPC}{data_keys}'
        service = service.replace("FOLDER", str(folder))
        started.append(KmsService(folder, kms, service).start())
        started[-1].session.headers["Authorization"] = f"Bearer {TOKEN}"
        return started[-1]

    yield make
    for service in started:
        assert service.stop() == 0, service.log.read_text()


def data_key(service, identifier, length=32, token=TOKEN):
    """What gRPC gives for an identifier: the key, or the code of the refusal."""
    message = b"\x0a" + bytes([len(identifier)]) + identifier.encode() + b"\x10" + bytes([length])
    with grpc.insecure_channel(service.grpc()) as channel:
        ask = channel.unary_unary("/kms.API/GetDataKey")
        try:
            head = [("authorization", f"Bearer {token}")]
            answer = ask(message, metadata=head, timeout=30)
        except grpc.RpcError as refusal:
            told = refusal.details()
            assert PLANTED not in told and token not in told
            return refusal.code().name
    assert answer[:1] == b"\x0a" and answer[1] == len(answer) - 2
    needles.learn_key(answer[2:])
    return answer[2:]


def use(service):
    """Everything that takes or gives a secret, done right."""

    def ok(operation, **body):
        answer = service.session.post(f"{service.url}/api/v1/kms/{operation}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    context = {"env": f"{PLANTED}-context"}
    made = ok("encrypt", plaintext=text64(PLANTED), context=context)
    ok("rotate")
    opened = ok("decrypt", ciphertext=made["ciphertext"], context=context)
    assert base64.b64decode(opened["plaintext"]).decode() == PLANTED
    again = {"env": f"{PLANTED}-again"}
    body = {"new_context": again, "new_key_id": "other"}
    moved = ok("re-encrypt", ciphertext=made["ciphertext"], context=context, **body)
    ok("decrypt", ciphertext=moved["ciphertext"], context=again, key_id="other")
    key = ok("generate-key", context=context)
    assert ok("decrypt-key", ciphertext=key["ciphertext"], context=context)["plaintext"]
    kept = data_key(service, "volume-1")
    assert len(kept) == 32 and data_key(service, "volume-1") == kept
    return base64.b64decode(key["plaintext"]), kept


def misuse(service):
    """The same in wrong places, types and forms."""
    url = f"{service.url}/api/v1/kms"
    asked = 0
    for operation in ["encrypt", "decrypt", "generate-key", "decrypt-key", "re-encrypt", "rotate"]:
        for text in [
            '{"plaintext": "%s", "context": "a=1,a=%s"}',
            '{"ciphertext": "%s", "context": {"a": "%s"}}',
            '{"plaintext": {"x": "%s"}, "key_spec": "%s"}',
            '{"plaintext": "%s", "plaintext": "%s"}',
            '{"plaintext": "%s", "%s',
            '["%s", "%s"]',
        ]:
            body = text % (text64(PLANTED), f"{PLANTED}-value")
            for head in [{}, {"Authorization": f"Bearer {TOKEN}-of-nobody"}]:
                head |= {"Content-Type": "application/json"}
                service.session.post(f"{url}/{operation}", body, headers=head, timeout=30)
                asked += 1
    assert data_key(service, "volume-1", length=0) == "INVALID_ARGUMENT"
    assert data_key(service, "volume-1", token=f"{TOKEN}-of-nobody") == "UNAUTHENTICATED"
    return asked


@pytest.mark.parametrize("data_keys", [KEPT, DERIVED], ids=["kept", "derived"])
def test_a_secret_is_told_to_nobody(serve, data_keys):
    service = serve(data_keys)
    keys = use(service)
    asked = misuse(service)
    audit = service.directory / "audit.log"
    until(lambda: b"unknown_token" in audit.read_bytes(), "the records of the refused")
    assert service.stop() == 0
    known = needles.all_of_them()
    assert all(key.hex().encode() in known for key in keys)
    assert needles.told_in(service.places()) == []
    # There was something to look at.
    refusals = (service.directory / "refusals").read_bytes().splitlines()
    assert len(refusals) > asked / 2
    records = [json.loads(line) for line in audit.read_bytes().splitlines()]
    assert len(records) > asked / 2
    metrics = next(service.directory.glob("metrics-*")).read_text()
    assert 'operation="decrypt",outcome="ok"}' in metrics
    assert service.log.stat().st_size > 10_000
    stored = list(service.directory.glob("data-keys/**/*"))
    assert bool(stored) == (data_keys is KEPT)


def test_what_a_service_tells_would_be_found(tmp_path):
    key = hashlib.sha256(b"a data key").digest()
    local = hashlib.sha256(b"a local key").digest()
    age = "AGE-SECRET-KEY-1" + "Q" * 58
    needles.learn(json.dumps({"plaintext": base64.b64encode(key).decode()}))
    (tmp_path / "keys.txt").write_text(f"default:1:{base64.b64encode(local).decode()}\n")
    (tmp_path / "age.txt").write_text(f"# made now\n{age}\n")
    needles.learn_files(tmp_path)
    for told in [key, key.hex().encode(), base64.b64encode(local), age.encode(), TOKEN.encode()]:
        (tmp_path / "service-1.log").write_bytes(b"\x00before " + told + b" behind\n")
        assert needles.told_in(tmp_path.glob("service-*")) != [], told
    (tmp_path / "service-1.log").write_bytes(b"nothing\n")
    assert needles.told_in(tmp_path.glob("service-*")) == []
