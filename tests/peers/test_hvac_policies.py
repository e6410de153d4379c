"""Policies through hvac: storage of documents, and what they permit, with Vault's precedence."""

import base64
import json

import pytest
from node import only_secretum
from hvac.exceptions import InvalidPath, InvalidRequest

HCL = """# a comment that stays
path "a/*" {
  capabilities = ["read", "list"] # so does this
}
"""
JSON = json.dumps({"path": {"a/*": {"capabilities": ["read"]}}})


# --- documents ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [HCL, JSON, 'path "a" { policy = "read" }'])
def test_documents_come_back_verbatim(client, name, text):
    client.sys.create_or_update_policy(name, text, pretty_print=False)
    read = client.sys.read_policy(name)
    assert read["data"]["rules"] == text and read["rules"] == text
    assert client.sys.read_acl_policy(name)["data"]["policy"] == text
    assert read["data"]["name"] == name
    for listed in (client.sys.list_policies()["data"], client.sys.list_acl_policies()["data"]):
        assert {name, "default", "root"} <= set(listed["keys"])
    assert name in client.sys.list_policies()["policies"], "old clients read the top level"
    client.sys.delete_policy(name)
    assert name not in client.sys.list_policies()["data"]["keys"]
    with pytest.raises(InvalidPath):
        client.sys.read_policy(name)
    client.sys.delete_acl_policy(name)


def test_acl_calls(client, name):
    client.sys.create_or_update_acl_policy(name, {"path": {"a": {"capabilities": ["read"]}}})
    assert json.loads(client.sys.read_acl_policy(name)["data"]["policy"])["path"]["a"]
    client.sys.create_or_update_acl_policy(name, HCL)
    assert client.sys.read_acl_policy(name)["data"]["policy"] == HCL
    client.sys.delete_acl_policy(name)


def test_base64_is_read_as_what_it_holds(wire, name):
    wire.put(f"sys/policies/acl/{name}", {"policy": base64.b64encode(HCL.encode()).decode()})
    assert wire.get(f"sys/policies/acl/{name}").data["policy"] == HCL


def test_names_are_lower_case(wire, name):
    wire.put(f"sys/policies/acl/{name.upper()}X", {"policy": HCL}).expect(200, 204)
    assert wire.get(f"sys/policies/acl/{name}x").expect(200).data["name"] == f"{name}x"
    assert wire.get(f"sys/policies/acl/{name.upper()}X").expect(200).data["name"] == f"{name}x"


def test_root_and_default(client, wire):
    assert wire.get("sys/policies/acl/root").expect(200).data["policy"] == ""
    default = wire.get("sys/policies/acl/default").expect(200).data["policy"]
    for path in ("auth/token/lookup-self", "sys/capabilities-self", "cubbyhole/*"):
        assert f'path "{path}"' in default
    refused = wire.put("sys/policies/acl/root", {"policy": HCL})
    assert (refused.status, refused.error) == (400, 'cannot update "root" policy')
    assert wire.delete("sys/policies/acl/root").error == 'cannot delete "root" policy'
    assert wire.delete("sys/policies/acl/default").error == "cannot delete default policy"
    wire.put("sys/policies/acl/default", {"policy": default}).expect(200, 204)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "'policy' parameter not supplied or empty"),
        ('path "a" {', "failed to parse policy"),
        ('path "a" { capabilities = ["fly"] }', 'invalid capability "fly"'),
        ('path "a" { policy = "fly" }', "invalid"),
        ('path "a" { capabilitys = ["read"] }', "capabilitys"),
        ('way "a" { capabilities = ["read"] }', "way"),
        ('path "a+" { capabilities = ["read"] }\npath "b/+*" { capabilities = ["read"] }', ""),
        ('path "a" { capabilities = "read" }', ""),
        ('path "a" { min_wrapping_ttl = "2h" max_wrapping_ttl = "1h" }', ""),
        ('{"path": {"a": {"capabilities": ["fly"]}}}', 'invalid capability "fly"'),
    ],
)
def test_faulty_documents_are_refused(wire, name, text, said):
    answer = wire.put(f"sys/policies/acl/{name}", {"policy": text})
    assert answer.status == 400 and said in answer.error
    wire.get(f"sys/policies/acl/{name}").expect(404)


