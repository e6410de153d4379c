"""The system backend as hvac calls it: init, seal, health, mounts, keys, capabilities, OpenAPI."""

import base64
import uuid

import pytest
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultDown
from node import IS_BAO, only_secretum, production_node, until
from openapi_spec_validator import validate
from wire import MERGE_PATCH

HEALTH_FIELDS = {
    "initialized",
    "sealed",
    "standby",
    "replication_performance_mode",
    "replication_dr_mode",
    "server_time_utc",
    "version",
}
SEAL_FIELDS = {
    "type",
    "build_date",
    "commit_date",
    "initialized",
    "sealed",
    "t",
    "n",
    "progress",
    "nonce",
    "version",
    "migration",
    "recovery_seal",
    "storage_type",
}
MOUNT_FIELDS = {
    "accessor",
    "config",
    "description",
    "local",
    "options",
    "seal_wrap",
    "external_entropy_access",
    "type",
    "uuid",
}


# --- from an empty directory to an unsealed server ---------------------------------------------


def test_init_and_unseal_from_nothing(fresh):
    node = fresh().start()
    client = node.hvac(token="")
    assert client.sys.is_initialized() is False
    assert client.sys.read_init_status() == {"initialized": False}
    assert node.wire().get("sys/health").status == 501
    assert client.sys.read_seal_status()["initialized"] is False
    sealed = node.wire().get("sys/mounts").expect(503)
    assert sealed.json == {"errors": ["Vault is sealed"]}

    answer = client.sys.initialize(secret_shares=5, secret_threshold=3)
    assert len(set(answer["keys"])) == 5 and answer["root_token"]
    decoded = [base64.b64decode(key).hex() for key in answer["keys_base64"]]
    assert decoded == answer["keys"], "the same shares in hex and in base64"
    # 32 bytes of share, and its x coordinate behind them
    assert {len(bytes.fromhex(key)) for key in answer["keys"]} == {33}
    assert len({key[-2:] for key in answer["keys"]}) == 5
    assert client.sys.is_initialized() is True
    assert node.wire().get("sys/health").status == 503
    with pytest.raises(InvalidRequest, match="already initialized"):
        client.sys.initialize(5, 3)

    one, two, three = answer["keys"][:2] + answer["keys_base64"][2:3]
    status = client.sys.submit_unseal_key(one)
    assert (status["progress"], status["sealed"], status["t"], status["n"]) == (1, True, 3, 5)
    nonce = status["nonce"]
    assert nonce and client.sys.submit_unseal_key(two)["nonce"] == nonce
    assert client.sys.read_seal_status()["progress"] == 2
    reset = client.sys.submit_unseal_key(reset=True)
    assert (reset["progress"], reset["nonce"]) == (0, "")

    assert client.sys.submit_unseal_keys([one, two, three])["sealed"] is False
    until(lambda: node.wire().get("sys/health").status == 200, "an active node")
    client.token = answer["root_token"]
    assert client.is_authenticated()

    client.sys.seal()
    assert client.sys.is_sealed() is True
    with pytest.raises(VaultDown, match="Vault is sealed"):
        client.sys.list_mounted_secrets_engines()


@pytest.mark.parametrize(
    "shares, threshold",
    [(0, 0), (1, 0), (3, 1), (2, 3), (256, 3), (-1, -1), (3, 0)],
    ids=lambda value: str(value),
)
def test_init_refuses_impossible_shares(uninitialized, shares, threshold):
    body = {"secret_shares": shares, "secret_threshold": threshold}
    answer = uninitialized.put("sys/init", body)
    assert answer.status == 400 and answer.error
    assert uninitialized.get("sys/init").json == {"initialized": False}


@pytest.fixture(scope="module")
def uninitialized(tmp_path_factory, certificates):
    node = production_node(tmp_path_factory.mktemp("uninitialized"), certificates).start()
    yield node.wire(token="")
    node.stop()


def test_one_share_opens_at_once(fresh):
    node = fresh().start().initialize(shares=1, threshold=1).unseal()
    assert node.hvac().sys.read_seal_status()["t"] == 1


# --- what anybody may ask ----------------------------------------------------------------------


