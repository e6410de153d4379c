"""KV version 2 through hvac: metadata and its limits, pruning, and versions that expire."""

import pytest
from hvac.exceptions import InvalidPath
from node import until

METADATA_FIELDS = {
    "cas_required",
    "created_time",
    "current_version",
    "custom_metadata",
    "delete_version_after",
    "max_versions",
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
