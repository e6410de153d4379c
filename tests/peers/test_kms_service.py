"""`kms-service` as applications use it: requests, urllib, curl, Python's own AES and TLS."""

import base64
import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request

import jsonschema
import pytest
import requests
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kms_node import KmsService
from node import IS_BAO, planted_files
from openapi_fuzz import fuzz
from openapi_spec_validator import validate

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms-service is ours alone")

SECRET = "planted-value-of-kms"
LOCAL = 'dev_backend = "local"\n[kms.local]\nkeys_path = "keys.txt"\n'


def text64(raw):
    return base64.b64encode(raw.encode() if isinstance(raw, str) else raw).decode()


@pytest.fixture
def serve(tmp_path):
    """Starts services with the provider `local`, or another; ends them."""
    started = []

    def make(kms=LOCAL, service="", scheme="http"):
        keys = tmp_path / "keys.txt"
        keys.write_text("".join(f"{key}:1:{text64(bytes(32))}\n" for key in ["default", "other"]))
        keys.chmod(0o600)
        started.append(KmsService(tmp_path, kms, service).start(scheme))
        return started[-1]

    yield make
    for service in started:
        assert service.stop() == 0, service.log.read_text()
        log = service.log.read_text()
        assert SECRET not in log and text64(SECRET)[:-2] not in log


def call(service, operation, **body):
    return service.session.post(f"{service.url}/api/v1/kms/{operation}", json=body, timeout=30)


def ok(service, operation, **body):
    answer = call(service, operation, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def whole_life(service):
    """Encrypt, rotate, decrypt, re-encrypt, and a data key that Python's own AES uses."""
    made = ok(service, "encrypt", plaintext=text64(SECRET), context="env=prod,service=api")
    rotated = ok(service, "rotate")
    assert rotated["key_version"] != made["key_version"]
    context = {"service": "api", "env": "prod"}
    opened = ok(service, "decrypt", ciphertext=made["ciphertext"], context=context)
    assert base64.b64decode(opened["plaintext"]).decode() == SECRET
    moved = ok(service, "re-encrypt", ciphertext=made["ciphertext"], context=context)
    assert moved["key_version"] == rotated["key_version"]
    wrong = call(service, "decrypt", ciphertext=moved["ciphertext"], context="env=dev")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "not_authentic")
    key = ok(service, "generate-key", key_spec="AES_256", context="file=1")
    sealed = AESGCM(base64.b64decode(key["plaintext"])).encrypt(bytes(12), b"data", None)
    again = ok(service, "decrypt-key", ciphertext=key["ciphertext"], context={"file": "1"})
    assert AESGCM(base64.b64decode(again["plaintext"])).decrypt(bytes(12), sealed, None) == b"data"


def test_local(serve):
    whole_life(serve())


def test_openbao_transit(serve, transit):
    kms = f'dev_backend = "vault"\n[kms.vault]\naddress = "{transit.address}"\nauth = "token"\n'
    service = serve(f'{kms}token = "{transit.token}"\n')
    whole_life(service)
    assert transit.token not in service.log.read_text()


def answer_schema(document, path, status):
    """What the document says of an answer: all that it names is there, where nothing else is said."""
    (operation,) = document["paths"][path].values()
    answers = operation["responses"]
    answer = answers.get(str(status), answers["default"])
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    return answer["content"]["application/json"]["schema"] | {"components": document["components"]}


def test_answers_are_what_the_openapi_document_says(serve):
    service = serve()
    document = requests.get(f"{service.url}/openapi.json", timeout=30).json()
    validate(document)
    asked = set()

    def ask(operation, status=200, **body):
        path = f"/api/v1/kms/{operation}"
        answer = call(service, operation, **body)
        assert answer.status_code == status, answer.text
        schema = answer_schema(document, path, status)
        jsonschema.validate(answer.json(), schema)
        asked.add(path)
        return answer.json(), set(schema["properties"])

    def whole(operation, **body):
        told, named = ask(operation, **body)
        assert set(told) == named
        return told

    made = whole("encrypt", plaintext=text64("x"), context={"a": "1"}, key_id="other")
    whole("decrypt", ciphertext=made["ciphertext"], context="a=1")
    whole("re-encrypt", ciphertext=made["ciphertext"], context="a=1", new_context="b=1")
    key = whole("generate-key", key_spec=64)
    whole("decrypt-key", ciphertext=key["ciphertext"])
    whole("rotate", key_id="other")
    bare, named = ask("generate-key", without_plaintext=True)
    assert named - set(bare) == {"plaintext"}
    ask("encrypt", status=400, plaintext="!")
    ask("decrypt", status=400, ciphertext=made["ciphertext"])
    for operation in ["status", "health"]:
        path = f"/api/v1/kms/{operation}"
        answer = requests.get(service.url + path, timeout=30)
        assert answer.status_code == 200, answer.text
        jsonschema.validate(answer.json(), answer_schema(document, path, 200))
        asked.add(path)
    assert asked == {path for path in document["paths"] if path.startswith("/api/")}


