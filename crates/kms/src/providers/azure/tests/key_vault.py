"""Azure Key Vault as far as the provider needs it, for tests. Microsoft's own client speaks with it too.

Serves TLS with a certificate of its own, which it writes to the file that is named, and gives out tokens for
the secret `planted-secret` of the tenant `tenant`, for the assertion `planted-assertion` that a pod has, and for
what is signed with the key in `application.pem`, which it writes beside that file; `stranger.pem` is like it.
Writes `port N` when it serves. A key whose name begins with `raced` is made by another caller, a moment
earlier.
"""

import base64
import datetime
import ipaddress
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
TOKEN = "planted-token"
PAGE = 2


class Refusal(Exception):
    def __init__(self, status, code, message, inner=None):
        error = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        super().__init__(message)
        self.status, self.answer = status, {"error": error}


def url_safe(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bytes_of(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Version:
    made = 0

    def __init__(self, kind, bits=None, operations=None):
        self.id, self.kind, self.bits = uuid.uuid4().hex, kind, bits or 2048
        self.operations = operations or ["encrypt", "decrypt", "sign", "verify"]
        # The service has seconds; here none has two versions.
        Version.made += 1
        self.created, self.enabled = int(time.time()) - 100_000 + Version.made, True
        if kind.startswith("RSA"):
            self.rsa = rsa.generate_private_key(65537, self.bits)
        else:
            self.aes = AESGCM(AESGCM.generate_key(256))

    def encrypt(self, alg, value, aad):
        if alg == "RSA-OAEP-256" and self.kind.startswith("RSA"):
            return {"value": url_safe(self.rsa.public_key().encrypt(value, OAEP))}
        if alg == "A256GCM" and self.kind == "oct-HSM":
            iv = os.urandom(12)
            sealed = self.aes.encrypt(iv, value, aad)
            parts = {"value": sealed[:-16], "tag": sealed[-16:], "iv": iv, "aad": aad or b""}
            return {name: url_safe(part) for name, part in parts.items()}
        raise Refusal(400, "BadParameter", f"the key does not support {alg}")

    def decrypt(self, alg, value, aad, iv, tag):
        try:
            if alg == "RSA-OAEP-256" and self.kind.startswith("RSA"):
                return {"value": url_safe(self.rsa.decrypt(value, OAEP))}
            if alg == "A256GCM" and self.kind == "oct-HSM":
                return {"value": url_safe(self.aes.decrypt(iv, value + tag, aad))}
        except (ValueError, InvalidTag):
            raise Refusal(400, "BadParameter", "The parameter is incorrect.") from None
        raise Refusal(400, "BadParameter", f"the key does not support {alg}")


class Vault:
    def __init__(self):
        self.lock, self.keys = threading.Lock(), {}

    def find(self, name, version):
        versions = self.keys.get(name, [])
        found = [row for row in versions if version in ("", row.id)]
        if not found:
            said = f"A key with (name/id) {name}/{version} was not found in this key vault."
            raise Refusal(404, "KeyNotFound", said)
        return found[-1]

    def shown(self, base, name, version):
        attributes = {"enabled": version.enabled, "created": version.created}
        kid = f"{base}/keys/{name}/{version.id}"
        key = {"kid": kid, "kty": version.kind, "key_ops": version.operations}
        if version.kind.startswith("RSA"):
            numbers = version.rsa.public_key().public_numbers()
            key["n"], key["e"] = url_safe(numbers.n.to_bytes(version.bits // 8, "big")), "AQAB"
        return {"key": key, "attributes": {**attributes, "updated": version.created}}

    def listed(self, base, query):
        start = int(query.get("skip", 0))
        names = sorted(self.keys)
        rows = [{"kid": f"{base}/keys/{name}"} for name in names[start : start + PAGE]]
        more = start + PAGE < len(names)
        link = f"{base}/keys?api-version={query['api-version']}&skip={start + PAGE}"
        return {"value": rows, "nextLink": link if more else None}

    def listed_versions(self, base, name, query):
        start, rows = int(query.get("skip", 0)), []
        self.find(name, "")
        versions = sorted(self.keys[name], key=lambda version: version.id)
        for version in versions[start : start + PAGE]:
            shown = self.shown(base, name, version)
            rows.append({"kid": shown["key"]["kid"], "attributes": shown["attributes"]})
        link = f"{base}/keys/{name}/versions?api-version={query['api-version']}&skip={start + PAGE}"
        return {"value": rows, "nextLink": link if start + PAGE < len(versions) else None}

    def operate(self, base, name, version, verb, body):
        found = self.find(name, version)
        if not found.enabled:
            said = f"Operation {verb} is not allowed on a disabled key."
            raise Refusal(403, "Forbidden", said, "KeyDisabled")
        unknown = set(body) - {"alg", "value", "aad", "iv", "tag"}
        if unknown:
            raise Refusal(400, "BadParameter", f"there is no {unknown}")
        value = bytes_of(body["value"])
        aad = bytes_of(body["aad"]) if body.get("aad") else None
        if verb == "encrypt":
            made = found.encrypt(body["alg"], value, aad)
        else:
            iv, tag = bytes_of(body.get("iv", "")), bytes_of(body.get("tag", ""))
            made = found.decrypt(body["alg"], value, aad, iv, tag)
        return {"kid": f"{base}/keys/{name}/{found.id}", **made}

    def answer(self, base, verb, parts, query, body):
        if "api-version" not in query:
            raise Refusal(400, "BadParameter", "api-version must be specified")
        if parts == ["keys"]:
            return self.listed(base, query)
        name, last = parts[1], parts[-1]
        if verb == "GET" and len(parts) == 3 and last == "versions":
            return self.listed_versions(base, name, query)
        if verb == "POST" and last == "create":
            made = Version(body["kty"], body.get("key_size"), body.get("key_ops"))
            self.keys.setdefault(name, []).append(made)
            if name.startswith("raced"):
                raise Refusal(409, "Conflict", "another operation on this key is under way")
        elif verb == "POST" and last == "rotate":
            newest = self.find(name, "")
            turned = Version(newest.kind, newest.bits, newest.operations)
            self.keys[name].append(turned)
        elif verb == "POST" and last in ("encrypt", "decrypt"):
            version = parts[2] if len(parts) == 4 else ""
            return self.operate(base, name, version, last, body)
        elif verb == "PATCH":
            version = self.find(name, "".join(parts[2:]))
            version.enabled = body["attributes"]["enabled"]
            return self.shown(base, name, version)
        elif verb != "GET":
            raise Refusal(405, "MethodNotAllowed", verb)
        version = parts[2] if verb == "GET" and len(parts) == 3 else ""
        return self.shown(base, name, self.find(name, version))


class Application:
    """An application that is known by its certificate."""

    def __init__(self, path):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.certificate = certificate_of(self.rsa)
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = serialization.Encoding.PEM
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(self.rsa.private_bytes(pem, *form) + self.certificate.public_bytes(pem))

    def stated(self, assertion, audience):
        head, body, signature = assertion.split(".")
        thumbprint = url_safe(self.certificate.fingerprint(hashes.SHA256()))
        wanted = {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}
        told = json.loads(bytes_of(body))
        now = time.time()
        try:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            signed = f"{head}.{body}".encode()
            self.rsa.public_key().verify(bytes_of(signature), signed, pss, hashes.SHA256())
        except InvalidSignature:
            return False
        return (
            json.loads(bytes_of(head)) == wanted
            and told["iss"] == told["sub"] == "application"
            and told["aud"] == audience
            and told["nbf"] <= now < told["exp"] <= now + 600
            and uuid.UUID(told["jti"])
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vault = Vault()

    def token(self, form, audience):
        assertion = form.get("client_assertion", "")
        asserts = assertion == "planted-assertion"
        if assertion.count(".") == 2:
            asserts = self.application.stated(assertion, audience)
        if form.get("client_secret") != "planted-secret" and not asserts:
            said = {"error": "invalid_client", "error_description": "AADSTS7000215: wrong secret"}
            return 401, said
        return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN}

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = [part for part in url.path.split("/") if part]
        base, headers = f"https://127.0.0.1:{self.server.server_port}", {}
        if parts == ["tenant", "oauth2", "v2.0", "token"]:
            status, answer = self.token(dict(urllib.parse.parse_qsl(data.decode())), base + url.path)
        elif self.headers.get("authorization") != f"Bearer {TOKEN}":
            status, answer = 401, {"error": {"code": "Unauthorized", "message": "no token"}}
            challenge = f'Bearer authorization="{base}/tenant", resource="https://vault.azure.net"'
            headers["www-authenticate"] = challenge
        else:
            try:
                query = dict(urllib.parse.parse_qsl(url.query))
                with self.vault.lock:
                    body = json.loads(data or b"{}")
                    answer = self.vault.answer(base, self.command, parts, query, body)
                status = 200
            except Refusal as refusal:
                status, answer = refusal.status, refusal.answer
        text = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = serve

    def log_message(self, *_):
        pass


def certificate_of(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), False)
    return builder.sign(key, hashes.SHA256())


def context(path):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    with open(path, "wb") as file:
        file.write(certificate_of(key).public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with open(path + ".key", "wb") as file:
        file.write(key.private_bytes(pem, *form))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path, path + ".key")
    return made


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    folder = os.path.dirname(sys.argv[1])
    Handler.application = Application(os.path.join(folder, "application.pem"))
    Application(os.path.join(folder, "stranger.pem"))
    server.socket = context(sys.argv[1]).wrap_socket(server.socket, server_side=True)
    print("port", server.server_port, flush=True)
    server.serve_forever()
