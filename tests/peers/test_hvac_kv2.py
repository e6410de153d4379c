"""KV version 2 through hvac: versions, check-and-set, three kinds of deletion, patches, lists."""

import json

import pytest
from conftest import Bound, ready
from hvac.exceptions import InvalidPath, InvalidRequest
from node import only_secretum, until
from wire import MERGE_PATCH

CAS_MISMATCH = "check-and-set parameter did not match the current version"
CAS_REQUIRED = "check-and-set parameter required for this call"


def test_write_and_read_back(kv):
    written = kv.write("a/b", x="1", empty="")
    assert written["version"] == 1 and written["created_time"].endswith("Z")
    assert (written["deletion_time"], written["destroyed"]) == ("", False)
    assert written["custom_metadata"] is None
    read = kv.read("a/b")
    assert read["data"] == {"x": "1", "empty": ""}
    assert read["metadata"] == written


def test_json_of_every_shape_survives(kv):
    secret = {
        "text": 'ü "quoted" \\ \u2028 \U0001f510',
        "list": [1, "two", None, {"three": [3.5]}],
        "nested": {"deep": {"deeper": {}}},
        "no": False,
        "nothing": None,
        "": "an empty key",
    }
    kv.write("shapes", **secret)
    assert kv.read("shapes")["data"] == secret


@only_secretum("OpenBao 2.7 reads numbers as 64-bit floats and so changes large ones")
@pytest.mark.parametrize(
    "number", ["9007199254740993", "123456789012345678901234567890", "1.10", "1e400", "-0"]
)
def test_numbers_keep_their_text(wire, kv2, number):
    body = '{"data": {"n": %s, "in": [%s]}}' % (number, number)
    wire.put(f"{kv2}/data/n", body).expect(200)
    members = (f'"n":{number}', f'"in":[{number}]')
    for _ in range(2):
        answer = wire.get(f"{kv2}/data/n").expect(200).body.decode().replace(" ", "")
        assert all(member in answer for member in members), answer
        wire.patch(f"{kv2}/data/n", {"data": {"other": 1}}).expect(200)


# --- versions and check-and-set ----------------------------------------------------------------


def test_versions(kv):
    for text in ("one", "two", "three"):
        kv.write("a", v=text)
    assert [kv.read("a", version)["data"]["v"] for version in (1, 2, 3)] == ["one", "two", "three"]
    newest = kv.read("a", 0)
    assert (newest["data"]["v"], newest["metadata"]["version"]) == ("three", 3)
    for version in (4, 99):
        with pytest.raises(InvalidPath):
            kv.read("a", version)


@pytest.mark.parametrize("cas, said", [(0, CAS_MISMATCH), (2, CAS_MISMATCH), (99, CAS_MISMATCH)])
def test_cas_that_does_not_match(kv, cas, said):
    kv.write("a", v="1")
    with pytest.raises(InvalidRequest) as refused:
        kv.write("a", cas=cas, v="2")
    assert refused.value.errors == [said]
    assert kv.read("a")["metadata"]["version"] == 1


def test_cas_that_matches(kv):
    assert kv.write("a", cas=0, v="1")["version"] == 1
    assert kv.write("a", cas=1, v="2")["version"] == 2
    with pytest.raises(InvalidRequest):
        kv.write("new", cas=1, v="1")


@pytest.mark.parametrize("of", ["the mount", "the secret"])
def test_cas_required(kv, of):
    if of == "the mount":
        kv.configure(cas_required=True)
    else:
        kv.update_metadata("a", cas_required=True)
    with pytest.raises(InvalidRequest) as refused:
        kv.write("a", v="1")
    assert refused.value.errors == [CAS_REQUIRED]
    assert kv.write("a", cas=0, v="1")["version"] == 1
    with pytest.raises(InvalidRequest):
        kv.write("a", v="2")


def test_no_data_is_refused(wire, kv2):
    for body in ({}, {"options": {"cas": 0}}):
        answer = wire.put(f"{kv2}/data/a", body)
        assert (answer.status, answer.errors) == (400, ["no data provided"])
    wire.put(f"{kv2}/data/a", {"data": {}}).expect(200)
    assert wire.get(f"{kv2}/data/a").data["data"] == {}


@pytest.mark.parametrize(
    "path, body",
    [
        ("data/a", {"data": "text"}),
        ("data/a", {"data": [1]}),
        ("data/a", {"data": {}, "options": "x"}),
        ("data/a", {"data": {}, "options": {"cas": "x"}}),
        ("config", {"max_versions": "abc"}),
        ("config", {"delete_version_after": "abc"}),
        ("metadata/a", {"delete_version_after": "-5s"}),
        ("metadata/a", {"custom_metadata": "x"}),
        ("metadata/a", {"custom_metadata": {"a": {"nested": 1}}}),
        ("delete/a", {}),
        ("undelete/a", {}),
        ("destroy/a", {}),
        ("delete/a", {"versions": ["x"]}),
    ],
)
def test_wrong_fields_are_refused(wire, kv2, path, body):
    answer = wire.put(f"{kv2}/{path}", body)
    assert answer.status == 400 and answer.errors and list(answer.json) == ["errors"]


