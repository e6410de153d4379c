"""The `kv` commands, by `bao` and by our own command, on both versions of the engine."""

import re

import pytest
from node import until


def read(cli, path, *flags):
    return cli.ok("kv", "get", "-format=json", *flags, path).json["data"]


def test_put_get_and_versions(cli, kv2):
    put = cli.ok("kv", "put", f"{kv2}/a", "x=1", "y=two words").out
    assert "= Secret Path =" in put and f"=\n{kv2}/data/a\n" in put and "= Metadata =" in put
    assert re.search(r"(?m)^version +1$", put) and re.search(r"(?m)^deletion_time +n/a$", put)
    got = cli.ok("kv", "get", f"{kv2}/a").out
    assert re.search(r"== Data ==\nKey +Value\n--- +-----\nx +1\ny +two words\n", got)
    cli.ok("kv", "put", f"-mount={kv2}", "a", "x=2")
    assert read(cli, f"{kv2}/a")["data"] == {"x": "2"}
    assert read(cli, f"{kv2}/a", "-version=1")["data"] == {"x": "1", "y": "two words"}
    assert cli.ok("kv", "get", "-field=x", f"{kv2}/a").out == "2"
    assert cli.ok("kv", "get", "-format=yaml", f"{kv2}/a").yaml["data"]["data"] == {"x": "2"}
    gone = cli("kv", "get", "-version=9", f"{kv2}/a").expect(2)
    assert f"No value found at {kv2}/data/a" in gone.err
    assert 'Field "nope" not present' in cli("kv", "get", "-field=nope", f"{kv2}/a").expect(1).err


def test_check_and_set(cli, kv2):
    cli.ok("kv", "put", "-cas=0", f"{kv2}/a", "x=1")
    refused = cli("kv", "put", "-cas=0", f"{kv2}/a", "x=2").expect(2)
    assert "* check-and-set parameter did not match the current version" in refused.err
    cli.ok("kv", "put", "-cas=1", f"{kv2}/a", "x=2")


@pytest.mark.parametrize("method", ["patch", "rw"])
def test_patch(cli, kv2, method):
    cli.ok("kv", "put", f"{kv2}/a", "x=1", "y=2")
    cli.ok("kv", "patch", f"-method={method}", f"{kv2}/a", "y=3", "z=4")
    assert read(cli, f"{kv2}/a")["data"] == {"x": "1", "y": "3", "z": "4"}
    cli("kv", "patch", f"{kv2}/nope", "x=1").expect(2)


def test_list(cli, kv2):
    for path in ("a", "b/c", "b"):
        cli.ok("kv", "put", f"{kv2}/{path}", "x=1")
    assert cli.ok("kv", "list", kv2).out == "Keys\n----\na\nb\nb/\n"
    assert cli.ok("kv", "list", "-format=json", f"{kv2}/b").json == ["c"]
    assert (
        f"No value found at {kv2}/metadata/nope" in cli("kv", "list", f"{kv2}/nope").expect(2).err
    )


def test_delete_undelete_destroy(cli, kv2):
    for n in "123":
        cli.ok("kv", "put", f"{kv2}/a", f"x={n}")
    deleted = cli.ok("kv", "delete", f"{kv2}/a").out
    assert deleted == f"Success! Data deleted (if it existed) at: {kv2}/data/a\n"
    tombstone = cli("kv", "get", f"{kv2}/a")
    assert (
        tombstone.code in (0, 2) and "deletion_time" in tombstone.out and "x" not in tombstone.pairs
    )
    undeleted = cli.ok("kv", "undelete", "-versions=3", f"{kv2}/a").out
    assert undeleted == f"Success! Data written to: {kv2}/undelete/a\n"
    assert read(cli, f"{kv2}/a")["data"] == {"x": "3"}
    cli.ok("kv", "delete", "-versions=1,2", f"{kv2}/a")
    cli.ok("kv", "destroy", "-versions=1", f"{kv2}/a")
    versions = cli.ok("kv", "metadata", "get", "-format=json", f"{kv2}/a").json["data"]["versions"]
    assert versions["1"]["destroyed"] is True and versions["2"]["deletion_time"]
    cli("kv", "destroy", f"{kv2}/a").expect(1)


def test_metadata(cli, kv2):
    cli.ok("kv", "put", f"{kv2}/a", "x=1")
    written = cli.ok(
        "kv",
        "metadata",
        "put",
        "-max-versions=4",
        "-custom-metadata=k=v",
        "-delete-version-after=1h",
        f"{kv2}/a",
    ).out
    assert written == f"Success! Data written to: {kv2}/metadata/a\n"
    out = cli.ok("kv", "metadata", "get", f"{kv2}/a").out
    assert f"=\n{kv2}/metadata/a\n" in out and "== Version 1 ==" in out
    assert re.search(r"(?m)^max_versions +4$", out)
    assert re.search(r"(?m)^custom_metadata +map\[k:v\]$", out)
    cli.ok("kv", "metadata", "patch", "-custom-metadata=l=w", f"{kv2}/a")
    data = cli.ok("kv", "metadata", "get", "-format=json", f"{kv2}/a").json["data"]
    assert data["custom_metadata"] == {"k": "v", "l": "w"}
    assert data["delete_version_after"] == "1h0m0s"
    gone = cli.ok("kv", "metadata", "delete", f"{kv2}/a").out
    assert gone == f"Success! Data deleted (if it existed) at: {kv2}/metadata/a\n"
    cli("kv", "metadata", "get", f"{kv2}/a").expect(2)


