"""The wire itself: envelopes, error bodies, headers, verbs, and what strangers may learn."""

import http.client
import json
import re

import pytest
from node import IS_BAO, only_secretum
from wire import MERGE_PATCH

ENVELOPE = ["auth", "data", "lease_duration", "lease_id", "renewable", "request_id", "warnings"]
ENVELOPE = sorted([*ENVELOPE, "wrap_info"])
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


# --- answers -----------------------------------------------------------------------------------


def test_envelope_has_every_key(wire, kv2):
    wire.put(f"{kv2}/data/a", {"data": {"x": "1"}}).expect(200)
    answer = wire.get(f"{kv2}/data/a").expect(200).json
    assert sorted(answer) == ENVELOPE
    assert UUID.fullmatch(answer["request_id"])
    rest = {key: answer[key] for key in ENVELOPE if key not in ("data", "request_id")}
    assert rest == {
        "auth": None,
        "lease_duration": 0,
        "lease_id": "",
        "renewable": False,
        "warnings": None,
        "wrap_info": None,
    }


def test_envelope_of_a_login(wire):
    answer = wire.post("auth/token/create", {"ttl": "1m"}).expect(200).json
    assert sorted(answer) == ENVELOPE and answer["data"] is None


def test_envelope_of_a_deleted_version(wire, kv2):
    wire.put(f"{kv2}/data/a", {"data": {"x": "1"}}).expect(200)
    wire.delete(f"{kv2}/data/a").expect(204)
    assert sorted(wire.get(f"{kv2}/data/a").expect(404).json) == ENVELOPE


@pytest.mark.parametrize("path", ["sys/mounts", "sys/auth", "sys/audit", "sys/policy"])
def test_old_paths_copy_their_data_to_the_top(wire, path):
    answer = wire.get(path).expect(200).json
    assert answer["data"] and {key: answer[key] for key in answer["data"]} == answer["data"]


@pytest.mark.parametrize(
    "path", ["sys/init", "sys/seal-status", "sys/health", "sys/leader", "sys/mounts?help=1"]
)
def test_bare_answers(wire, path):
    answer = wire.get(path).expect(200).json
    assert "request_id" not in answer and "data" not in answer


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "sys/mounts", 200),
        ("GET", "sys/health", 200),
        ("GET", "sys/seal-status", 200),
        ("GET", "cubbyhole/nope", 404),
        ("GET", "nowhere", 404),
        ("DELETE", "sys/mounts/nope", 204),
        ("PUT", "sys/mounts/nope", 400),
    ],
)
def test_headers_of_every_answer(wire, method, path, status):
    answer = wire.call(method, path, {} if method == "PUT" else None).expect(status)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    if status == 204:
        assert answer.body == b""
    elif status >= 400:
        assert list(answer.json) == ["errors"]


# --- errors ------------------------------------------------------------------------------------


def test_missing_reads_and_lists_are_empty_errors(wire, kv1, kv2):
    for answer in (
        wire.get(f"{kv1}/nope"),
        wire.get(f"{kv2}/data/nope"),
        wire.get(f"{kv2}/metadata/nope"),
        wire.list(f"{kv1}/nope"),
        wire.list(kv1),
        wire.list(f"{kv2}/metadata"),
        wire.get("cubbyhole/nope"),
        wire.get("sys/policies/acl/nope"),
    ):
        assert answer.expect(404).json == {"errors": []}


@pytest.mark.parametrize("path", ["nowhere", "nowhere/at/all", "auth/nowhere/login"])
def test_no_handler(wire, path):
    error = wire.get(path).expect(404).error
    assert error == f'no handler for route "{path}". route entry not found.'


@pytest.mark.parametrize(
    "method, path",
    [
        ("DELETE", "sys/mounts"),
        ("GET", "sys/rotate"),
        ("GET", "sys/policies/acl"),
        ("DELETE", "auth/token/create"),
        ("DELETE", "sys/health"),
        ("GET", "sys/seal"),
    ],
)
def test_unsupported_operation(wire, method, path):
    answer = wire.call(method, path).expect(405)
    # OpenBao leaves the list empty for the few paths that it serves outside its router
    assert "unsupported operation" in answer.error or (IS_BAO and answer.errors == [])


def test_unknown_method(wire):
    wire.call("BREW", "sys/mounts").expect(405)


