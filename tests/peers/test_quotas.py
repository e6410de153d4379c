"""Quotas through hvac and on the wire: limits, headers, and what is told of them."""

import pytest
from hvac.exceptions import InvalidPath, InvalidRequest, RateLimitExceeded
from node import until


@pytest.fixture
def limited(client, wire, name, kv1):
    """A mount with room for three requests in an hour."""
    client.sys.create_or_update_quota(name, 3.0, path=kv1, interval="1h")
    yield kv1
    client.sys.delete_quota(name)


def test_crud(client, name, kv1):
    client.sys.create_or_update_quota(name, 10.0, path=kv1, interval="2s", block_interval="1m")
    found = client.sys.read_quota(name)["data"]
    assert found == {
        "type": "rate-limit",
        "name": name,
        "path": f"{kv1}/",
        "role": "",
        "rate": 10.0,
        "interval": 2,
        "block_interval": 60,
        "inheritable": False,
    }
    assert name in client.sys.list_quotas()["data"]["keys"]
    with pytest.raises(InvalidRequest, match="similar properties"):
        client.sys.create_or_update_quota(f"{name}-2", 1.0, path=kv1)
    client.sys.delete_quota(name)
    with pytest.raises(InvalidPath):
        client.sys.read_quota(name)


def test_refusals(wire, client, limited):
    for _ in range(3):
        assert wire.get(f"{limited}/nothing").status == 404
    refused = wire.get(f"{limited}/nothing")
    assert refused.status == 429
    assert refused.errors == [f'request path "{limited}/nothing": rate limit quota exceeded']
    assert 1 <= int(refused.headers["Retry-After"]) <= 1200
    assert "X-Ratelimit-Limit" not in refused.headers
    with pytest.raises(RateLimitExceeded):
        client.secrets.kv.v1.read_secret("nothing", mount_point=limited)
    # Whoever asks: nothing was looked up for it.
    assert wire.as_token("hvs.nobody").get(f"{limited}/nothing").status == 429


def test_headers(wire, limited, name):
    wire.post("sys/quotas/config", {"enable_rate_limit_response_headers": True}).expect(204)
    try:
        config = wire.get("sys/quotas/config").data
        assert config["enable_rate_limit_response_headers"] is True
        answer = wire.get(f"{limited}/nothing")
        assert answer.headers["X-Ratelimit-Limit"] == "3"
        assert answer.headers["X-Ratelimit-Remaining"] == "2"
        assert "X-Ratelimit-Limit" not in wire.get("sys/mounts").headers
    finally:
        wire.post("sys/quotas/config", {}).expect(204)


def test_lease_counts(wire, client, name):
    wire.put(f"sys/quotas/lease-count/{name}", {"max_leases": 1000, "path": "auth/token"})
    path = f"sys/quotas/lease-count/{name}"
    until(lambda: wire.get(path).data["counter"] is not None, "a count")
    before = wire.get(path).data["counter"]
    token = client.auth.token.create(ttl="10m")["auth"]["client_token"]
    assert wire.get(path).data["counter"] == before + 1
    wire.put(path, {"max_leases": before + 1, "path": "auth/token"}).expect(204)
    until(lambda: wire.get(path).data["counter"] == before + 1, "a count")
    refused = wire.post("auth/token/create", {"ttl": "10m"})
    assert (refused.status, refused.errors) == (429, ["lease count quota exceeded"])
    client.auth.token.revoke(token)
    assert wire.get(path).data["counter"] == before
    wire.post("auth/token/create", {"ttl": "1s"}).expect(200)
    wire.delete(path).expect(204)