def test_hvac_raises_on_a_faulty_document(client, name):
    with pytest.raises(InvalidRequest, match="failed to parse policy"):
        client.sys.create_or_update_policy(name, "path {")


# --- what documents permit ---------------------------------------------------------------------


def rules(*pairs):
    """`rules("a", "read list", …)`: path and capabilities in turn, as one document."""
    lines = []
    for path, words in zip(pairs[::2], pairs[1::2]):
        capabilities = json.dumps(words.split())
        lines.append(f'path "{path}" {{ capabilities = {capabilities} }}')
    return "\n".join(lines)


# document, path asked about, capabilities
DECISIONS = [
    # exact beats every pattern
    (rules("s/a/b", "read", "s/a/*", "update", "s/+/b", "list"), "s/a/b", "read"),
    # the longer literal start beats the shorter
    (rules("s/*", "read", "s/a/*", "update"), "s/a/x", "update"),
    (rules("s/a*", "read", "s/ab*", "update"), "s/abc", "update"),
    # the first wildcard later in the path wins
    (rules("s/+/b/c", "read", "s/a/+/c", "update"), "s/a/b/c", "update"),
    (rules("s/+/b", "read", "s/a/*", "update"), "s/a/b", "update"),
    # at the same place: a path without the glob at its end wins
    (rules("s/+/b", "read", "s/*", "update"), "s/a/b", "read"),
    (rules("s/+/*", "read", "s/+/b", "update"), "s/a/b", "update"),
    # fewer plus signs win, then the longer path
    (rules("s/+/+/c", "read", "s/+/b/c", "update"), "s/a/b/c", "update"),
    (rules("s/+/b*", "read", "s/+/bc*", "update"), "s/a/bcd", "update"),
    # a plus is one segment, never none, never two
    (rules("s/+/b", "read"), "s/a/b", "read"),
    (rules("s/+/b", "read"), "s/b", "deny"),
    (rules("s/+/b", "read"), "s/a/a/b", "deny"),
    (rules("s/+", "read"), "s/a", "read"),
    (rules("s/+", "read"), "s/a/b", "deny"),
    # a glob may match nothing, and stars elsewhere mean themselves
    (rules("s/*", "read"), "s/", "read"),
    (rules("s/a*", "read"), "s/a", "read"),
    (rules("s/*/b", "read"), "s/a/b", "deny"),
    (rules("*", "read"), "anything/at/all", "read"),
    (rules("s/a", "read"), "s/ab", "deny"),
    # deny beats all that the same path has; nothing is denied
    (rules("s/a", "read deny update"), "s/a", "deny"),
    (rules("s/*", "read", "s/a", "deny"), "s/a", "deny"),
    (rules("s/*", "deny", "s/a", "read"), "s/a", "read"),
    ("", "s/a", "deny"),
    (
        rules("s/a", "create read update patch delete list scan sudo"),
        "s/a",
        "create delete list patch read scan sudo update",
    ),
    # the same path twice adds up
    (rules("s/a", "read", "s/a", "list"), "s/a", "list read"),
    # the old words
    ('path "s/a" { policy = "read" }', "s/a", "list read"),
    ('path "s/a" { policy = "write" }', "s/a", "create delete list read update"),
    ('path "s/a" { policy = "deny" }', "s/a", "deny"),
    # a leading slash is left away, a trailing one counts
    (rules("/s/a", "read"), "s/a", "read"),
    (rules("s/a/", "list"), "s/a/", "list"),
]


