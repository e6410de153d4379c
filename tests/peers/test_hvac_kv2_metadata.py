"""KV version 2 through hvac: metadata and its limits, pruning, and versions that expire."""

import pytest
from hvac.exceptions import InvalidPath
from node import until

METADATA_FIELDS = {
    "cas_required",
    "created_time",
    "current_metadata_version",
    "current_version",
    "custom_metadata",
    "delete_version_after",
    "max_versions",
    "metadata_cas_required",
    "oldest_version",
    "updated_time",
    "versions",
}


def test_metadata(kv):
    kv.write("a", v="1")
    kv.write("a", v="2")
    kv.update_metadata(
        "a",
        max_versions=7,
        cas_required=False,
        delete_version_after="3h25m19s",
        custom_metadata={"owner": "me", "tier": "1"},
    )
    metadata = kv.metadata("a")
    assert METADATA_FIELDS <= metadata.keys()
    assert (metadata["max_versions"], metadata["delete_version_after"]) == (7, "3h25m19s")
    assert metadata["custom_metadata"] == {"owner": "me", "tier": "1"}
    assert (metadata["current_version"], metadata["oldest_version"]) == (2, 0)
    assert list(metadata["versions"]) == ["1", "2"]
    assert metadata["versions"]["1"].keys() == {"created_time", "deletion_time", "destroyed"}
    assert kv.read("a")["metadata"]["custom_metadata"] == {"owner": "me", "tier": "1"}


MISMATCH = "metadata check-and-set parameter does not match the current version"
REQUIRED = "metadata check-and-set parameter required for this call"
OF_NEW = "metadata_cas must be 0 when creating new metadata"


@pytest.mark.parametrize("verb", ["post", "patch"])
def test_a_change_of_metadata_minds_its_check_and_set(wire, kv, verb):
    path = f"{kv.mount}/metadata/a"
    change = getattr(wire, verb)

    def state():
        metadata = kv.metadata("a")
        return metadata["current_metadata_version"], metadata["custom_metadata"]

    refused = wire.post(path, {"metadata_cas": 1, "custom_metadata": {"n": "0"}})
    assert (refused.status, refused.errors) == (400, [OF_NEW])
    wire.get(path).expect(404)
    wire.post(path, {"metadata_cas": 0, "custom_metadata": {"n": "1"}}).expect(204)
    kv.write("a", x="1")
    assert state() == (1, {"n": "1"}), "a write of the secret is no change of its metadata"
    for stale in (0, 2, 99):
        refused = change(path, {"metadata_cas": stale, "custom_metadata": {"n": "eve"}})
        assert (refused.status, refused.errors) == (400, [MISMATCH])
    change(path, {"metadata_cas": 1, "custom_metadata": {"n": "2"}}).expect(204)
    change(path, {"custom_metadata": {"n": "3"}}).expect(204)
    change(path, {}).expect(204)
    assert state() == (3, {"n": "3"})


@pytest.mark.parametrize("of", ["the mount", "the secret"])
def test_a_check_and_set_of_metadata_can_be_required(wire, kv, of):
    path = f"{kv.mount}/metadata/a"
    assert wire.get(f"{kv.mount}/config").data["metadata_cas_required"] is False
    wire.post(path, {"max_versions": 3}).expect(204)
    if of == "the mount":
        wire.post(f"{kv.mount}/config", {"metadata_cas_required": True}).expect(200, 204)
        assert wire.get(f"{kv.mount}/config").data["metadata_cas_required"] is True
        version = 1
    else:
        wire.post(path, {"metadata_cas_required": True}).expect(204)
        assert kv.metadata("a")["metadata_cas_required"] is True
        version = 2
    for change in (wire.post, wire.patch):
        refused = change(path, {"max_versions": 5})
        assert (refused.status, refused.errors) == (400, [REQUIRED])
    kv.write("a", x="1")
    wire.patch(path, {"metadata_cas": version, "max_versions": 6}).expect(204)
    # OpenBao warns where the mount requires it all the same.
    body = {"metadata_cas": version + 1, "metadata_cas_required": False}
    wire.post(path, body).expect(200, 204)
    assert kv.metadata("a")["max_versions"] == 6


def test_settings_that_name_nothing_make_no_secret(wire, kv2):
    for body in ({}, {"metadata_cas": 7}):
        wire.post(f"{kv2}/metadata/a", body).expect(204)
        wire.get(f"{kv2}/metadata/a").expect(404)


def test_a_listing_can_tell_all_that_is_known(wire, kv):
    for path in ("a", "b/c", "b/d", "e"):
        kv.write(path, x="1")
    kv.update_metadata("a", custom_metadata={"owner": "me"})
    at = f"{kv.mount}/detailed-metadata"
    for listed in (wire.list(at), wire.list(f"{at}/"), wire.get(f"{at}/?list=true")):
        data = listed.expect(200).data
        assert data["keys"] == ["a", "b/", "e"]
        assert data["key_info"] == {"a": kv.metadata("a"), "b/": {}, "e": kv.metadata("e")}
    below = wire.list(f"{at}/b").expect(200).data
    assert below == {
        "keys": ["c", "d"],
        "key_info": {"c": kv.metadata("b/c"), "d": kv.metadata("b/d")},
    }
    every = wire.call("SCAN", at).expect(200).data
    assert sorted(every["keys"]) == ["a", "b/c", "b/d", "e"]
    assert every["key_info"]["b/d"] == kv.metadata("b/d")
    seen, after = [], ""
    while (page := wire.list(f"{at}/?limit=2&after={after}")).status == 200:
        assert page.data["key_info"].keys() == set(page.data["keys"])
        assert len(page.data["keys"]) <= 2
        seen += page.data["keys"]
        after = page.data["keys"][-1]
    assert sorted(seen) == ["a", "b/", "e"]
    wire.list(f"{at}/nope").expect(404)


