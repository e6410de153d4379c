"""The TLS offer, as `openssl s_client` sees it."""

import http.client
import re
import shutil
import ssl
import subprocess

import pytest
from node import only_secretum
from wire import Wire

OPENSSL = shutil.which("openssl")


@pytest.fixture
def s_client(node):
    assert OPENSSL, "no `openssl` command: apt-get install openssl"

    def call(*flags):
        url = node.wire().url
        done = subprocess.run(
            [OPENSSL, "s_client", "-connect", f"{url.hostname}:{url.port}", *flags],
            input="",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
        return done.returncode, done.stdout + done.stderr

    return call


@pytest.mark.parametrize("flag, version", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_versions_on_offer(s_client, certificates, flag, version):
    code, out = s_client(flag, "-CAfile", certificates.ca, "-verify_return_error")
    assert code == 0 and "Verify return code: 0 (ok)" in out
    assert re.search(rf"(New, {version}, Cipher is \S+|Protocol *: {version})", out), out
    assert re.search(r"Cipher is \S*(AES|CHACHA)\S*", out)


@pytest.mark.parametrize("flag", ["-tls1", "-tls1_1"])
def test_versions_refused(s_client, flag):
    """At security level 0, so that it is the server who says no."""
    code, out = s_client(flag, "-cipher", "ALL:@SECLEVEL=0")
    assert code != 0 and "alert" in out, out
    assert re.search(r"protocol version|handshake failure", out), out


CBC = pytest.param(
    "ECDHE-ECDSA-AES128-SHA", marks=only_secretum("OpenBao still offers suites with CBC and SHA-1")
)


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", CBC])
def test_weak_ciphers_of_tls_1_2_are_refused(s_client, cipher):
    """Without forward secrecy, or with CBC and SHA-1."""
    code, out = s_client("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert code != 0 and "handshake failure" in out


@pytest.mark.parametrize(
    "offer, chosen", [("h2", "h2"), ("http/1.1", "http/1.1"), ("h2,http/1.1", "h2")]
)
def test_alpn(s_client, offer, chosen):
    _, out = s_client("-alpn", offer)
    assert f"ALPN protocol: {chosen}" in out


def test_without_alpn_it_speaks_http_1(node):
    assert node.wire().get("sys/health").status == 200


def test_certificate_chain(s_client, certificates):
    code, out = s_client("-showcerts", "-CAfile", certificates.ca)
    assert code == 0 and out.count("BEGIN CERTIFICATE") >= 2
    assert re.search(r"0 s:CN ?= ?localhost", out) and re.search(r"i:CN ?= ?peers test CA", out)
    code, out = s_client(
        "-CAfile", certificates.ca, "-verify_hostname", "elsewhere", "-verify_return_error"
    )
    assert code != 0


def test_strangers_do_not_trust_it(node):
    stranger = Wire(node.address)
    stranger.tls = ssl.create_default_context
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.get("sys/health")


def test_plain_http_on_the_tls_port_gets_no_service(node):
    plain = Wire(node.address.replace("https://", "http://"))
    try:
        assert plain.get("sys/health").status == 400
    except (OSError, http.client.BadStatusLine):
        pass  # a closed door, or an alert of TLS, says as much


def test_http_2_serves_a_request(node):
    curl = shutil.which("curl")
    assert curl, "no `curl` command: apt-get install curl"
    done = subprocess.run(
        [
            curl,
            "-s",
            "--http2",
            "--cacert",
            node.cafile,
            "-w",
            "\n%{http_version}",
            node.address + "/v1/sys/health",
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    body, version = done.stdout.rsplit("\n", 1)
    assert version == "2" and '"sealed":false' in body.replace(" ", "")