@pytest.mark.parametrize("document, path, expected", DECISIONS)
def test_precedence(wire, name, document, path, expected):
    document = document or rules("elsewhere", "read")
    wire.put(f"sys/policies/acl/{name}", {"policy": document}).expect(200, 204)
    body = {"policies": [name], "no_default_policy": True, "ttl": "1m"}
    token = wire.post("auth/token/create", body).json["auth"]["client_token"]
    answer = wire.post("sys/capabilities", {"token": token, "path": path}).expect(200)
    assert answer.data["capabilities"] == expected.split()


def test_policies_add_up_and_deny_beats_them(wire, name):
    for suffix, words in (("r", "read"), ("u", "update"), ("d", "deny")):
        document = rules("s/a", words)
        wire.put(f"sys/policies/acl/{name}{suffix}", {"policy": document}).expect(200, 204)

    def capabilities(*suffixes):
        body = {"policies": [name + suffix for suffix in suffixes], "ttl": "1m"}
        token = wire.post("auth/token/create", body).json["auth"]["client_token"]
        body = {"token": token, "path": "s/a"}
        return wire.post("sys/capabilities", body).data["capabilities"]

    assert capabilities("r", "u") == ["read", "update"]
    assert capabilities("r", "u", "d") == ["deny"]


# capability, then method, path below the mount, body; each is permitted by that word only
VERBS = [
    ("read", "GET", "a", None),
    ("create", "PUT", "new", {"x": "1"}),
    ("update", "PUT", "a", {"x": "1"}),
    ("delete", "DELETE", "a", None),
    ("list", "LIST", "", None),
    ("scan", "SCAN", "", None),
]


@pytest.mark.parametrize("word, method, path, body", VERBS, ids=[verb[0] for verb in VERBS])
def test_each_verb_needs_its_word(wire, kv1, token_with, word, method, path, body):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    others = " ".join({verb[0] for verb in VERBS} - {word} | {"sudo", "patch"})
    refused = wire.call(method, f"{kv1}/{path}", body, token=token_with(rules(f"{kv1}/*", others)))
    assert refused.status == 403 and "permission denied" in refused.error
    allowed = token_with(rules(f"{kv1}/*", word))
    wire.call(method, f"{kv1}/{path}", body, token=allowed).expect(200, 204)


def test_patch_needs_its_word(wire, kv2, token_with):
    wire.put(f"{kv2}/data/a", {"data": {"x": "1"}}).expect(200)
    patch = {"data": {"x": "2"}}
    refused = token_with(rules(f"{kv2}/*", "create read update"))
    wire.patch(f"{kv2}/data/a", patch, token=refused).expect(403)
    wire.patch(f"{kv2}/data/a", patch, token=token_with(rules(f"{kv2}/*", "patch"))).expect(200)


def test_sudo_routes_need_sudo_too(wire, token_with):
    wire.get("sys/audit", token=token_with(rules("sys/audit", "read"))).expect(403)
    wire.get("sys/audit", token=token_with(rules("sys/audit", "sudo"))).expect(403)
    wire.get("sys/audit", token=token_with(rules("sys/audit", "read sudo"))).expect(200)
    wire.put("sys/rotate", token=token_with(rules("sys/rotate", "update"))).expect(403)
    accessors = "auth/token/accessors/"
    wire.list(accessors, token=token_with(rules(accessors, "list"))).expect(403)
    wire.list(accessors, token=token_with(rules(accessors, "list sudo"))).expect(200)


def parameters(kind, *pairs):
    body = "".join(f"{json.dumps(key)} = {json.dumps(values)}\n" for key, values in pairs)
    return f"{kind} = {{\n{body}}}\n"