def test_unknown_fields_are_a_warning(wire, kv2):
    answer = wire.put(f"{kv2}/data/a", {"data": {}, "bogus": 1}).expect(200)
    assert answer.warnings == ["Endpoint ignored these unrecognized parameters: [bogus]"]


# --- deletion ----------------------------------------------------------------------------------


def test_soft_delete_of_the_newest_and_undelete(kv, wire):
    kv.write("a", v="1")
    kv.write("a", v="2")
    assert kv.delete_latest_version_of_secret("a").status_code == 204
    answer = wire.get(f"{kv.mount}/data/a").expect(404)
    assert answer.data["data"] is None
    metadata = answer.data["metadata"]
    assert (metadata["version"], metadata["destroyed"]) == (2, False)
    assert metadata["deletion_time"]
    assert {"request_id", "lease_id", "warnings", "auth", "wrap_info"} <= answer.json.keys()
    assert kv.read("a", 1)["data"] == {"v": "1"}
    with pytest.raises(InvalidPath):
        kv.read_secret_version("a", raise_on_deleted_version=True)

    kv.undelete_secret_versions("a", [2])
    assert kv.read("a")["data"] == {"v": "2"}
    assert kv.read("a")["metadata"]["deletion_time"] == ""


def test_delete_of_chosen_versions(kv):
    for text in "123":
        kv.write("a", v=text)
    kv.delete_secret_versions("a", [1, 2, 77])
    assert kv.read("a", 1)["data"] is None and kv.read("a", 2)["data"] is None
    assert kv.read("a")["data"] == {"v": "3"}
    kv.undelete_secret_versions("a", ["1"])
    assert kv.read("a", 1)["data"] == {"v": "1"}
    assert kv.read("a", 2)["data"] is None


def test_destroy_is_for_ever(kv, wire):
    for text in "12":
        kv.write("a", v=text)
    kv.destroy_secret_versions("a", [1, 2])
    answer = wire.get(f"{kv.mount}/data/a").expect(404)
    assert answer.data["data"] is None and answer.data["metadata"]["destroyed"] is True
    kv.undelete_secret_versions("a", [1, 2])
    assert wire.get(f"{kv.mount}/data/a?version=1").expect(404).data["data"] is None
    assert kv.metadata("a")["versions"]["1"]["destroyed"] is True
    assert kv.write("a", v="3")["version"] == 3


def test_delete_everything(kv):
    kv.write("a", v="1")
    kv.delete_metadata_and_all_versions("a")
    for read in (kv.read, kv.metadata):
        with pytest.raises(InvalidPath):
            read("a")
    assert kv.write("a", cas=0, v="new")["version"] == 1


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("DELETE", "data/nope", None),
        ("DELETE", "metadata/nope", None),
        ("PUT", "delete/nope", {"versions": [1]}),
        ("PUT", "undelete/nope", {"versions": [1]}),
        ("PUT", "destroy/nope", {"versions": [1]}),
    ],
)
def test_removing_what_is_not_there(wire, kv2, method, path, body):
    wire.call(method, f"{kv2}/{path}", body).expect(204)


# --- patch and subkeys -------------------------------------------------------------------------


def test_patch_merges(kv, wire):
    kv.write("a", keep="1", drop="2", deep={"x": "1", "y": "2"})
    patch = {"data": {"drop": None, "deep": {"y": None, "z": {"new": None, "n": 3}}}}
    answer = wire.patch(f"{kv.mount}/data/a", patch).expect(200)
    assert answer.data["version"] == 2
    assert kv.read("a")["data"] == {"keep": "1", "deep": {"x": "1", "z": {"n": 3}}}
    assert kv.patch("a", {"keep": "2"})["data"]["version"] == 3
    assert kv.read("a")["data"]["keep"] == "2"


def test_patch_minds_cas_and_absence(kv, wire):
    path = f"{kv.mount}/data/a"
    wire.patch(path, {"data": {"x": "1"}}).expect(404)
    kv.write("a", x="1")
    refused = wire.patch(path, {"data": {"x": "2"}, "options": {"cas": 7}})
    assert (refused.status, refused.errors) == (400, [CAS_MISMATCH])
    wire.patch(path, {"data": {"x": "2"}, "options": {"cas": 1}}).expect(200)
    kv.delete_latest_version_of_secret("a")
    for end in ("deletion_time", "destroyed"):
        refused = wire.patch(path, {"data": {"x": "3"}, "options": {"cas": 7}})
        assert (refused.status, refused.errors) == (400, [CAS_MISMATCH])
        for options in ({}, {"cas": 2}):
            gone = wire.patch(path, {"data": {"x": "3"}, "options": options}).expect(404)
            assert gone.data["version"] == 2 and gone.data[end]
        kv.destroy_secret_versions("a", [2])
    assert kv.metadata("a")["current_version"] == 2


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_patch_wants_its_content_type(kv, wire, content_type):
    kv.write("a", x="1")
    headers = {"Content-Type": content_type} if content_type else {}
    answer = wire.call("PATCH", f"{kv.mount}/data/a", {"data": {"x": "2"}}, headers=headers)
    if content_type:
        assert answer.status == 415 and "application/merge-patch+json" in answer.error
    else:  # OpenBao says 400 where there is none at all
        assert answer.status in (400, 415) and answer.error
    assert kv.read("a")["data"] == {"x": "1"}


