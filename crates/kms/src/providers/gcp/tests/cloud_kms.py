"""Cloud KMS as far as the provider needs it, over its REST interface, for tests.

The paths, and the fields of all messages, are those of Google's own client, the package google-cloud-kms:
what it does not have is refused. Writes `port N` when it serves.

In the project `closed` it serves only who brings a token. Keys whose name begins with `slow` make their
versions behind the answer, as those in an HSM do. Those whose name begins with `late` go on to encrypt under
the primary version of before, a few times, as the service does where a change has not come yet. One whose name
begins with `raced` is made by another caller, a moment earlier.
"""

import json
import os
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google_crc32c
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import rest_base
from google.protobuf import json_format

PLAINTEXT_BYTES_MAX = 65536
STATE = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
PURPOSE = kms_v1.CryptoKey.CryptoKeyPurpose
PENDING_SECONDS = 0.5
LATE_ENCRYPTIONS = 4


class Refusal(Exception):
    def __init__(self, code, status, message):
        super().__init__(message)
        self.answer = {"error": {"code": code, "message": message, "status": status}}
        self.code = code


def invalid(message):
    return Refusal(400, "INVALID_ARGUMENT", message)


def pattern(template):
    """The expression of a path such as /v1/{name=projects/*/cryptoKeys/**}:encrypt."""
    parts = re.split(r"(\{[^}]*\}|\*\*|\*)", template)
    out = ""
    for part in parts:
        if part.startswith("{"):
            field, _, shape = part[1:-1].partition("=")
            inner = re.escape(shape or "*").replace(r"\*\*", ".+").replace(r"\*", "[^/:]+")
            out += f"(?P<{field.replace('.', '__')}>{inner})"
        else:
            out += re.escape(part)
    return re.compile(out + r"\Z")


def routes():
    transport, found = rest_base._BaseKeyManagementServiceRestTransport, []
    for method in (name for name in dir(Keys) if name[0].isupper()):
        request = getattr(kms_v1, f"{method}Request")
        for binding in getattr(transport, f"_Base{method}")._get_http_options():
            row = binding["method"].upper(), pattern(binding["uri"]), binding.get("body")
            found.append((*row, method, request))
    return found


