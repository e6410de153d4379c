"""KV version 1 through hvac."""

import pytest
from hvac.exceptions import InvalidPath, InvalidRequest
from node import only_secretum


@pytest.fixture
def kv(client):
    return client.secrets.kv.v1


def test_write_read_overwrite_delete(kv, kv1):
    kv.create_or_update_secret("a/b", {"x": "1", "y": ["2", {"z": None}]}, mount_point=kv1)
    read = kv.read_secret("a/b", mount_point=kv1)
    assert read["data"] == {"x": "1", "y": ["2", {"z": None}]}
    assert (read["lease_id"], read["renewable"]) == ("", False)
    kv.create_or_update_secret("a/b", {"only": "this"}, mount_point=kv1, method="PUT")
    assert kv.read_secret("a/b", mount_point=kv1)["data"] == {"only": "this"}
    assert kv.delete_secret("a/b", mount_point=kv1).status_code == 204
    with pytest.raises(InvalidPath):
        kv.read_secret("a/b", mount_point=kv1)
    assert kv.delete_secret("a/b", mount_point=kv1).status_code == 204


@pytest.mark.parametrize("number", ["9007199254740993", "123456789012345678901234567890", "1.10"])
def test_numbers_keep_their_text(wire, kv1, number):
    wire.put(f"{kv1}/n", '{"n": %s}' % number).expect(204)
    assert f'"n":{number}'.encode() in wire.get(f"{kv1}/n").expect(200).body.replace(b": ", b":")


@pytest.mark.parametrize(
    "ttl, seconds", [("30m", 1800), ("90", 90), (90, 90), ("abc", 168 * 3600), (None, 168 * 3600)]
)
def test_a_ttl_field_is_the_lease_duration(wire, kv1, ttl, seconds):
    """A hint to the reader of how soon to look again; no lease goes with it."""
    wire.put(f"{kv1}/a", {"x": "1"} if ttl is None else {"x": "1", "ttl": ttl}).expect(204)
    answer = wire.get(f"{kv1}/a").expect(200)
    assert (answer.json["lease_duration"], answer.json["lease_id"]) == (seconds, "")


@pytest.mark.parametrize(
    "fields, seconds",
    [
        ({"ttl": "5m", "lease": "1h"}, 300),
        ({"lease": "1h"}, 3600),
        ({"ttl": "abc", "lease": "1h"}, 168 * 3600),
        ({"ttl": "5m", "lease": {}}, 300),
    ],
)
def test_of_ttl_and_lease_the_ttl_counts(wire, kv1, fields, seconds):
    wire.put(f"{kv1}/a", fields).expect(204)
    assert wire.get(f"{kv1}/a").expect(200).json["lease_duration"] == seconds


def test_lists(kv, wire, kv1):
    for path in ("a", "b/c", "b/d/e", "b"):
        kv.create_or_update_secret(path, {"x": "1"}, mount_point=kv1)
    assert kv.list_secrets("", mount_point=kv1)["data"]["keys"] == ["a", "b", "b/"]
    assert kv.list_secrets("b", mount_point=kv1)["data"]["keys"] == ["c", "d/"]
    with pytest.raises(InvalidPath):
        kv.list_secrets("nope", mount_point=kv1)
    assert wire.call("SCAN", kv1).expect(200).data["keys"] == ["a", "b", "b/c", "b/d/e"]


@only_secretum("one way of paging for every list; OpenBao pages KV 2 but not KV 1")
def test_paged_lists(wire, kv1):
    every = [f"k{n}" for n in range(7)]
    for key in every:
        wire.put(f"{kv1}/{key}", {"x": "1"}).expect(204)
    seen, after = [], ""
    while page := wire.list(f"{kv1}?limit=3&after={after}"):
        if page.status == 404:
            break
        keys = page.expect(200).data["keys"]
        assert len(keys) <= 3
        seen, after = seen + keys, keys[-1]
    assert sorted(seen) == every and len(seen) == len(every)


def test_what_is_refused(kv, wire, kv1):
    with pytest.raises(InvalidRequest, match="missing data fields"):
        kv.create_or_update_secret("a", {}, mount_point=kv1)
    assert wire.put(f"{kv1}/a").status == 400
    folder = wire.put(f"{kv1}/a/", {"x": "1"})
    assert (folder.status, folder.error) == (400, "cannot write to a path ending in '/'")
    patch = wire.patch(f"{kv1}/a", {"x": "1"})
    assert patch.status == 405 and "unsupported operation" in patch.error
    assert wire.get(kv1).expect(404).json == {"errors": []}


def test_unusual_names(wire, kv1):
    for path in ("sp%20ace", "%C3%BC", "a..b", "a+b", "~", "%25", "a%3Fb"):
        wire.put(f"{kv1}/{path}", {"x": path}).expect(204)
        assert wire.get(f"{kv1}/{path}").expect(200).data == {"x": path}
    keys = {"sp ace", "ü", "a..b", "a+b", "~", "%", "a?b"}
    assert set(wire.list(kv1).data["keys"]) == keys


def test_mounts_do_not_see_each_other(client, wire, kv1, name):
    wire.put(f"sys/mounts/other-{name}", {"type": "kv"}).expect(204)
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    wire.get(f"other-{name}/a").expect(404)
    wire.delete(f"sys/mounts/other-{name}").expect(204)