@pytest.mark.timeout(600)
def test_requests_made_from_the_openapi_document(serve, tmp_path):
    service = serve()
    document = tmp_path / "openapi.json"
    document.write_bytes(requests.get(f"{service.url}/openapi.json", timeout=30).content)
    print(fuzz(document, service.url, tmp_path))


def test_urllib_and_its_errors(serve):
    url = f"{serve().url}/api/v1/kms/encrypt"

    def send(body):
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        return urllib.request.urlopen(request, timeout=30)

    with send(json.dumps({"plaintext": text64(SECRET)}).encode()) as answer:
        assert json.load(answer)["provider"] == "local"
    with pytest.raises(urllib.error.HTTPError) as refused:
        send(json.dumps({"plaintext": SECRET + "!"}).encode())
    told = refused.value.read().decode()
    assert refused.value.code == 400 and json.loads(told)["error"]["code"] == "plaintext_not_base64"
    assert SECRET not in told


def test_curl_as_the_guide_has_it(serve):
    url = f"{serve().url}/api/v1/kms"
    curl = shutil.which("curl")
    assert curl, "no `curl` command: apt-get install curl"

    def send(path, body):
        flags = ["-s", f"{url}/{path}", "-H", "Content-Type: application/json", "-d", body]
        return json.loads(subprocess.run([curl, *flags], capture_output=True, check=True).stdout)

    made = send("encrypt", '{"plaintext":"aGVsbG8=","context":"env=prod,service=api"}')
    body = {"ciphertext": made["ciphertext"], "context": {"service": "api", "env": "prod"}}
    assert send("decrypt", json.dumps(body)) == {"plaintext": "aGVsbG8=", "key_id": "default"}


def test_tls_tokens_and_rights(serve, certificates):
    digest = hashlib.sha256(b"token-of-app").hexdigest()
    service = serve(
        service=f'tls_cert_path = "{certificates.chain}"\ntls_key_path = "{certificates.key}"\n'
        f'[[service.tokens]]\nname = "app"\nsha256 = "{digest}"\n'
        'rights = [{ operations = ["encrypt", "status"], keys = ["default"] }]\n',
        scheme="https",
    )
    session = service.session
    session.verify = str(certificates.ca)
    url = f"{service.url}/api/v1/kms"
    body = {"plaintext": text64(SECRET)}
    assert session.post(f"{url}/encrypt", json=body).status_code == 401
    session.headers["Authorization"] = "Bearer token-of-app"
    assert session.post(f"{url}/encrypt", json=body).status_code == 200
    assert session.post(f"{url}/encrypt", json=body | {"key_id": "other"}).status_code == 403
    assert session.post(f"{url}/rotate", json={}).status_code == 403
    assert 'operation="encrypt",outcome="ok"} 1' in session.get(f"{service.url}/metrics").text
    assert planted_files(service.directory, [SECRET, "token-of-app"]) == []


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_refusal_arrives_whatever_is_sent(serve, certificates, version):
    """A refused request has a body that nobody reads."""
    digest = hashlib.sha256(b"token-of-app").hexdigest()
    service = serve(
        service=f'tls_cert_path = "{certificates.chain}"\ntls_key_path = "{certificates.key}"\n'
        f'[[service.tokens]]\nname = "app"\nsha256 = "{digest}"\nrights = []\n',
        scheme="https",
    )
    body = service.directory / "body.json"
    asks = ["--output", "/dev/null", f"{service.url}/api/v1/kms/encrypt"] * 20
    curl = ["curl", "--silent", version, "--cacert", str(certificates.ca)]
    curl += ["--write-out", "%{http_code}\n", "--data-binary", f"@{body}"]
    curl += ["--header", "Content-Type: application/json", "--header", "Expect:"]
    for size in (1, 40_000):
        body.write_text(json.dumps({"plaintext": text64("x" * size)}))
        done = subprocess.run([*curl, *asks], capture_output=True, text=True, timeout=60)
        assert set(done.stdout.split()) == {"401"}, done
        assert done.returncode == 0