class Keys:
    def __init__(self):
        self.lock = threading.Lock()
        self.rings, self.keys, self.versions, self.material = set(), {}, {}, {}
        self.late = {}

    def key(self, name):
        if name not in self.keys:
            raise Refusal(404, "NOT_FOUND", f"CryptoKey {name} not found.")
        return self.keys[name]

    def settled(self, version):
        pending = version.state == STATE.PENDING_GENERATION
        if pending and time.time() - version.create_time.timestamp() > PENDING_SECONDS:
            version.state = STATE.ENABLED
        return version

    def usable(self, name):
        version = self.settled(self.versions[name])
        if version.state != STATE.ENABLED:
            said = f"{name} is not enabled, current state is: {version.state.name}."
            raise Refusal(400, "FAILED_PRECONDITION", said)
        return version

    def add(self, key):
        number = 1 + sum(name.startswith(key.name + "/") for name in self.versions)
        slow = number > 1 and key.name.rpartition("/")[2].startswith("slow")
        made = time.time()
        version = kms_v1.CryptoKeyVersion(
            name=f"{key.name}/cryptoKeyVersions/{number}",
            state=STATE.PENDING_GENERATION if slow else STATE.ENABLED,
            create_time={"seconds": int(made), "nanos": int(made % 1 * 1e9)},
        )
        self.versions[version.name] = version
        self.material[version.name] = AESGCM(AESGCM.generate_key(256))
        return version

    def CreateKeyRing(self, request):
        name = f"{request.parent}/keyRings/{request.key_ring_id}"
        self.rings.add(name)
        return kms_v1.KeyRing(name=name)

    def CreateCryptoKey(self, request):
        key = request.crypto_key
        if request.parent not in self.rings:
            raise Refusal(404, "NOT_FOUND", f"KeyRing {request.parent} not found.")
        if not re.fullmatch("[a-zA-Z0-9_-]{1,63}", request.crypto_key_id) or not key.purpose:
            raise invalid("the key has no name, or no purpose")
        key.name = f"{request.parent}/cryptoKeys/{request.crypto_key_id}"
        there = Refusal(409, "ALREADY_EXISTS", f"CryptoKey {key.name} already exists.")
        if key.name in self.keys:
            raise there
        self.keys[key.name] = key
        version = self.add(key)
        if key.purpose == PURPOSE.ENCRYPT_DECRYPT:
            key.primary = version
        if request.crypto_key_id.startswith("raced"):
            raise there
        return key

    def GetCryptoKey(self, request):
        key = self.key(request.name)
        if key.purpose == PURPOSE.ENCRYPT_DECRYPT:
            key.primary = self.settled(self.versions[key.primary.name])
        return key

    def ListCryptoKeys(self, request):
        if request.parent not in self.rings:
            raise Refusal(404, "NOT_FOUND", f"KeyRing {request.parent} not found.")
        names = sorted(name for name in self.keys if name.startswith(request.parent + "/"))
        start = int(request.page_token or 0)
        # As the service may, it gives fewer than it is asked for.
        end = start + min(request.page_size or 2, 2)
        token = str(end) if end < len(names) else ""
        page = [self.keys[name] for name in names[start:end]]
        return kms_v1.ListCryptoKeysResponse(crypto_keys=page, next_page_token=token)

    def ListCryptoKeyVersions(self, request):
        self.key(request.parent)
        # Not in the order of their numbers.
        names = sorted((n for n in self.versions if n.startswith(request.parent + "/")), key=len)
        names.reverse()
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 2, 2)
        token = str(end) if end < len(names) else ""
        page = [self.settled(self.versions[name]) for name in names[start:end]]
        return kms_v1.ListCryptoKeyVersionsResponse(
            crypto_key_versions=page, next_page_token=token
        )

    def CreateCryptoKeyVersion(self, request):
        return self.add(self.key(request.parent))

    def GetCryptoKeyVersion(self, request):
        if request.name not in self.versions:
            raise Refusal(404, "NOT_FOUND", f"CryptoKeyVersion {request.name} not found.")
        return self.settled(self.versions[request.name])

    def UpdateCryptoKeyVersion(self, request):
        if list(request.update_mask.paths) != ["state"]:
            raise invalid("only the state changes")
        version = self.versions[request.crypto_key_version.name]
        version.state = request.crypto_key_version.state
        return version

    def UpdateCryptoKeyPrimaryVersion(self, request):
        key = self.key(request.name)
        name = f"{key.name}/cryptoKeyVersions/{request.crypto_key_version_id}"
        if key.name.rpartition("/")[2].startswith("late"):
            self.late[key.name] = [key.primary.name] * LATE_ENCRYPTIONS
        key.primary = self.usable(name)
        return key

    def Encrypt(self, request):
        name, _, pinned = request.name.partition("/cryptoKeyVersions/")
        key = self.key(name)
        if key.purpose != PURPOSE.ENCRYPT_DECRYPT:
            raise invalid(f"{name} does not encrypt")
        if not 1 <= len(request.plaintext) <= PLAINTEXT_BYTES_MAX:
            raise invalid("the plaintext is too short or too long")
        checked(request, "plaintext"), checked(request, "additional_authenticated_data")
        late = self.late.get(name)
        primary = late.pop() if late and not pinned else key.primary.name
        version = self.usable(request.name if pinned else primary)
        number, nonce = int(version.name.rpartition("/")[2]), os.urandom(12)
        cipher = self.material[version.name]
        sealed = cipher.encrypt(nonce, request.plaintext, request.additional_authenticated_data)
        ciphertext = number.to_bytes(4, "big") + nonce + sealed
        return kms_v1.EncryptResponse(
            name=version.name,
            ciphertext=ciphertext,
            ciphertext_crc32c=google_crc32c.value(ciphertext),
            verified_plaintext_crc32c="plaintext_crc32c" in request,
            verified_additional_authenticated_data_crc32c=(
                "additional_authenticated_data_crc32c" in request
            ),
        )

    def Decrypt(self, request):
        key = self.key(request.name)
        checked(request, "ciphertext"), checked(request, "additional_authenticated_data")
        number = int.from_bytes(request.ciphertext[:4], "big")
        name = f"{key.name}/cryptoKeyVersions/{number}"
        said = "Decryption failed: verify that 'name' refers to the correct CryptoKey."
        if name not in self.versions:
            raise invalid(said)
        self.usable(name)
        nonce, sealed = request.ciphertext[4:16], request.ciphertext[16:]
        try:
            cipher = self.material[name]
            opened = cipher.decrypt(nonce, sealed, request.additional_authenticated_data)
        except (InvalidTag, ValueError):
            raise invalid(said) from None
        return kms_v1.DecryptResponse(
            plaintext=opened,
            plaintext_crc32c=google_crc32c.value(opened),
            used_primary=name == key.primary.name,
        )


def checked(request, field):
    told = f"{field}_crc32c"
    if told in request and getattr(request, told) != google_crc32c.value(getattr(request, field)):
        raise invalid(f"the checksum of {field} is another one")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys, routes = Keys(), routes()

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urllib.parse.unquote(url.path)
        for verb, shape, body_field, method, request in self.routes:
            found = shape.match(path)
            if verb == self.command and found:
                break
        else:
            raise Refusal(404, "NOT_FOUND", "there is no such method")
        token = self.headers.get("authorization", "")
        if "/projects/closed/" in path and not token.startswith("Bearer "):
            raise Refusal(401, "UNAUTHENTICATED", "Request is missing a credential.")
        request = request()
        message = type(request).pb(request)
        try:
            if body_field:
                target = message if body_field == "*" else getattr(message, body_field)
                json_format.Parse(body or b"{}", target)
            # These are of the call, and no field of its message.
            query = [row for row in urllib.parse.parse_qsl(url.query) if row[0][0] != "$"]
            flags = {"true": True, "false": False}
            query = {name: flags.get(value, value) for name, value in query}
            json_format.ParseDict(query, message)
        except json_format.ParseError as error:
            raise invalid(str(error)) from None
        for field, value in found.groupdict().items():
            *within, last = field.split("__")
            target = message
            for part in within:
                target = getattr(target, part)
            setattr(target, last, value)
        with self.keys.lock:
            made = getattr(self.keys, method)(request)
            return json.loads(type(made).to_json(made, use_integers_for_enums=False))

    def serve(self):
        try:
            code, answer = 200, self.answer()
        except Refusal as refusal:
            code, answer = refusal.code, refusal.answer
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = serve

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print("port", server.server_port, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