def test_patch_content_type_may_have_parameters(kv, wire):
    kv.write("a", x="1")
    headers = {"Content-Type": MERGE_PATCH["Content-Type"] + "; charset=utf-8"}
    body = {"data": {"x": "2"}}
    wire.call("PATCH", f"{kv.mount}/data/a", body, headers=headers).expect(200)


@pytest.mark.parametrize(
    "query, subkeys",
    [
        ("", {"a": {"b": {"c": None}}, "l": None, "e": None}),
        ("?depth=0", {"a": {"b": {"c": None}}, "l": None, "e": None}),
        ("?depth=1", {"a": None, "l": None, "e": None}),
        ("?depth=2", {"a": {"b": None}, "l": None, "e": None}),
        ("?version=1", {"old": None}),
    ],
)
def test_subkeys(kv, wire, query, subkeys):
    kv.write("s", old="1")
    kv.write("s", a={"b": {"c": "1"}}, l=[{"x": 1}], e={})
    answer = wire.get(f"{kv.mount}/subkeys/s{query}").expect(200)
    assert answer.data["subkeys"] == subkeys
    assert answer.data["metadata"]["version"] == (1 if "version" in query else 2)


def test_subkeys_of_what_is_gone(kv, wire):
    wire.get(f"{kv.mount}/subkeys/nope").expect(404)
    kv.write("s", x="1")
    kv.delete_latest_version_of_secret("s")
    answer = wire.get(f"{kv.mount}/subkeys/s").expect(404)
    assert answer.data["subkeys"] is None and answer.data["metadata"]["deletion_time"]


# --- lists and paths ---------------------------------------------------------------------------


def test_lists(kv):
    for path in ("a", "b/c", "b/d/e", "b"):
        kv.write(path, v="1")
    assert kv.list_secrets("")["data"]["keys"] == ["a", "b", "b/"]
    assert kv.list_secrets("b")["data"]["keys"] == ["c", "d/"]
    for nothing in ("nope", "a"):
        with pytest.raises(InvalidPath):
            kv.list_secrets(nothing)


@pytest.mark.parametrize("in_query", [True, False])
def test_paged_lists(kv, wire, in_query):
    every = [f"k{n}" for n in range(7)]
    for key in every:
        kv.write(key, v="1")
    seen, after = [], ""
    while True:
        query = f"limit=3&after={after}"
        if in_query:
            answer = wire.get(f"{kv.mount}/metadata?list=true&{query}")
        else:
            answer = wire.list(f"{kv.mount}/metadata?{query}")
        if answer.status == 404:
            break
        page = answer.expect(200).data["keys"]
        assert len(page) <= 3
        seen, after = seen + page, page[-1]
    assert sorted(seen) == every and len(seen) == len(every)


def test_the_cli_path_of_version_1_gets_a_hint(wire, kv2):
    for path in (kv2 + "/some/secret", kv2 + "/data"):
        answer = wire.get(path).expect(404)
        assert answer.data is None and answer.warnings


# --- from version 1 to version 2 ---------------------------------------------------------------


def test_upgrade_keeps_the_secrets(client, wire, kv1):
    for n in range(3):
        client.secrets.kv.v1.create_or_update_secret(f"a/{n}", {"n": str(n)}, mount_point=kv1)
    wire.put(f"sys/mounts/{kv1}/tune", {"options": {"version": "2"}}).expect(200, 204)
    ready(wire, kv1)
    kv = Bound(client.secrets.kv.v2, kv1)
    until(lambda: wire.get(f"{kv1}/data/a/0").status == 200, "the upgrade")
    assert kv.list_secrets("a")["data"]["keys"] == ["0", "1", "2"]
    for n in range(3):
        read = kv.read(f"a/{n}")
        assert (read["data"], read["metadata"]["version"]) == ({"n": str(n)}, 1)
    assert wire.get(f"sys/mounts/{kv1}").data["options"] == {"version": "2"}
    back = wire.put(f"sys/mounts/{kv1}/tune", {"options": {"version": "1"}})
    assert back.status == 400 and back.error, json.dumps(back.errors)