def test_outside_of_the_api(node):
    connection = node.wire().connection()
    for path in ("/", "/v2/sys/mounts", "/v1"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 404, path


# --- who is asking -----------------------------------------------------------------------------


def test_token_headers(node, wire):
    nobody, token = node.wire(token=""), node.root_token
    nobody.get("sys/mounts", headers={"Authorization": f"Bearer {token}"}).expect(200)
    nobody.get("sys/mounts", headers={"x-vault-token": token}).expect(200)
    for headers in (
        {},
        {"Authorization": f"Basic {token}"},
        {"Authorization": token},
        {"X-Vault-Token": token + "x"},
        {"X-Vault-Token": ""},
        {"X-Vault-Token": "ü\udcff".encode("utf-8", "surrogateescape").decode("latin-1")},
    ):
        answer = nobody.get("sys/mounts", headers=headers)
        assert answer.status == 403 and answer.errors == ["permission denied"], headers


@pytest.mark.parametrize("token", ["", "hvs.unknown", "without rights"])
def test_strangers_learn_nothing_about_mounts(wire, kv1, kv2, token_with, token):
    """The same answer for what is mounted, what is not, and what the engine could not do."""
    if token == "without rights":
        token = token_with('path "a" { capabilities = ["read"] }')
    answers = {
        (answer.status, answer.error.strip())
        for answer in (
            wire.get(f"{kv1}/nope", token=token),
            wire.get("nowhere/nope", token=token),
            wire.patch(f"{kv1}/nope", {}, token=token),
            wire.call("SCAN", f"{kv2}/config", token=token),
            wire.delete("sys/rotate", token=token),
            wire.get(f"{kv2}/no/such/path", token=token),
            wire.put(f"{kv2}/data/x", {}, token=token),
            wire.get("auth/nowhere/at/all", token=token),
        )
    }
    assert len(answers) == 1, answers
    ((status, error),) = answers
    assert status == 403 and "permission denied" in error


@only_secretum("OpenBao gives help to any token, and so tells it what is mounted")
def test_help_tells_strangers_nothing_about_mounts(wire, kv1, token_with):
    token = token_with('path "a" { capabilities = ["read"] }')
    for path in (f"{kv1}/nope", "nowhere/nope", "sys/mounts"):
        wire.get(f"{path}?help=1", token=token).expect(403)


def test_head_is_for_the_health_alone(wire, kv1):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    wire.call("HEAD", "sys/health").expect(200)
    for path in (f"{kv1}/a", "sys/mounts", "sys/seal-status", "auth/token/lookup-self"):
        wire.call("HEAD", path).expect(405)


def test_what_is_to_be_wrapped_never_comes_back_in_the_clear(wire):
    for headers in ({}, {"X-Vault-Wrap-TTL": "0"}):
        refused = wire.post("sys/wrapping/wrap", {"a": "1"}, headers=headers)
        expected = ["endpoint requires response wrapping to be used"]
        assert (refused.status, refused.errors) == (400, expected)
    wrapped = wire.post("sys/wrapping/wrap", {"a": "1"}, headers={"X-Vault-Wrap-TTL": "60"})
    assert wrapped.expect(200).json["wrap_info"]["token"] and not wrapped.json["data"]


def test_a_place_of_version_1_is_told_apart(wire, kv2):
    for path in (f"{kv2}/", f"{kv2}/a"):
        answer = wire.get(path).expect(404)
        assert "versioned K/V" in answer.warnings[0]


def test_an_empty_version_is_the_newest(wire, kv2):
    for text in ("1", "2"):
        wire.put(f"{kv2}/data/a", {"data": {"x": text}}).expect(200)
    assert wire.get(f"{kv2}/data/a?version=").expect(200).data["data"] == {"x": "2"}


def test_help_on_what_answers_without_a_token(fresh):
    node = fresh().start()
    paths = ("sys/init", "sys/seal-status", "sys/unseal", "sys/health", "sys/leader")
    wire = node.wire(token="")

    def check():
        for path in paths:
            answer = wire.get(f"{path}?help=1").expect(200)
            assert answer.json["help"].strip() and "openapi" in answer.json, path

    check()
    node.initialize()
    check()
    node.unseal()
    check()
    for path in ("sys/mounts", "sys/seal"):
        wire.get(f"{path}?help=1").expect(403)


def test_rights_that_reach_no_route(wire, token_with):
    token = token_with('path "nowhere/*" { capabilities = ["read"] }')
    wire.get("nowhere/a", token=token).expect(404)
    wire.put("nowhere/a", {}, token=token).expect(403)


def test_sealed_server_knows_nobody(fresh):
    node = fresh().start().initialize()
    for path in ("sys/mounts", "nowhere", "sys/policies/acl/x?help=1", "cubbyhole/a"):
        for token in ("", node.root_token):
            answer = node.wire(token=token).get(path)
            assert answer.expect(503).json == {"errors": ["Vault is sealed"]}
    for path in ("sys/init", "sys/seal-status"):
        node.wire().get(path).expect(200)


# --- verbs -------------------------------------------------------------------------------------


def test_lists_in_all_ways(wire, kv1):
    wire.put(f"{kv1}/d/a", {"x": "1"}).expect(204)
    for answer in (
        wire.list(f"{kv1}/d"),
        wire.list(f"{kv1}/d/"),
        wire.get(f"{kv1}/d?list=true"),
        wire.get(f"{kv1}/d/?list=1"),
    ):
        assert answer.expect(200).data == {"keys": ["a"]}
    wire.get(f"{kv1}/d?list=false").expect(404)
    wire.get(f"{kv1}/d?list=perhaps").expect(400)


def test_scans_in_all_ways(wire, kv1, kv2):
    for path in ("a", "b/c", "b/d/e"):
        wire.put(f"{kv1}/{path}", {"x": "1"}).expect(204)
        wire.put(f"{kv2}/data/{path}", {"data": {}}).expect(200)
    for path in (kv1, f"{kv2}/metadata"):
        for answer in (wire.call("SCAN", path), wire.get(f"{path}?scan=true")):
            assert answer.expect(200).data["keys"] == ["a", "b/c", "b/d/e"]


def test_post_is_put(wire, kv1):
    for method in ("POST", "PUT"):
        wire.call(method, f"{kv1}/a", {"by": method}).expect(204)
        assert wire.get(f"{kv1}/a").data == {"by": method}


def test_queries_do_not_change_bodies(wire, kv2):
    """A field of the body can never name another path than the one that was authorized."""
    wire.put(f"{kv2}/data/mine", {"data": {"x": "1"}, "path": "other"}).expect(200)
    wire.get(f"{kv2}/data/mine").expect(200)
    wire.get(f"{kv2}/data/other").expect(404)


def test_patch_type(wire, kv2):
    wire.put(f"{kv2}/data/a", {"data": {"x": "1"}}).expect(200)
    body = {"data": {"x": "2"}}
    wrong = wire.call("PATCH", f"{kv2}/data/a", body, headers={"Content-Type": "text/plain"})
    assert wrong.status == 415
    wire.call("PATCH", f"{kv2}/data/a", body, headers=MERGE_PATCH).expect(200)


# --- inputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, seconds",
    [(30, 30), ("30", 30), ("30s", 30), ("1h", 3600), ("1h30m", 5400), ("1d", 86400)],
)
def test_durations(wire, kv1, given, seconds):
    wire.put(f"sys/mounts/{kv1}/tune", {"default_lease_ttl": given}).expect(204)
    assert wire.get(f"sys/mounts/{kv1}/tune").data["default_lease_ttl"] == seconds