ALLOW_X = parameters("allowed_parameters", ("x", []))
# restriction, fields written, permitted
PARAMETERS = [
    (ALLOW_X, {"x": "1"}, True),
    (ALLOW_X, {"y": "1"}, False),
    (ALLOW_X, {"x": "1", "y": "1"}, False),
    (parameters("allowed_parameters", ("x", ["1", "2"])), {"x": "2"}, True),
    (parameters("allowed_parameters", ("x", ["1", "2"])), {"x": "3"}, False),
    (parameters("allowed_parameters", ("x", ["1"]), ("*", [])), {"x": "1", "y": "9"}, True),
    (parameters("allowed_parameters", ("x", ["1"]), ("*", [])), {"x": "2", "y": "9"}, False),
    (parameters("allowed_parameters", ("x", ["ab*"])), {"x": "abc"}, True),
    (parameters("allowed_parameters", ("x", ["ab*"])), {"x": "bcd"}, False),
    (parameters("denied_parameters", ("x", [])), {"x": "1"}, False),
    (parameters("denied_parameters", ("x", [])), {"y": "1"}, True),
    (parameters("denied_parameters", ("x", ["1"])), {"x": "1"}, False),
    (parameters("denied_parameters", ("x", ["1"])), {"x": "2"}, True),
    (parameters("denied_parameters", ("*", [])), {"y": "1"}, False),
    (ALLOW_X + parameters("denied_parameters", ("x", [])), {"x": "1"}, False),
    ('required_parameters = ["x"]', {"x": "1", "y": "2"}, True),
    ('required_parameters = ["x", "z"]', {"x": "1"}, False),
]


@pytest.mark.parametrize("restriction, fields, permitted", PARAMETERS)
def test_parameters(wire, kv1, token_with, restriction, fields, permitted):
    document = f'path "{kv1}/*" {{ capabilities = ["create"]\n{restriction} }}'
    answer = wire.put(f"{kv1}/a", fields, token=token_with(document))
    assert answer.status == (204 if permitted else 403), answer.body


@pytest.mark.parametrize(
    "bounds, wrap, permitted",
    [
        ('min_wrapping_ttl = "1m"', None, False),
        ('min_wrapping_ttl = "1m"', "30s", False),
        ('min_wrapping_ttl = "1m"', "90", True),
        ('min_wrapping_ttl = "1m"', "0", False),
        ('max_wrapping_ttl = "2m"', None, False),
        ('max_wrapping_ttl = "2m"', "3m", False),
        ('max_wrapping_ttl = "2m"', "90s", True),
        pytest.param(
            'max_wrapping_ttl = "2m"',
            "0",
            False,
            marks=only_secretum("OpenBao answers without wrapping"),
        ),
        ('min_wrapping_ttl = 60 max_wrapping_ttl = "2m"', "90s", True),
    ],
)
def test_wrapping_bounds(wire, kv1, token_with, bounds, wrap, permitted):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    token = token_with(f'path "{kv1}/a" {{ capabilities = ["read"] {bounds} }}')
    headers = {"X-Vault-Wrap-TTL": wrap} if wrap else {}
    answer = wire.get(f"{kv1}/a", token=token, headers=headers)
    assert answer.status == (200 if permitted else 403), answer.body
    if permitted:
        assert answer.json["wrap_info"]["ttl"] == 90 and answer.data is None


def test_a_changed_policy_counts_at_once(wire, kv1, name):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    wire.put(f"sys/policies/acl/{name}", {"policy": rules(f"{kv1}/a", "read")}).expect(200, 204)
    token = wire.post("auth/token/create", {"policies": [name]}).json["auth"]["client_token"]
    wire.get(f"{kv1}/a", token=token).expect(200)
    wire.put(f"sys/policies/acl/{name}", {"policy": rules(f"{kv1}/a", "list")}).expect(200, 204)
    wire.get(f"{kv1}/a", token=token).expect(403)
    wire.put(f"sys/policies/acl/{name}", {"policy": rules(f"{kv1}/a", "read")}).expect(200, 204)
    wire.get(f"{kv1}/a", token=token).expect(200)
    wire.delete(f"sys/policies/acl/{name}").expect(204)
    wire.get(f"{kv1}/a", token=token).expect(403)
