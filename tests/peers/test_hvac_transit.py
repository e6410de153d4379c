"""Transit through hvac, and by the command lines."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

TEXT = base64.b64encode(b"text").decode()


@pytest.fixture
def mount(client, name):
    path = f"transit-{name}"
    client.sys.enable_secrets_engine("transit", path=path)
    yield path
    client.sys.disable_secrets_engine(path)


@pytest.fixture
def transit(client):
    return client.secrets.transit


def test_a_key_lives(transit, mount):
    transit.create_key("k", mount_point=mount)
    transit.create_key("other", key_type="chacha20-poly1305", exportable=True, mount_point=mount)
    facts = transit.read_key("k", mount_point=mount)["data"]
    assert (facts["type"], facts["latest_version"], list(facts["keys"])) == ("aes256-gcm96", 1, ["1"])
    assert facts["supports_encryption"] and not facts["supports_signing"]
    assert transit.list_keys(mount_point=mount)["data"]["keys"] == ["k", "other"]
    transit.rotate_key("k", mount_point=mount)
    assert transit.read_key("k", mount_point=mount)["data"]["latest_version"] == 2
    with pytest.raises(InvalidRequest, match="deletion is not allowed"):
        transit.delete_key("k", mount_point=mount)
    transit.update_key_configuration("k", deletion_allowed=True, mount_point=mount)
    assert transit.delete_key("k", mount_point=mount).status_code == 204
    with pytest.raises(InvalidPath):
        transit.read_key("k", mount_point=mount)


def test_what_is_encrypted_opens(transit, mount):
    transit.create_key("k", mount_point=mount)
    made = transit.encrypt_data("k", plaintext=TEXT, mount_point=mount)["data"]
    assert made["ciphertext"].startswith("vault:v1:") and made["key_version"] == 1
    opened = transit.decrypt_data("k", ciphertext=made["ciphertext"], mount_point=mount)
    assert opened["data"]["plaintext"] == TEXT
    transit.rotate_key("k", mount_point=mount)
    anew = transit.rewrap_data("k", ciphertext=made["ciphertext"], mount_point=mount)["data"]
    assert anew["ciphertext"].startswith("vault:v2:")
    for ciphertext in (made["ciphertext"], anew["ciphertext"]):
        opened = transit.decrypt_data("k", ciphertext=ciphertext, mount_point=mount)
        assert opened["data"]["plaintext"] == TEXT
    transit.update_key_configuration("k", min_decryption_version=2, mount_point=mount)
    with pytest.raises(InvalidRequest, match="too old"):
        transit.decrypt_data("k", ciphertext=made["ciphertext"], mount_point=mount)


def test_a_derived_key_asks_for_its_context(transit, mount):
    transit.create_key("d", derived=True, mount_point=mount)
    context = base64.b64encode(b"context").decode()
    with pytest.raises(InvalidRequest, match="context"):
        transit.encrypt_data("d", plaintext=TEXT, mount_point=mount)
    made = transit.encrypt_data("d", plaintext=TEXT, context=context, mount_point=mount)["data"]
    opened = transit.decrypt_data(
        "d", ciphertext=made["ciphertext"], context=context, mount_point=mount
    )
    assert opened["data"]["plaintext"] == TEXT


def test_data_keys(transit, mount):
    transit.create_key("k", mount_point=mount)
    made = transit.generate_data_key("k", key_type="plaintext", bits=512, mount_point=mount)["data"]
    assert len(base64.b64decode(made["plaintext"])) == 64
    opened = transit.decrypt_data("k", ciphertext=made["ciphertext"], mount_point=mount)
    assert opened["data"]["plaintext"] == made["plaintext"]
    wrapped = transit.generate_data_key("k", key_type="wrapped", mount_point=mount)["data"]
    assert "plaintext" not in wrapped


def test_bytes_of_an_exportable_key(transit, mount):
    transit.create_key("k", exportable=True, mount_point=mount)
    told = transit.export_key("k", key_type="encryption-key", mount_point=mount)["data"]
    assert len(base64.b64decode(told["keys"]["1"])) == 32
    transit.create_key("kept", mount_point=mount)
    with pytest.raises(InvalidRequest, match="not exportable"):
        transit.export_key("kept", key_type="encryption-key", mount_point=mount)


@pytest.mark.parametrize(
    "kind, cipher, length",
    [
        ("aes128-gcm96", AESGCM, 16),
        ("aes256-gcm96", AESGCM, 32),
        ("chacha20-poly1305", ChaCha20Poly1305, 32),
    ],
)
@pytest.mark.parametrize("derived", [False, True])
def test_a_ciphertext_is_what_its_type_says(transit, wire, mount, kind, cipher, length, derived):
    """Whoever has the bytes of a key opens its ciphertexts with any library."""
    # hvac does not know all of the types.
    settings = {"type": kind, "derived": derived, "exportable": True}
    wire.put(f"{mount}/keys/k", settings).expect(200)
    told = transit.export_key("k", key_type="encryption-key", mount_point=mount)["data"]
    key = base64.b64decode(told["keys"]["1"])
    assert len(key) == length
    fields = {"associated_data": base64.b64encode(b"data").decode()}
    if derived:
        fields["context"] = base64.b64encode(b"context").decode()
        key = HKDF(hashes.SHA256(), length, salt=None, info=b"context").derive(key)
    made = transit.encrypt_data("k", plaintext=TEXT, mount_point=mount, **fields)["data"]
    sealed = base64.b64decode(made["ciphertext"].removeprefix("vault:v1:"))
    assert cipher(key).decrypt(sealed[:12], sealed[12:], b"data") == b"text"


def test_many_at_once(transit, wire, mount):
    transit.create_key("k", mount_point=mount)
    batch = [{"plaintext": TEXT}, {"plaintext": "", "reference": "empty"}]
    made = transit.encrypt_data("k", plaintext=None, batch_input=batch, mount_point=mount)["data"]
    items = [{"ciphertext": one["ciphertext"]} for one in made["batch_results"]]
    opened = transit.decrypt_data("k", ciphertext=None, batch_input=items, mount_point=mount)
    assert [one["plaintext"] for one in opened["data"]["batch_results"]] == [TEXT, ""]
    items[0]["ciphertext"] = "vault:v1:AAAA"
    answer = wire.put(f"{mount}/decrypt/k", {"batch_input": items}).expect(400)
    results = answer.json["data"]["batch_results"]
    assert results[0]["error"] == "invalid ciphertext length" and results[1]["plaintext"] == ""


def test_who_may_not_create_makes_no_key(transit, node, mount, wire, name):
    """An encryption makes its key for who has the capability `create` only."""
    rules = 'path "%s/encrypt/*" { capabilities = ["update"] }' % mount
    wire.put(f"sys/policies/acl/{name}", {"policy": rules}).expect(204)
    made = wire.put("auth/token/create", {"policies": [name]}).expect(200)
    poor = node.hvac(made.json["auth"]["client_token"])
    with pytest.raises(Forbidden):
        poor.secrets.transit.encrypt_data("new", plaintext=TEXT, mount_point=mount)
    transit.encrypt_data("new", plaintext=TEXT, mount_point=mount)
    poor.secrets.transit.encrypt_data("new", plaintext=TEXT, mount_point=mount)


def test_the_command_line(cli, mount):
    cli.ok("write", "-force", f"{mount}/keys/k")
    made = cli.ok("write", "-format=json", f"{mount}/encrypt/k", f"plaintext={TEXT}").json
    ciphertext = made["data"]["ciphertext"]
    opened = cli.ok("write", "-field=plaintext", f"{mount}/decrypt/k", f"ciphertext={ciphertext}")
    assert opened.out == TEXT
    assert json.loads(cli.ok("list", "-format=json", f"{mount}/keys").out) == ["k"]
    help_text = cli.ok("path-help", f"{mount}/encrypt/k").out
    assert "Encrypt" in help_text