def test_rollback(cli, kv2):
    for n in "12":
        cli.ok("kv", "put", f"{kv2}/a", f"x={n}")
    assert re.search(r"(?m)^version +3$", cli.ok("kv", "rollback", "-version=1", f"{kv2}/a").out)
    assert read(cli, f"{kv2}/a")["data"] == {"x": "1"}
    cli("kv", "rollback", f"{kv2}/a").expect(1)
    cli("kv", "rollback", "-version=9", f"{kv2}/a").expect(2)


def test_version_1(cli, kv1):
    assert cli.ok("kv", "put", f"{kv1}/a", "x=1").out == f"Success! Data written to: {kv1}/a\n"
    assert cli.ok("kv", "get", f"{kv1}/a").out.endswith("x      1\n")
    assert cli.ok("kv", "list", kv1).out == "Keys\n----\na\n"
    refused = cli("kv", "patch", f"{kv1}/a", "x=2").expect(2)
    assert "must be version 2" in refused.err
    cli.ok("kv", "delete", f"{kv1}/a")
    assert f"No value found at {kv1}/a" in cli("kv", "get", f"{kv1}/a").expect(2).err


def test_enable_versioning(cli, kv1):
    cli.ok("kv", "put", f"{kv1}/a", "x=1")
    done = cli.ok("kv", "enable-versioning", kv1).out
    assert done == f"Success! Tuned the secrets engine at: {kv1}/\n"
    until(lambda: cli("kv", "get", f"{kv1}/a").code == 0, "the upgrade")
    assert read(cli, f"{kv1}/a")["metadata"]["version"] == 1


def test_without_rights(cli, kv2, token_with):
    nobody = cli.as_token(token_with('path "elsewhere" { capabilities = ["read"] }'))
    refused = nobody("kv", "get", f"{kv2}/a").expect(2)
    assert "preflight capability check returned 403" in refused.err
    some = cli.as_token(token_with(f'path "{kv2}/data/mine" {{ capabilities = ["create"] }}'))
    some.ok("kv", "put", f"{kv2}/mine", "x=1")
    assert "permission denied" in some("kv", "get", f"{kv2}/mine").expect(2).err


def test_find_by_name_and_by_key(ours, kv2, kv1):
    for path, field in (("db/main", "password"), ("db/Backup", "token"), ("web", "api_token")):
        for mount in (kv1, kv2):
            ours.ok("kv", "put", f"{mount}/{path}", f"{field}=hunter2")
    for mount in (kv1, kv2):
        assert ours.ok("kv", "find", "-name=backup", f"{mount}/").out == "db/Backup\n"
        assert ours.ok("kv", "find", "-name=*a*", f"-mount={mount}", "db").out.split() == [
            "db/Backup",
            "db/main",
        ]
        found = ours.ok("kv", "find", "-keys", "-name=*token", "-format=json", f"{mount}/")
        assert found.json == {"db/Backup": ["token"], "web": ["api_token"]}
        assert "hunter2" not in found.out
        assert "nothing was found" in ours("kv", "find", "-name=nope", f"{mount}/").expect(2).err


def test_diff_tells_what_changed_and_shows_values_when_asked(ours, kv2):
    ours.ok("kv", "put", f"{kv2}/a", "same=1", "old=2", "both=3")
    first = ours("kv", "diff", f"{kv2}/a").expect(1)
    assert "nothing before it" in first.err
    ours.ok("kv", "put", f"{kv2}/a", "same=1", "both=4", "new=5")
    told = ours.ok("kv", "diff", f"{kv2}/a").out
    assert re.search(r"both +changed\nnew +added\nold +removed\n$", told)
    shown = ours.ok("kv", "diff", "-from=1", "-to=2", "-values", "-format=json", f"{kv2}/a").json
    assert shown["changes"] == {
        "both": {"change": "changed", "from": "3", "to": "4"},
        "new": {"change": "added", "to": "5"},
        "old": {"change": "removed", "from": "2"},
    }
    assert "alike" in ours.ok("kv", "diff", "-from=2", "-to=2", f"{kv2}/a").out
    ours.ok("kv", "delete", "-versions=1", f"{kv2}/a")
    assert "deleted" in ours("kv", "diff", f"{kv2}/a").expect(2).err
