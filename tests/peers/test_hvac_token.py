"""Tokens through hvac: making, looking up, renewing, and revoking them and their children."""

import re
from functools import partial

import pytest
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest
from node import until

AUTH_FIELDS = {
    "client_token",
    "accessor",
    "policies",
    "token_policies",
    "metadata",
    "lease_duration",
    "renewable",
    "entity_id",
    "token_type",
    "orphan",
    "num_uses",
    "mfa_requirement",
}
LOOKUP_FIELDS = {
    "id",
    "accessor",
    "policies",
    "path",
    "meta",
    "display_name",
    "num_uses",
    "orphan",
    "creation_time",
    "creation_ttl",
    "expire_time",
    "ttl",
    "explicit_max_ttl",
    "entity_id",
    "type",
}


@pytest.fixture
def tokens(client):
    return client.auth.token


@pytest.fixture
def make(tokens):
    """Makes a token and returns its `auth` block."""
    return lambda **fields: tokens.create(**fields)["auth"]


def lookup(tokens, auth):
    return tokens.lookup(auth["client_token"])["data"]


def is_dead(tokens, auth):
    try:
        tokens.lookup(auth["client_token"])
    except Forbidden as error:
        assert error.errors == ["bad token"]
        return True
    return False


# --- making ------------------------------------------------------------------------------------


def test_create_with_everything(tokens, make):
    auth = make(
        policies=["one", "two", "one"],
        ttl="1h",
        explicit_max_ttl="2h",
        display_name="dn x",
        meta={"a": "b"},
        num_uses=5,
    )
    assert AUTH_FIELDS <= auth.keys()
    assert auth["policies"] == auth["token_policies"] == ["default", "one", "two"]
    assert (auth["lease_duration"], auth["renewable"], auth["num_uses"]) == (3600, True, 5)
    assert (auth["metadata"], auth["orphan"], auth["token_type"]) == ({"a": "b"}, False, "service")
    assert re.match(r"(hvs|s)\.", auth["client_token"])

    found = lookup(tokens, auth)
    assert LOOKUP_FIELDS <= found.keys()
    expected = {
        "id": auth["client_token"],
        "accessor": auth["accessor"],
        "policies": ["default", "one", "two"],
        "path": "auth/token/create",
        "meta": {"a": "b"},
        "display_name": "token-dn-x",
        "num_uses": 5,
        "orphan": False,
        "creation_ttl": 3600,
        "explicit_max_ttl": 7200,
        "type": "service",
        "renewable": True,
        "entity_id": "",
    }
    assert {key: found[key] for key in expected} == expected
    assert 3590 <= found["ttl"] <= 3600
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", found["expire_time"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", found["issue_time"])


def test_unknown_policies_are_a_warning(tokens, name):
    answer = tokens.create(policies=[f"unheard-{name}"])
    assert answer["warnings"] == [f'Policy "unheard-{name}" does not exist']


@pytest.mark.parametrize("ttl, seconds", [(30, 30), ("30", 30), ("30s", 30), ("1h", 3600)])
def test_durations(make, ttl, seconds):
    assert make(ttl=ttl, policies=["default"])["lease_duration"] == seconds


def test_without_a_ttl_the_system_default_counts(make, tokens):
    assert make(policies=["default"])["lease_duration"] == 168 * 3600
    answer = tokens.create(policies=["default"], ttl="9000h")
    assert answer["auth"]["lease_duration"] == 720 * 3600
    assert answer["warnings"] == [
        'TTL of "9000h" exceeded the effective max_ttl of "720h"; TTL value is capped accordingly'
    ]


def test_root_token(tokens, node):
    found = tokens.lookup_self()["data"]
    expected = {
        "id": node.root_token,
        "policies": ["root"],
        "path": "auth/token/root",
        "display_name": "root",
        "orphan": True,
        "ttl": 0,
        "creation_ttl": 0,
        "expire_time": None,
        "meta": None,
        "num_uses": 0,
    }
    assert {key: found[key] for key in expected} == expected
    with pytest.raises(InvalidRequest):
        tokens.renew_self()


def test_root_tokens_may_have_an_end(make, node):
    auth = make(policies=["root"], ttl="10s")
    assert (auth["policies"], auth["lease_duration"]) == (["root"], 10)
    node.wire(token=auth["client_token"]).get("sys/mounts").expect(200)


def test_no_default_policy(make):
    assert make(policies=["one"], no_default_policy=True)["policies"] == ["one"]


def test_children_of_root_inherit_root(make):
    assert make(ttl="1m")["policies"] == ["root"]