def test_a_detailed_listing_is_a_right_of_its_own(wire, kv, token_with):
    kv.write("a", x="1")
    token = token_with(f'path "{kv.mount}/metadata/*" {{ capabilities = ["list", "read"] }}')
    wire.list(f"{kv.mount}/metadata", token=token).expect(200)
    wire.list(f"{kv.mount}/detailed-metadata", token=token).expect(403)
    token = token_with(f'path "{kv.mount}/detailed-metadata/*" {{ capabilities = ["list"] }}')
    wire.list(f"{kv.mount}/detailed-metadata", token=token).expect(200)


def test_custom_metadata_that_is_cleared_is_none(wire, kv):
    path = f"{kv.mount}/metadata/a"
    kv.write("a", x="1")
    for clear in (
        lambda: wire.post(path, {"custom_metadata": {}}),
        lambda: wire.patch(path, {"custom_metadata": {"owner": None}}),
    ):
        wire.post(path, {"custom_metadata": {"owner": "me"}}).expect(204)
        clear().expect(204)
        assert kv.metadata("a")["custom_metadata"] is None
        assert kv.read("a")["metadata"]["custom_metadata"] is None
    wire.post(path, {"custom_metadata": {"owner": "me"}}).expect(204)
    wire.post(path, {"custom_metadata": {"owner": None}}).expect(400)
    assert kv.metadata("a")["custom_metadata"] == {"owner": "me"}, "a POST has nothing to remove"


def test_metadata_may_come_before_data(kv):
    kv.update_metadata("a", max_versions=2)
    metadata = kv.metadata("a")
    assert (metadata["current_version"], metadata["versions"]) == (0, {})
    with pytest.raises(InvalidPath):
        kv.read("a")
    assert kv.write("a", cas=0, v="1")["version"] == 1


def test_metadata_patch_changes_only_what_it_names(kv, wire):
    kv.update_metadata("a", max_versions=7, custom_metadata={"keep": "1", "drop": "2"})
    patch = {"cas_required": True, "custom_metadata": {"drop": None, "new": "3"}}
    wire.patch(f"{kv.mount}/metadata/a", patch).expect(204)
    metadata = kv.metadata("a")
    assert metadata["custom_metadata"] == {"keep": "1", "new": "3"}
    assert (metadata["cas_required"], metadata["max_versions"]) == (True, 7)
    wire.patch(f"{kv.mount}/metadata/nope", patch).expect(404)
    headers = {"Content-Type": "application/json"}
    plain = wire.call("PATCH", f"{kv.mount}/metadata/a", patch, headers=headers)
    assert plain.status == 415 and "application/merge-patch+json" in plain.error


@pytest.mark.parametrize(
    "count, key_bytes, value_bytes, fits",
    [(64, 8, 8, True), (65, 8, 8, False), (1, 128, 8, True), (1, 129, 8, False)]
    + [(1, 8, 512, True), (1, 8, 513, False), (1, 8, 0, False)],
)
def test_custom_metadata_limits(wire, kv2, count, key_bytes, value_bytes, fits):
    pairs = {f"{n:0{key_bytes}d}": "v" * value_bytes for n in range(count)}
    answer = wire.put(f"{kv2}/metadata/a", {"custom_metadata": pairs})
    assert answer.status == (204 if fits else 400), answer.body
    assert fits == (wire.get(f"{kv2}/metadata/a").status == 200)


def test_configuration_of_the_mount(kv):
    empty = kv.read_configuration()["data"]
    assert (empty["max_versions"], empty["cas_required"]) == (0, False)
    assert empty["delete_version_after"] == "0s"
    kv.configure(max_versions=3, cas_required=False, delete_version_after="1h")
    data = kv.read_configuration()["data"]
    assert (data["max_versions"], data["delete_version_after"]) == (3, "1h0m0s")


# --- how many versions, and how long -----------------------------------------------------------


@pytest.mark.parametrize(
    "of_mount, of_secret, kept", [(0, 0, 10), (3, 0, 3), (3, 2, 3), (3, 5, 5), (0, 4, 4)]
)
def test_old_versions_are_pruned(kv, of_mount, of_secret, kept):
    """The larger of the mount's and the secret's limit counts; where neither is set, 10."""
    kv.configure(max_versions=of_mount)
    kv.update_metadata("a", max_versions=of_secret)
    for text in range(12):
        kv.write("a", v=str(text))
    metadata = kv.metadata("a")
    assert sorted(map(int, metadata["versions"])) == list(range(13 - kept, 13))
    assert (metadata["oldest_version"], metadata["current_version"]) == (13 - kept, 12)
    with pytest.raises(InvalidPath):
        kv.read("a", 12 - kept)
    assert kv.read("a", 13 - kept)["data"] == {"v": str(12 - kept)}


@pytest.mark.parametrize("of", ["the mount", "the secret"])
def test_versions_expire(kv, of):
    if of == "the mount":
        kv.configure(delete_version_after="1s")
    else:
        kv.update_metadata("a", delete_version_after="1s")
    written = kv.write("a", v="1")
    assert written["deletion_time"] > written["created_time"]
    assert kv.read("a")["data"] == {"v": "1"}
    until(lambda: kv.read("a")["data"] is None, "the expiry of a version", seconds=5)
    assert kv.metadata("a")["current_version"] == 1