def test_health_of_an_active_node(node, client):
    health = client.sys.read_health_status(method="GET")
    assert HEALTH_FIELDS <= health.keys()
    assert (health["initialized"], health["sealed"], health["standby"]) == (True, False, False)
    assert isinstance(health["server_time_utc"], int)
    head = node.wire(token="").call("HEAD", "sys/health")
    assert (head.status, head.body) == (200, b"")
    assert client.sys.read_health_status(method="HEAD").status_code == 200


@pytest.mark.parametrize(
    "query, status",
    [
        ("activecode=299", 299),
        ("standbycode=298", 200),
        ("sealedcode=297&uninitcode=296", 200),
        ("standbyok=true", 200),
        ("perfstandbyok=true&drsecondarycode=472&performancestandbycode=473", 200),
        ("unheard=of", 200),
        ("activecode=200", 200),
        ("activecode=599", 599),
        ("activecode=abc", 400),
        # A status below 200 announces another one, and clients would wait for it for ever.
        pytest.param("activecode=199", 400, marks=only_secretum("OpenBao sends it as it is")),
        pytest.param("activecode=100", 400, marks=only_secretum("OpenBao sends it as it is")),
        pytest.param("activecode=600", 400, marks=only_secretum("OpenBao sends it as it is")),
    ],
)
def test_health_code_overrides(node, query, status):
    assert node.wire(token="").get(f"sys/health?{query}").status == status


def test_health_codes_before_init_and_while_sealed(fresh):
    node = fresh().start()
    wire = node.wire(token="")
    assert wire.get("sys/health?uninitcode=296").status == 296
    assert wire.get("sys/health?sealedcode=297").status == 501
    node.initialize()
    assert wire.get("sys/health?sealedcode=297").status == 297
    assert wire.get("sys/health?uninitcode=296").status == 503


def test_seal_status(client):
    status = client.sys.read_seal_status()
    assert SEAL_FIELDS <= status.keys()
    assert (status["type"], status["t"], status["n"], status["sealed"]) == ("shamir", 3, 5, False)
    assert status["cluster_name"] and uuid.UUID(status["cluster_id"])


def test_leader(client, node):
    leader = client.sys.read_leader_status()
    assert leader["ha_enabled"] is True and leader["is_self"] is True
    assert leader["leader_address"] == node.address


# --- mounts ------------------------------------------------------------------------------------


def test_mounts_that_are_always_there(client):
    listed = client.sys.list_mounted_secrets_engines()
    mounts = listed["data"]
    always = {"sys/", "cubbyhole/", "identity/"} if IS_BAO else {"sys/", "cubbyhole/"}
    assert always <= mounts.keys()
    assert MOUNT_FIELDS <= mounts["sys/"].keys()
    assert mounts["cubbyhole/"]["local"] is True
    assert mounts["sys/"]["type"] == "system"
    assert listed["sys/"] == mounts["sys/"], "old clients read the top level"


@pytest.mark.parametrize("kind", ["mounts", "auth"])
def test_the_word_system_is_a_life(wire, name, kind):
    path = f"sys/{kind}/{name}" if kind == "mounts" else "sys/auth/token"
    if kind == "mounts":
        body = {"type": "kv", "config": {"default_lease_ttl": "system", "max_lease_ttl": "system"}}
        wire.post(path, body).expect(204)
    wire.post(f"{path}/tune", {"default_lease_ttl": "1h", "max_lease_ttl": "2h"}).expect(204)
    for setting, seconds in (("default_lease_ttl", 168 * 3600), ("max_lease_ttl", 720 * 3600)):
        wire.post(f"{path}/tune", {setting: "system"}).expect(204)
        assert wire.get(f"{path}/tune").expect(200).data[setting] == seconds
    if kind == "mounts":
        wire.delete(path).expect(204)