def test_children_inherit_and_cannot_gain(node, make, name):
    rule = 'path "auth/token/create" { capabilities = ["create", "update"] }'
    node.wire().put(f"sys/policies/acl/maker-{name}", {"policy": rule}).expect(200, 204)
    parent = make(policies=[f"maker-{name}", "one"], ttl="1m")
    calls = node.hvac(parent["client_token"]).auth.token
    assert calls.create()["auth"]["policies"] == sorted(["default", f"maker-{name}", "one"])
    assert calls.create(policies=["one"])["auth"]["policies"] == ["default", "one"]
    for policies in (["two"], ["root"], ["one", "two"]):
        with pytest.raises((InvalidRequest, Forbidden), match="subset|superset|root"):
            calls.create(policies=policies)
    with pytest.raises((InvalidRequest, Forbidden)):
        calls.create(no_parent=True, policies=["one"])


def test_orphans(tokens, make):
    for auth in (make(no_parent=True), tokens.create_orphan(ttl="1m")["auth"]):
        assert auth["orphan"] is True and lookup(tokens, auth)["orphan"] is True


def test_a_chosen_id(tokens, make, name):
    assert make(id=f"my-{name}", ttl="1m")["client_token"] == f"my-{name}"
    assert tokens.lookup(f"my-{name}")["data"]["id"] == f"my-{name}"
    with pytest.raises(InvalidRequest):
        make(id=f"my-{name}", ttl="1m")


@pytest.mark.parametrize(
    "fields",
    [
        {"ttl": "abc"},
        {"ttl": "-1h"},
        {"num_uses": -1},
        {"num_uses": "x"},
        {"type": "bogus"},
        {"meta": "x"},
        {"explicit_max_ttl": "abc"},
        {"period": "abc"},
    ],
    ids=str,
)
def test_wrong_fields_are_refused(wire, fields):
    answer = wire.post("auth/token/create", fields)
    assert answer.status == 400 and answer.error


def test_meta_as_list_of_pairs(wire):
    auth = wire.post("auth/token/create", {"meta": ["a=b", "c=d"], "ttl": 60}).json["auth"]
    assert auth["metadata"] == {"a": "b", "c": "d"}


# --- use ---------------------------------------------------------------------------------------


def test_num_uses(node, make):
    auth = make(policies=["default"], num_uses=2, ttl="1m")
    calls = node.hvac(auth["client_token"]).auth.token
    assert calls.lookup_self()["data"]["num_uses"] == 1
    assert calls.lookup_self()["data"]["policies"] == ["default"]
    with pytest.raises(Forbidden, match="permission denied"):
        calls.lookup_self()
    until(lambda: is_dead(node.hvac().auth.token, auth), "the end of a used-up token")


def test_refused_requests_use_up_too(node, make, tokens):
    auth = make(policies=["default"], num_uses=2, ttl="1m")
    wire = node.wire(token=auth["client_token"])
    wire.get("sys/mounts").expect(403)
    wire.get("sys/mounts").expect(403)
    until(lambda: is_dead(tokens, auth), "the end of a used-up token")


def test_expiry(node, make, tokens):
    # Ends are whole seconds: one that is to live for one may end a moment after it was made.
    auth = make(policies=["default"], ttl="2s")
    assert node.hvac(auth["client_token"]).is_authenticated()
    until(lambda: is_dead(tokens, auth), "the expiry of a token", seconds=10)
    assert not node.hvac(auth["client_token"]).is_authenticated()
    assert auth["accessor"] not in tokens.list_accessors()["data"]["keys"]


# --- looking up --------------------------------------------------------------------------------


def test_accessors_show_no_token(tokens, make):
    auth = make(policies=["default"], ttl="1m")
    assert auth["accessor"] in tokens.list_accessors()["data"]["keys"]
    found = tokens.lookup_accessor(auth["accessor"])["data"]
    assert (found["id"], found["accessor"]) == ("", auth["accessor"])
    assert found["policies"] == ["default"]


def test_unknown_ones(wire, tokens):
    bad = wire.post("auth/token/lookup", {"token": "hvs.nope"})
    assert (bad.status, bad.errors) == (403, ["bad token"])
    accessor = wire.post("auth/token/lookup-accessor", {"accessor": "nope"})
    assert accessor.status == 400 and "invalid accessor" in accessor.error
    renewed = wire.post("auth/token/renew-accessor", {"accessor": "nope"})
    assert renewed.status == 400 and "invalid accessor" in renewed.error
    renew = wire.post("auth/token/renew", {"token": "hvs.nope"})
    assert (renew.status, renew.error) == (400, "token not found")
    wire.post("auth/token/revoke", {"token": "hvs.nope"}).expect(204)
    orphan = wire.post("auth/token/revoke-orphan", {"token": "hvs.nope"})
    assert (orphan.status, orphan.error) == (400, "token to revoke not found")
    revoke = wire.post("auth/token/revoke-accessor", {"accessor": "nope"}).expect(200)
    assert revoke.warnings == ["No token found with this accessor"]
    wire.get("auth/token/lookup-self", token="hvs.nope").expect(403)


