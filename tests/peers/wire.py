"""Plain HTTP to a server, without any client library's opinion of what an answer should be."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import needles

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]

    @property
    def errors(self):
        return self.json["errors"]

    @property
    def error(self):
        """All error texts as one: OpenBao wraps some as `1 error occurred:\\n\\t* text\\n\\n`."""
        return "\n".join(self.errors)

    @property
    def warnings(self):
        return self.json.get("warnings") or []

    def expect(self, *statuses):
        assert self.status in statuses, (self.status, self.body[:2000])
        return self


class Wire:
    """Calls one server; every call is a connection of its own."""

    def __init__(self, address, cafile=None, token=None):
        self.address = address
        self.url = urlsplit(address)
        self.cafile = cafile
        self.token = token

    def as_token(self, token):
        return Wire(self.address, self.cafile, token)

    def tls(self):
        return ssl.create_default_context(cafile=str(self.cafile))

    def connection(self, timeout=30):
        host, port = self.url.hostname, self.url.port
        if self.url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self.tls())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def socket(self, timeout=30):
        """A connected socket (TLS where the server speaks it) for bytes no HTTP client sends."""
        plain = socket.create_connection((self.url.hostname, self.url.port), timeout=timeout)
        if self.url.scheme != "https":
            return plain
        return self.tls().wrap_socket(plain, server_hostname=self.url.hostname)

    def call(self, method, path, body=None, headers=None, token=None):
        """`body` is sent as it is when bytes or str, and as JSON otherwise."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        sent = {"X-Vault-Request": "true"}
        token = self.token if token is None else token
        if token:
            sent["X-Vault-Token"] = token
        sent.update(headers or {})
        connection = self.connection()
        try:
            connection.request(method, "/v1/" + path, body=body, headers=sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
            if answer.status < 400:
                needles.learn(answer.body)
            else:
                needles.keep(f"{method} {path}", answer.body)
            return answer
        finally:
            connection.close()

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def put(self, path, body=None, **more):
        return self.call("PUT", path, body, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def delete(self, path, **more):
        return self.call("DELETE", path, **more)

    def list(self, path, **more):
        return self.call("LIST", path, **more)

    def patch(self, path, body, **more):
        return self.call("PATCH", path, body, headers=MERGE_PATCH, **more)
