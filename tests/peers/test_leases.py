"""Leases, as hvac and the command lines use them. What hands out leases here are tokens of a role."""

import pytest
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest


@pytest.fixture
def role(client, name):
    """A role whose tokens stand below a path of their own, and that path."""
    client.auth.token.create_or_update_role(name, renewable=True, path_suffix="leased")
    return f"auth/token/create/{name}/leased"


def issue(client, role, **settings):
    """Makes a token of the role; returns it and the id of its lease."""
    made = client.auth.token.create(role_name=role.split("/")[3], policies=["default"], **settings)
    listed = client.sys.list_leases(role)["data"]["keys"]
    assert listed
    return made["auth"]["client_token"], [f"{role}/{key}" for key in listed]


def alive(client, token):
    try:
        client.auth.token.lookup(token)
    except (Forbidden, InvalidRequest, InvalidPath):
        return False
    return True


def test_lookup(client, role):
    _, [lease] = issue(client, role, ttl="10m")
    facts = client.sys.read_lease(lease)["data"]
    assert facts["id"] == lease
    assert 590 < facts["ttl"] <= 600
    assert facts["renewable"] is True
    assert facts["last_renewal"] is None
    assert facts["issue_time"] < facts["expire_time"]
    with pytest.raises(InvalidRequest, match="invalid lease"):
        client.sys.read_lease(f"{role}/nobody")


def test_folders_are_listed(client, role, name):
    issue(client, role)
    assert "auth/" in client.sys.list_leases("")["data"]["keys"]
    assert "create/" in client.sys.list_leases("auth/token")["data"]["keys"]
    assert f"{name}/" in client.sys.list_leases("auth/token/create/")["data"]["keys"]
    with pytest.raises(InvalidPath):
        client.sys.list_leases("auth/token/create/nobody")


def test_a_token_is_not_renewed_as_a_lease(client, role):
    _, [lease] = issue(client, role)
    with pytest.raises(InvalidRequest, match="auth/token/renew"):
        client.sys.renew_lease(lease)
    with pytest.raises(InvalidRequest, match="lease not found"):
        client.sys.renew_lease(f"{role}/nobody")


def test_revoke(client, role):
    token, [lease] = issue(client, role)
    assert alive(client, token)
    client.sys.revoke_lease(lease)
    assert not alive(client, token)
    with pytest.raises(InvalidPath):
        client.sys.list_leases(role)
    # What has ended can be ended again.
    client.sys.revoke_lease(lease)


@pytest.mark.parametrize("how", ["revoke_prefix", "revoke_force"])
def test_revoke_by_prefix(client, role, how):
    tokens = [issue(client, role)[0] for _ in range(3)]
    getattr(client.sys, how)(role)
    assert not any(alive(client, token) for token in tokens)


def test_older_paths(wire, client, role):
    token, [lease] = issue(client, role)
    assert wire.put("sys/revoke", {"lease_id": lease}).status == 204
    assert not alive(client, token)
    token, [lease] = issue(client, role)
    assert wire.put(f"sys/leases/revoke/{lease}").status == 204
    assert not alive(client, token)
    token, _ = issue(client, role)
    assert wire.put(f"sys/revoke-prefix/{role}", {"sync": False}).status == 202
    assert not alive(client, token)


def test_counts(wire, client, role):
    issue(client, role)
    accessor = wire.get("sys/auth").data["token/"]["accessor"]
    counts = wire.get("sys/leases/count").data
    assert counts["counts"][accessor] >= 1
    irrevocable = wire.get("sys/leases/count?type=irrevocable").data
    assert irrevocable == {"lease_count": 0, "counts": {}}
    assert wire.get("sys/leases?type=irrevocable").data == {"lease_count": 0, "leases": []}
    assert wire.get("sys/leases?type=other").status == 400


def test_tidy(wire):
    assert wire.put("sys/leases/tidy").status == 202


def test_only_who_has_sudo_lists_and_revokes_by_prefix(wire, token_with, role, client):
    issue(client, role)
    rights = 'path "sys/leases/*" { capabilities = ["update", "list", "read"] }'
    other = wire.as_token(token_with(rights))
    assert other.list(f"sys/leases/lookup/{role}").status == 403
    assert other.put(f"sys/leases/revoke-prefix/{role}").status == 403
    assert other.put(f"sys/leases/revoke-force/{role}").status == 403
    _, [lease, *_] = issue(client, role)
    assert other.put("sys/leases/lookup", {"lease_id": lease}).status == 200


def test_commands(cli, client, role):
    token, [lease] = issue(client, role)
    shown = cli.ok("lease", "lookup", "-format=json", lease).json
    assert shown["data"]["id"] == lease
    refused = cli("lease", "renew", lease).expect(2)
    assert "auth/token/renew" in refused.err
    assert "Revoked lease" in cli.ok("lease", "revoke", "-sync", lease).out
    assert not alive(client, token)
    token, [lease] = issue(client, role)
    queued = cli.ok("lease", "revoke", "-prefix", role)
    assert "All revocation operations queued successfully!" in queued.out
    assert not alive(client, token)
    token, [lease] = issue(client, role)
    forced = cli.ok("lease", "revoke", "-force", "-prefix", role)
    assert "Force revoked any leases with prefix" in forced.out
    assert not alive(client, token)
    cli("lease", "revoke", "-force", lease).expect(1)