@pytest.mark.parametrize("path", ["create", "create-orphan"])
def test_a_token_may_go_without_any_policy(wire, path):
    body = {"policies": ["default"], "no_default_policy": True, "ttl": "1m"}
    auth = wire.post(f"auth/token/{path}", body).expect(200).json["auth"]
    assert auth["policies"] == []
    wire.get("auth/token/lookup-self", token=auth["client_token"]).expect(403)


# --- renewing ----------------------------------------------------------------------------------


def test_renew(node, tokens, make):
    auth = make(policies=["default"], ttl="1m")
    renewed = tokens.renew(auth["client_token"], increment="2h")["auth"]
    assert (renewed["lease_duration"], renewed["client_token"]) == (7200, auth["client_token"])
    found = lookup(tokens, auth)
    assert 7190 <= found["ttl"] <= 7200 and found["last_renewal_time"] >= found["creation_time"]
    own = node.hvac(auth["client_token"]).auth.token.renew_self(increment=60)["auth"]
    assert own["lease_duration"] == 60
    by_accessor = tokens.renew_accessor(auth["accessor"], increment=90)["auth"]
    assert (by_accessor["client_token"], by_accessor["lease_duration"]) == ("", 90)


def test_renewal_stops_at_the_explicit_maximum(tokens, make):
    auth = make(policies=["default"], ttl="1h", explicit_max_ttl="2h")
    answer = tokens.renew(auth["client_token"], increment="10h")
    assert 7190 <= answer["auth"]["lease_duration"] <= 7200
    assert "exceeded the effective max_ttl" in answer["warnings"][0]


def test_periodic_tokens_renew_to_their_period(tokens, make):
    auth = make(policies=["default"], period="1h", ttl="10m")
    assert auth["lease_duration"] in (600, 3600)
    found = lookup(tokens, auth)
    assert found["period"] == 3600
    assert tokens.renew(auth["client_token"], increment="5h")["auth"]["lease_duration"] == 3600


def test_tokens_that_do_not_renew(tokens, make):
    auth = make(policies=["default"], ttl="1h", renewable=False)
    assert auth["renewable"] is False
    with pytest.raises(InvalidRequest):
        tokens.renew(auth["client_token"])


# --- revoking ----------------------------------------------------------------------------------


@pytest.fixture
def family(node, make, name):
    """A token, its child and its grandchild."""
    rule = 'path "auth/token/create" { capabilities = ["create", "update"] }'
    node.wire().put(f"sys/policies/acl/maker-{name}", {"policy": rule}).expect(200, 204)
    line = [make(policies=[f"maker-{name}"], ttl="10m")]
    for _ in range(2):
        child = node.hvac(line[-1]["client_token"]).auth.token.create(ttl="10m")["auth"]
        line.append(child)
    return line


@pytest.mark.parametrize("by", ["token", "accessor", "self"])
def test_revocation_takes_the_whole_tree(node, tokens, family, by):
    first = family[0]
    if by == "token":
        tokens.revoke(first["client_token"])
    elif by == "accessor":
        tokens.revoke_accessor(first["accessor"])
    else:
        node.hvac(first["client_token"]).auth.token.revoke_self()
    for auth in family:
        until(partial(is_dead, tokens, auth), "the end of a revoked family")
        node.wire(token=auth["client_token"]).get("auth/token/lookup-self").expect(403)
    listed = tokens.list_accessors()["data"]["keys"]
    assert not {auth["accessor"] for auth in family} & set(listed)


def test_revocation_of_a_child_leaves_the_parent(tokens, family):
    tokens.revoke(family[1]["client_token"])
    until(lambda: is_dead(tokens, family[2]), "the end of the grandchild")
    assert is_dead(tokens, family[1]) and not is_dead(tokens, family[0])


def test_revoke_orphan_spares_the_children(tokens, family):
    tokens.revoke_and_orphan_children(family[0]["client_token"])
    until(lambda: is_dead(tokens, family[0]), "the end of the parent")
    child = until(lambda: lookup(tokens, family[1]), "the child")
    assert child["orphan"] is True
    assert lookup(tokens, family[2])["orphan"] is False