@pytest.mark.parametrize("given", ["abc", "1y", "1 h", [1], {}, True])
def test_bad_durations(wire, kv2, given):
    answer = wire.put(f"{kv2}/config", {"delete_version_after": given})
    assert answer.status == 400 and answer.error


@pytest.mark.parametrize("given", [["1", "2"], [1, 2], "1,2"])
def test_lists_in_bodies(wire, kv2, given):
    for _ in range(2):
        wire.put(f"{kv2}/data/a", {"data": {}}).expect(200)
    wire.put(f"{kv2}/destroy/a", {"versions": given}).expect(204)
    versions = wire.get(f"{kv2}/metadata/a").data["versions"]
    assert [version["destroyed"] for version in versions.values()] == [True, True]


@pytest.mark.parametrize("given", [{"a": "1", "b": "2"}, ["a=1", "b=2"], "a=1"])
def test_pairs_in_bodies(wire, given):
    auth = wire.post("auth/token/create", {"meta": given, "ttl": 60}).expect(200).json["auth"]
    assert auth["metadata"] in ({"a": "1", "b": "2"}, {"a": "1"})


@pytest.mark.parametrize("given, kept", [(True, True), ("true", True), ("0", False), (1, True)])
def test_flags_in_bodies(wire, kv2, given, kept):
    wire.put(f"{kv2}/config", {"cas_required": given}).expect(204)
    assert wire.get(f"{kv2}/config").data["cas_required"] is kept


def test_content_type_does_not_matter_to_json(wire, kv1):
    for content_type in ("application/x-www-form-urlencoded", "text/plain", None):
        headers = {"Content-Type": content_type} if content_type else {}
        wire.call("PUT", f"{kv1}/a", {"type": content_type}, headers=headers).expect(204)
        assert wire.get(f"{kv1}/a").data == {"type": content_type}


def test_one_connection_serves_many_requests(node):
    connection = node.wire().connection()
    for n in range(5):
        headers = {"X-Vault-Token": node.root_token}
        connection.request("PUT", f"/v1/cubbyhole/{n}", json.dumps({"n": n}), headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 204
    assert isinstance(connection, http.client.HTTPSConnection) and connection.sock


def test_cubbyholes_belong_to_their_tokens(wire, token_with):
    token = token_with('path "cubbyhole/*" { capabilities = ["create", "read", "list"] }')
    wire.put("cubbyhole/mine", {"x": "root"}).expect(204)
    wire.get("cubbyhole/mine", token=token).expect(404)
    wire.put("cubbyhole/mine", {"x": "theirs"}, token=token).expect(204)
    assert wire.get("cubbyhole/mine").data == {"x": "root"}
    assert wire.list("cubbyhole", token=token).data == {"keys": ["mine"]}


@only_secretum("OpenBao redirects with 307 here, which would lose the body of many a client")
@pytest.mark.parametrize("path", ["cubbyhole//a", "cubbyhole/../sys/mounts", "./cubbyhole/a"])
def test_crooked_paths_are_refused_not_redirected(wire, path):
    assert wire.get(path).expect(400).error