def test_mount_enable_read_tune_disable(client, name):
    client.sys.enable_secrets_engine(
        "kv",
        path=f"{name}/deeper",
        description="first",
        config={"default_lease_ttl": "5m", "max_lease_ttl": "1h"},
        options={"version": "1"},
    )
    path = f"{name}/deeper/"
    mount = client.sys.list_mounted_secrets_engines()["data"][path]
    assert (mount["type"], mount["description"]) == ("kv", "first")
    assert mount["options"] == {"version": "1"}
    assert mount["accessor"].startswith("kv_")
    config = mount["config"]
    assert (config["default_lease_ttl"], config["max_lease_ttl"]) == (300, 3600)
    assert config["force_no_cache"] is False

    client.sys.tune_mount_configuration(
        path=path,
        default_lease_ttl="10m",
        max_lease_ttl=7200,
        description="second",
        audit_non_hmac_request_keys=["a", "b"],
        audit_non_hmac_response_keys=["c"],
        listing_visibility="unauth",
        passthrough_request_headers=["X-One"],
    )
    tuned = client.sys.read_mount_configuration(path=path)["data"]
    expected = {
        "default_lease_ttl": 600,
        "max_lease_ttl": 7200,
        "description": "second",
        "audit_non_hmac_request_keys": ["a", "b"],
        "audit_non_hmac_response_keys": ["c"],
        "listing_visibility": "unauth",
        "passthrough_request_headers": ["X-One"],
        "force_no_cache": False,
        "options": {"version": "1"},
    }
    assert {key: tuned.get(key) for key in expected} == expected
    assert client.sys.retrieve_mount_option(f"{name}/deeper", "version") == "1"

    client.secrets.kv.v1.create_or_update_secret("a", {"x": "1"}, mount_point=path)
    client.sys.disable_secrets_engine(path=path)
    assert path not in client.sys.list_mounted_secrets_engines()["data"]
    client.sys.enable_secrets_engine("kv", path=path)
    with pytest.raises(InvalidPath):
        client.secrets.kv.v1.read_secret("a", mount_point=path)
    client.sys.disable_secrets_engine(path=path)


def test_one_mount_is_read_by_path(wire, kv2):
    answer = wire.get(f"sys/mounts/{kv2}").expect(200)
    assert MOUNT_FIELDS <= answer.data.keys()
    assert answer.data["options"] == {"version": "2"}
    assert answer.json["uuid"] == answer.data["uuid"], "old clients read the top level"
    missing = wire.get("sys/mounts/nowhere")
    assert (missing.status, missing.error) == (400, "No secret engine mount at nowhere/")


def test_tune_without_limits_shows_the_system_ones(wire, kv2):
    tune = wire.get(f"sys/mounts/{kv2}/tune").expect(200).data
    assert (tune["default_lease_ttl"], tune["max_lease_ttl"]) == (168 * 3600, 720 * 3600)