def test_accessor_of_a_revoked_token_is_gone(tokens, make):
    auth = make(policies=["default"], ttl="1m")
    tokens.revoke_accessor(auth["accessor"])
    with pytest.raises((InvalidRequest, Forbidden, InvalidPath)):
        tokens.lookup_accessor(auth["accessor"])


# --- roles, batch tokens, tidying ---------------------------------------------------------------


@pytest.fixture
def role(tokens, name):
    """The name of a role that is deleted in the end."""
    yield name
    tokens.delete_role(name)


def test_a_role_bounds_the_tokens_made_by_it(tokens, role):
    tokens.create_or_update_role(
        role,
        allowed_policies=["dev", "test"],
        disallowed_policies=["prod"],
        orphan=True,
        path_suffix="suffix",
        token_period="1h",
        token_explicit_max_ttl="2h",
    )
    assert role in tokens.list_roles()["data"]["keys"]
    found = tokens.read_role(role)["data"]
    assert found["allowed_policies"] == ["dev", "test"]
    assert (found["name"], found["orphan"], found["path_suffix"]) == (role, True, "suffix")
    assert (found["token_period"], found["token_explicit_max_ttl"]) == (3600, 7200)
    assert found["token_type"] == "default-service"

    auth = tokens.create(role_name=role, policies=["dev"])["auth"]
    assert auth["policies"] == ["default", "dev"]
    assert (auth["orphan"], auth["lease_duration"]) == (True, 3600)
    made = lookup(tokens, auth)
    assert (made["role"], made["path"]) == (role, f"auth/token/create/{role}/suffix")
    for policies in (["prod"], ["root"], ["dev", "other"]):
        with pytest.raises(InvalidRequest):
            tokens.create(role_name=role, policies=policies)
    with pytest.raises(InvalidRequest):
        tokens.create(role_name=f"{role}-none")


def test_a_batch_token_is_used_and_cannot_be_kept_alive(tokens, node):
    auth = tokens.create(type="batch", policies=["default"], ttl="1h")["auth"]
    assert auth["client_token"].startswith("hvb.")
    assert (auth["token_type"], auth["accessor"], auth["renewable"]) == ("batch", "", False)
    assert lookup(tokens, auth)["type"] == "batch"
    own = node.hvac(auth["client_token"])
    assert own.auth.token.lookup_self()["data"]["policies"] == ["default"]
    for refused in (
        lambda: tokens.renew(auth["client_token"]),
        lambda: tokens.revoke(auth["client_token"]),
        lambda: own.auth.token.revoke_self(),
        lambda: tokens.create(type="batch", policies=["default"], num_uses=2),
    ):
        with pytest.raises(InvalidRequest, match="batch tokens cannot"):
            refused()


def test_tidying_is_begun(tokens):
    answer = tokens.tidy()
    answer = answer.json() if hasattr(answer, "json") else answer
    assert "Tidy operation" in answer["warnings"][0]


# --- the client's own calls -----------------------------------------------------------------------


def test_login_with_a_wrapped_token(node, tokens):
    wrapped = tokens.create(ttl="5m", wrap_ttl="60s")["wrap_info"]["token"]
    other = node.hvac(None)
    auth = other.auth_cubbyhole(wrapped)["auth"]
    assert other.token == auth["client_token"] and other.is_authenticated()
    with pytest.raises(InvalidRequest):
        node.hvac(None).auth_cubbyhole(wrapped)


def test_logout(node, make):
    for revokes in (False, True):
        token = make(ttl="5m")["client_token"]
        other = node.hvac(token)
        other.logout(revoke_token=revokes)
        assert other.token is None
        assert node.hvac(token).is_authenticated() is not revokes


def test_calls_of_older_programs(client, tokens, make, kv1):
    """`renew_token` and `revoke_token` of the client itself, and a write with fields of any name."""
    token = make(ttl="5m")["client_token"]
    assert client.renew_token(token, increment="4m")["auth"]["lease_duration"] == 240
    child = client.auth.token.create(ttl="5m")["auth"]
    client.revoke_token(child["accessor"], accessor=True)
    client.revoke_token(token)
    for ended in (child["client_token"], token):
        with pytest.raises(Forbidden):
            tokens.lookup(ended)
    orphan = make(ttl="5m")["client_token"]
    client.revoke_token(orphan, orphan=True)
    with pytest.raises(Forbidden):
        tokens.lookup(orphan)
    client.write_data(f"{kv1}/a", data={"path": "p", "wrap_ttl": "w"})
    assert client.read(f"{kv1}/a")["data"] == {"path": "p", "wrap_ttl": "w"}