@pytest.mark.parametrize(
    "path, body, said",
    [
        ("sys", {"type": "kv"}, 'cannot mount "sys/"'),
        ("cubbyhole", {"type": "kv"}, "cubbyhole/"),
        ("sys/inner", {"type": "kv"}, "sys/"),
        ("fresh-a", {"type": "nosuch"}, "nosuch"),
        ("fresh-b", {}, "type"),
        ("fresh-c", {"type": "kv", "config": {"default_lease_ttl": "abc"}}, "abc"),
        (
            "fresh-d",
            {"type": "kv", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"}},
            "",
        ),
        ("fresh-e", {"type": "kv", "options": {"version": "9"}}, ""),
    ],
)
def test_impossible_mounts_are_refused(wire, path, body, said):
    answer = wire.put(f"sys/mounts/{path}", body)
    assert answer.status == 400 and said in answer.error
    mounts = wire.get("sys/mounts").data
    assert f"{path}/" not in mounts or mounts[f"{path}/"]["type"] != "kv"


def test_taken_paths_are_refused(wire, kv1):
    for path in (kv1, f"{kv1}/inner"):
        answer = wire.put(f"sys/mounts/{path}", {"type": "kv"})
        assert (answer.status, answer.error) == (400, f"path is already in use at {kv1}/")


def test_protected_mounts_stay(wire):
    for path in ("sys", "cubbyhole"):
        answer = wire.delete(f"sys/mounts/{path}")
        assert (answer.status, answer.error) == (400, f'cannot unmount "{path}/"')
    wire.delete("sys/mounts/was-never-there").expect(204)


def test_tune_refuses_a_default_above_the_maximum(wire, kv1):
    wire.put(f"sys/mounts/{kv1}/tune", {"default_lease_ttl": "1h", "max_lease_ttl": "2h"})
    answer = wire.put(f"sys/mounts/{kv1}/tune", {"max_lease_ttl": "30m"})
    assert answer.status == 400 and "1800" in answer.error and "3600" in answer.error
    assert wire.get(f"sys/mounts/{kv1}/tune").data["max_lease_ttl"] == 7200
    assert wire.put("sys/mounts/nowhere/tune", {"max_lease_ttl": "30m"}).status == 400


def test_kv_v2_is_a_type_too(client, name):
    client.sys.enable_secrets_engine("kv-v2", path=name)
    mount = client.sys.list_mounted_secrets_engines()["data"][f"{name}/"]
    assert (mount["type"], mount["options"]) == ("kv", {"version": "2"})
    client.sys.disable_secrets_engine(name)


def test_auth_methods_list(client):
    listed = client.sys.list_auth_methods()
    token = listed["data"]["token/"]
    assert (token["type"], token["config"]["token_type"]) == ("token", "default-service")
    assert token["accessor"].startswith("auth_token_")
    assert listed["token/"] == token
    tuning = client.sys.read_auth_method_tuning("token")["data"]
    assert tuning["token_type"] == "default-service" and tuning["max_lease_ttl"] == 720 * 3600


def test_auth_methods_that_cannot_be_changed(client, name):
    with pytest.raises(InvalidRequest):
        client.sys.enable_auth_method("no-such-method", path=name)
    with pytest.raises(InvalidRequest):
        client.sys.enable_auth_method("token", path=name)
    with pytest.raises(InvalidRequest):
        client.sys.disable_auth_method("token")
    assert f"{name}/" not in client.sys.list_auth_methods()["data"]


def test_token_method_is_tuned(client, wire):
    """Default and longest life of tokens are those of auth/token, where it has its own."""
    make = client.auth.token.create
    try:
        client.sys.tune_auth_method("token", default_lease_ttl="30m", max_lease_ttl="10h")
        assert make(policies=["default"])["auth"]["lease_duration"] == 1800
        capped = make(policies=["default"], ttl="100h")
        assert capped["auth"]["lease_duration"] == 10 * 3600
        assert capped["warnings"] == [
            'TTL of "100h" exceeded the effective max_ttl of "10h"; TTL value is capped accordingly'
        ]
        periodic = make(policies=["default"], period="20h")
        assert periodic["auth"]["lease_duration"] == 10 * 3600
        assert periodic["warnings"] == [
            'period of "20h" exceeded the effective max_ttl of "10h"; '
            "period value is capped accordingly"
        ]
        client.sys.tune_auth_method("token", max_lease_ttl="2000h")
        assert make(policies=["default"], ttl="1500h")["auth"]["lease_duration"] == 1500 * 3600
        tuned = client.sys.read_auth_method_tuning("token")["data"]
        assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"]) == (1800, 2000 * 3600)
    finally:
        wire.put("sys/auth/token/tune", {"default_lease_ttl": 0, "max_lease_ttl": 0})
    assert make(policies=["default"])["auth"]["lease_duration"] == 168 * 3600


@only_secretum("OpenBao keeps these without a word, and knows what to do with some")
def test_settings_without_effect_are_kept_and_warned_about(wire, kv1):
    kept = {
        "passthrough_request_headers": ["X-One"],
        "allowed_response_headers": ["X-Two"],
        "allowed_managed_keys": ["key"],
        "delegated_auth_accessors": ["auth_x"],
        "identity_token_key": "key",
    }
    answer = wire.put(f"sys/mounts/{kv1}/tune", kept).expect(200)
    assert sorted(answer.warnings) == sorted(
        f"`{name}` is stored and has no effect in this version" for name in kept
    )
    tuned = wire.get(f"sys/mounts/{kv1}/tune").expect(200).data
    assert {name: tuned[name] for name in kept} == kept
    for refused in ({"plugin_version": "v1"}, {"user_lockout_config": {"lockout_threshold": "3"}}):
        wire.put(f"sys/mounts/{kv1}/tune", refused).expect(400)


def test_ui_mounts_without_a_token(node, wire, kv1):
    stranger = node.wire(token="")
    assert stranger.get("sys/internal/ui/mounts").expect(200).data == {"auth": {}, "secret": {}}
    settings = {"listing_visibility": "unauth", "description": "for all"}
    wire.put(f"sys/mounts/{kv1}/tune", settings).expect(204)
    shown = stranger.get("sys/internal/ui/mounts").expect(200).data
    mount = shown["secret"].pop(f"{kv1}/")
    assert shown == {"auth": {}, "secret": {}}
    assert mount.keys() == {"type", "description", "options"}
    assert (mount["type"], mount["description"]) == ("kv", "for all")
    node.wire(token="hvs.unknown").get("sys/internal/ui/mounts").expect(403)
    stranger.get(f"sys/internal/ui/mounts/{kv1}").expect(403)
    wire.put(f"sys/mounts/{kv1}/tune", {"listing_visibility": "hidden"}).expect(204)
    assert stranger.get("sys/internal/ui/mounts").expect(200).data["secret"] == {}


# --- keys of the barrier -----------------------------------------------------------------------


def test_rotation_adds_a_term_and_old_values_stay_readable(client, kv2):
    client.secrets.kv.v2.create_or_update_secret("before", {"x": "1"}, mount_point=kv2)
    before = client.sys.get_encryption_key_status()["data"]
    assert {"term", "install_time", "encryptions"} <= before.keys()
    client.sys.rotate_encryption_key()
    after = client.sys.get_encryption_key_status()["data"]
    assert after["term"] == before["term"] + 1
    assert after["install_time"] > before["install_time"]
    read = client.secrets.kv.v2.read_secret("before", mount_point=kv2)
    assert read["data"]["data"] == {"x": "1"}


def test_when_the_keyring_rotates_is_read_and_changed(client):
    config = client.read("sys/rotate/config")["data"]
    assert config == {"max_operations": 3865470566, "interval": 0, "enabled": True}
    client.write("sys/rotate/config", interval="48h", max_operations=2_000_000)
    changed = client.read("sys/rotate/config")["data"]
    assert changed == {"max_operations": 2_000_000, "interval": 48 * 3600, "enabled": True}
    for wrong in ({"interval": "1h"}, {"max_operations": 10}, {"enabled": "perhaps"}):
        with pytest.raises(InvalidRequest):
            client.write("sys/rotate/config", **wrong)
    assert client.read("sys/rotate/config")["data"] == changed
    client.write("sys/rotate/config", **config)


# --- capabilities ------------------------------------------------------------------------------


def test_capabilities_of_others_of_oneself_and_by_accessor(node, client, token_with):
    policy = (
        'path "a" { capabilities = ["update", "read"] }\n'
        'path "sys/capabilities-self" { capabilities = ["update"] }'
    )
    token = token_with(policy)
    accessor = client.lookup_token(token)["data"]["accessor"]
    one = client.sys.get_capabilities(["a"], token=token)
    assert one["data"] == {"a": ["read", "update"], "capabilities": ["read", "update"]}
    assert one["capabilities"] == ["read", "update"]
    two = client.sys.get_capabilities(["a", "b"], accessor=accessor)["data"]
    assert two == {"a": ["read", "update"], "b": ["deny"]}
    assert client.sys.get_capabilities(["a"])["data"]["capabilities"] == ["root"]
    mine = node.hvac(token)
    assert mine.sys.get_capabilities(["b"])["data"]["capabilities"] == ["deny"]


@pytest.mark.parametrize(
    "path, body, said",
    [
        ("sys/capabilities", {"token": "nope", "path": "a"}, "invalid token"),
        ("sys/capabilities-accessor", {"accessor": "nope", "path": "a"}, "invalid accessor"),
        ("sys/capabilities-self", {}, "paths must be supplied"),
    ],
)
def test_capabilities_refusals(wire, path, body, said):
    answer = wire.post(path, body)
    assert answer.status == 400 and said in answer.error


# --- what a user interface and the command line ask --------------------------------------------


def test_ui_mounts_of_one_path(wire, kv2, token_with):
    for path in (kv2, f"{kv2}/", f"{kv2}/data/some/secret"):
        answer = wire.get(f"sys/internal/ui/mounts/{path}").expect(200)
        assert (answer.data["path"], answer.data["type"]) == (f"{kv2}/", "kv")
        assert answer.data["options"] == {"version": "2"}
        assert "request_id" in answer.json and "path" not in answer.json
    some_right = token_with(f'path "{kv2}/data/only/this" {{ capabilities = ["read"] }}')
    wire.get(f"sys/internal/ui/mounts/{kv2}", token=some_right).expect(200)
    no_right = token_with('path "elsewhere" { capabilities = ["read"] }')
    for token, path in ((no_right, kv2), (no_right, "nowhere"), (wire.token, "nowhere")):
        refused = wire.get(f"sys/internal/ui/mounts/{path}", token=token).expect(403)
        assert refused.error == (
            "preflight capability check returned 403, please ensure client's policies "
            f'grant access to path "{path}/"'
        )


def test_ui_mounts_shows_what_the_caller_may_use(wire, kv1, token_with):
    everything = wire.get("sys/internal/ui/mounts").expect(200).data
    assert f"{kv1}/" in everything["secret"] and "token/" in everything["auth"]
    token = token_with(f'path "{kv1}/a" {{ capabilities = ["read"] }}')
    mine = wire.get("sys/internal/ui/mounts", token=token).expect(200).data
    assert list(mine["secret"]) == [f"{kv1}/"] and mine["auth"] == {}


def test_openapi_is_valid_and_names_what_is_mounted(wire, kv2):
    document = wire.get("sys/internal/specs/openapi?generic_mount_paths=false").expect(200).json
    assert document["openapi"].startswith("3.") and "request_id" not in document
    if not IS_BAO:  # OpenBao repeats operation ids once an engine is mounted twice
        validate(document)
    paths = document["paths"]
    for path in ("/sys/mounts", "/sys/policies/acl/{name}", "/auth/token/create"):
        assert path in paths, path
    assert any(path.startswith(f"/{kv2}/data/") for path in paths)
    assert {"get", "post", "delete"} <= paths["/sys/policies/acl/{name}"].keys()
    assert all("operationId" in paths["/auth/token/create"][verb] for verb in ("post",))


def test_openapi_is_valid_whoever_asks(wire, kv2):
    """Each sees the mounts that it may see, in a document that is whole."""
    poor = wire.post("auth/token/create", {"policies": ["default"], "ttl": "5m"}).json["auth"]
    for token in (poor["client_token"], ""):
        for query in ("", "?generic_mount_paths=true", "?generic_mount_paths=false"):
            answer = wire.call("GET", f"sys/internal/specs/openapi{query}", token=token)
            if IS_BAO and answer.status == 403:
                continue
            document = answer.expect(200).json
            if not IS_BAO:
                validate(document)
            assert not any(path.startswith(f"/{kv2}/") for path in document["paths"])


def test_help(wire, kv2):
    for path in ("sys/mounts", f"{kv2}/data/any", f"{kv2}/config", "auth/token/create"):
        answer = wire.get(f"{path}?help=1").expect(200)
        assert answer.json["help"].strip() and "openapi" in answer.json
    with_verb = wire.call("HELP", "sys/mounts").expect(200)
    assert with_verb.json["help"] == wire.get("sys/mounts?help=1").json["help"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "LIST", "SCAN"])
def test_who_asks_what_a_request_does_has_nothing_done(wire, kv2, method):
    wire.put(f"{kv2}/data/a", {"data": {"x": "1"}}).expect(200)
    before = wire.get(f"{kv2}/metadata/a").data
    for path in (f"{kv2}/data/a", f"{kv2}/metadata/a", "sys/mounts", f"sys/mounts/{kv2}"):
        body = {"data": {"x": "2"}, "max_versions": 3} if method[0] == "P" else None
        answer = wire.call(method, f"{path}?help=1", body, headers=MERGE_PATCH).expect(200)
        assert answer.json["help"].strip() and "keys" not in answer.json
    assert wire.get(f"{kv2}/metadata/a").data == before
    assert wire.get(f"{kv2}/data/a").data["data"] == {"x": "1"}


def test_forbidden_calls_raise_forbidden(node, token_with):
    client = node.hvac(token_with('path "a" { capabilities = ["read"] }'))
    for call in (
        client.sys.list_mounted_secrets_engines,
        client.sys.list_policies,
        client.sys.list_enabled_audit_devices,
        client.sys.rotate_encryption_key,
        client.sys.seal,
    ):
        with pytest.raises(Forbidden, match="permission denied"):
            call()
