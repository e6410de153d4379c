"""Cedar policies beside HCL ones: over HTTP with hvac's tokens, in the audit log, and in our command line."""

import json

import pytest
from hvac.exceptions import Forbidden
from node import only_secretum

pytestmark = only_secretum("OpenBao has no Cedar policies")

READ = 'path "{}/*" {{ capabilities = ["read", "list"] }}'


@pytest.fixture
def cedar(wire, name):
    """Puts Cedar documents in force; they go when the test ends."""
    written = []

    def write(text, suffix=""):
        document = f"cedar-{name}{suffix}"
        written.append(document)
        return wire.put(f"sys/policies/cedar/{document}", {"policy": text})

    yield write
    for document in written:
        wire.delete(f"sys/policies/cedar/{document}").expect(204)


@pytest.fixture
def holder(node, client, name):
    """hvac with a token that carries one policy of this test's name, and the token."""

    def make(hcl):
        client.sys.create_or_update_policy(name, hcl)
        created = client.auth.token.create(policies=[name], ttl="5m", no_default_policy=True)
        return node.hvac(created["auth"]["client_token"])

    return make


def records_of(node, path):
    lines = node.audit_log.read_text().splitlines()
    records = [json.loads(line) for line in lines]
    of_requests = [record for record in records if record["type"] != "head"]
    found = [record for record in of_requests if record["request"]["path"] == path]
    assert found
    return found


# --- documents ---------------------------------------------------------------------------------


def test_documents_come_back_verbatim(wire, cedar, name):
    text = f'// who may\npermit (principal in Role::"{name}",action,resource)\n;'
    cedar(text).expect(204)
    read = wire.get(f"sys/policies/cedar/cedar-{name}").expect(200)
    assert read.data == {"name": f"cedar-{name}", "policy": text}
    assert read.json["policy"] == text
    assert f"cedar-{name}" in wire.list("sys/policies/cedar").expect(200).data["keys"]
    wire.get(f"sys/policies/acl/cedar-{name}").expect(404)
    wire.delete(f"sys/policies/cedar/cedar-{name}").expect(204)
    wire.get(f"sys/policies/cedar/cedar-{name}").expect(404)


@pytest.mark.parametrize(
    "text, said",
    [
        ("permit (principal, action", "line 1, column 26: unexpected end of input; expected"),
        ('permit (principal,\n  action == Action::"fly", resource);', "line 2, column 13: "),
        (
            'permit (principal, action, resource)\nwhen { context.tll < duration("1h") };',
            "line 2, column 8: for policy `",
        ),
        ("permit (principal == ?principal, action, resource);", "templates are not served"),
        ("// nothing", "there is no statement; write"),
    ],
)
def test_faulty_documents_are_refused_with_line_and_column(wire, cedar, name, text, said):
    answer = cedar(text)
    assert answer.status == 400 and said in answer.error
    wire.get(f"sys/policies/cedar/cedar-{name}").expect(404)


def test_what_never_matches_is_taken_with_a_warning(cedar, name):
    text = f'permit (principal in Role::"{name}", action == Action::"read", resource) when {{ resource.path == "a" && false }};'
    answer = cedar(text).expect(200)
    assert "line 1, column 1" in answer.warnings[0]


# --- decisions ---------------------------------------------------------------------------------


def test_a_permit_gives_what_hcl_does_not(client, wire, cedar, holder, kv2, name):
    kv = client.secrets.kv.v2
    for path in ("dev/db", "prod/db"):
        kv.create_or_update_secret(path, {"x": "1"}, mount_point=kv2)
    app = holder('path "elsewhere" { capabilities = ["read"] }')
    mine = app.secrets.kv.v2
    with pytest.raises(Forbidden):
        mine.read_secret_version("dev/db", mount_point=kv2)
    head = f'principal in Role::"{name}", action in [Action::"read", Action::"list"]'
    cedar(f'permit ({head}, resource in Secret::"{kv2}/dev");').expect(204)
    assert mine.read_secret_version("dev/db", mount_point=kv2)["data"]["data"] == {"x": "1"}
    assert mine.list_secrets("dev", mount_point=kv2)["data"]["keys"] == ["db"]
    for refused in (
        lambda: mine.read_secret_version("prod/db", mount_point=kv2),
        lambda: mine.create_or_update_secret("dev/db", {}, mount_point=kv2),
        lambda: mine.list_secrets("", mount_point=kv2),
    ):
        with pytest.raises(Forbidden):
            refused()
    about = wire.get(f"sys/internal/ui/mounts/{kv2}", token=app.token).expect(200)
    assert about.data["path"] == f"{kv2}/", "the command line asks this first"


def test_a_forbid_beats_hcl_and_not_root_and_nobody_learns_why(
    node, client, wire, cedar, holder, kv1, name
):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    app = holder(READ.format(kv1))
    assert app.read(f"{kv1}/a")["data"] == {"x": "1"}
    cedar(f'@id("{name}-closed") forbid (principal, action, resource in Secret::"{kv1}");')
    with pytest.raises(Forbidden) as refused:
        app.read(f"{kv1}/a")
    answer = wire.get(f"{kv1}/a", token=app.token)
    assert answer.json == {"errors": ["permission denied"]} and refused.value.errors
    assert client.read(f"{kv1}/a")["data"] == {"x": "1"}
    last = records_of(node, f"{kv1}/a")
    denied = [record for record in last if record.get("cedar_policy")]
    assert len(denied) == 4, "two requests, two records each"
    for record in denied:
        assert record["cedar_policy"] == {"decision": "deny", "policy_id": f"{name}-closed"}
        assert "policy" not in record
    assert last[-1]["policy"] == {"decision": "allow", "policy_id": "root"}


def test_the_record_of_a_permit_names_the_statement(node, wire, cedar, holder, kv1, name):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    app = holder('path "elsewhere" { capabilities = ["read"] }')
    text = f'forbid (principal in Role::"{name}", action, resource == Secret::"{kv1}/b");'
    text += f'permit (principal in Role::"{name}", action, resource in Secret::"{kv1}");'
    cedar(text).expect(204)
    app.read(f"{kv1}/a")
    for record in records_of(node, f"{kv1}/a")[-2:]:
        said = {"decision": "allow", "policy_id": f"cedar-{name}#2"}
        assert record["cedar_policy"] == said and "policy" not in record


def test_circumstances_count(wire, cedar, holder, kv1, name):
    app = holder('path "elsewhere" { capabilities = ["read"] }')
    head = f'principal in Role::"{name}", action in Action::"edit", resource in Secret::"{kv1}"'
    parameters = 'context.parameters.hasTag("x") && context.parameters.getTag("x") == "1"'
    cedar(f"permit ({head}) when {{ {parameters} && context.ip.isLoopback() }};").expect(204)
    wire.put(f"{kv1}/a", {"x": "1"}, token=app.token).expect(204)
    wire.put(f"{kv1}/a", {"x": 1}, token=app.token).expect(204)
    wire.put(f"{kv1}/a", {"x": "2"}, token=app.token).expect(403)
    wire.put(f"{kv1}/a", {"y": "1"}, token=app.token).expect(403)


def test_sudo_from_either_language(wire, cedar, holder, name):
    app = holder('path "sys/audit" { capabilities = ["read"] }')
    wire.get("sys/audit", token=app.token).expect(403)
    head = f'principal in Role::"{name}", action == Action::"sudo"'
    cedar(f'permit ({head}, resource == Secret::"sys/audit");').expect(204)
    wire.get("sys/audit", token=app.token).expect(200)


def test_capabilities_are_those_of_both(wire, cedar, holder, kv1, name):
    app = holder(READ.format(kv1))
    head = f'principal in Role::"{name}"'
    cedar(
        f'permit ({head}, action == Action::"update", resource in Secret::"{kv1}");'
        f'forbid ({head}, action == Action::"list", resource);'
    ).expect(204)
    body = {"token": app.token, "path": f"{kv1}/a"}
    told = wire.post("sys/capabilities", body).expect(200).data
    assert told["capabilities"] == ["read", "update"]


def test_policies_outlive_a_restart(fresh):
    node = fresh().start().initialize().unseal()
    wire = node.wire()
    wire.put("sys/policies/cedar/all", {"policy": "permit (principal, action, resource);"}).expect(204)
    token = wire.post("auth/token/create", {"policies": ["none"]}).json["auth"]["client_token"]
    wire.get("sys/mounts", token=token).expect(200)
    node.terminate()
    node.start().unseal()
    node.wire().get("sys/mounts", token=token).expect(200)
    node.wire().delete("sys/policies/cedar/all").expect(204)
    node.wire().get("sys/mounts", token=token).expect(403)


# --- the command line --------------------------------------------------------------------------


def test_commands(ours, name):
    file = ours.home / "app.cedar"
    file.write_text(f'permit(principal in Role::"{name}",action,resource in Secret::"x");')
    assert ours.ok("policy", "fmt", file).out == f"Success! Formatted policy: {file}\n"
    formatted = file.read_text()
    assert formatted.startswith("permit (\n  principal in")
    ours.ok("policy", "fmt", file)
    assert file.read_text() == formatted
    ours.ok("policy", "write", "-cedar", name, file)
    assert ours.ok("policy", "read", "-cedar", name).out == formatted.strip() + "\n"
    assert name in ours.ok("policy", "list", "-cedar").out.splitlines()
    assert name not in ours.ok("policy", "list").out.splitlines()
    ours("policy", "read", name).expect(2)
    ours.ok("policy", "delete", "-cedar", name)
    ours("policy", "read", "-cedar", name).expect(2)
    file.write_text("permit (principal")
    refused = ours("policy", "write", "-cedar", name, file).expect(2)
    assert "line 1, column 18" in refused.err
    assert "line 1, column 18" in ours("policy", "fmt", file).expect(1).err


def test_check_tells_what_decides(ours, wire, cedar, holder, kv1, name):
    app = holder(READ.format(kv1))
    cedar(
        f'@id("{name}-no") forbid (principal in Role::"{name}", action, resource in Secret::"{kv1}/no");'
        f'permit (principal in Role::"{name}", action == Action::"update", resource)'
        ' when { context.parameters.hasTag("why") };'
    ).expect(204)
    token = f"-token={app.token}"
    told = ours.ok("policy", "check", token, "read", f"{kv1}/a").out
    assert told.startswith(f"allowed: read {kv1}/a\n") and f"HCL       allow: {name}:{kv1}/*" in told
    told = ours("policy", "check", token, "read", f"{kv1}/no/a").expect(2).out
    assert told.startswith("refused: ") and f"Cedar     deny: {name}-no" in told
    ours("policy", "check", token, "update", f"{kv1}/a").expect(2)
    asked = ("policy", "check", token, "-parameter=why=x", "-format=json", "update", f"{kv1}/a")
    data = ours.ok(*asked).json["data"]
    assert data["cedar_policy"] == {"decision": "allow", "policy_id": f"cedar-{name}#2"}
    assert data["cedar_resource"] == f"{kv1}/a" and data["policy"] is None
    accessor = wire.post("auth/token/lookup", {"token": app.token}).data["accessor"]
    ours("policy", "check", f"-accessor={accessor}", "delete", f"{kv1}/a").expect(2)
    told = ours.ok("policy", "check", "read", "sys/audit").out
    assert "needs     sudo" in told and "allow: root" in told
    assert "permission denied" in ours.as_token(app.token)("policy", "check", "read", "a").expect(2).err
    assert "one of create, read" in ours("policy", "check", "fly", "a").expect(1).err
    for wrong in (("read", "a/../b"), ("read", "a", "-ip=nowhere")):
        assert ours("policy", "check", *wrong).expect(2).err


def test_check_knows_what_a_request_brings(ours, cedar, holder, kv2, name):
    """The life of its wrapping, fields of any kind, pages, and the other paths that it touches."""
    app = holder(
        f'''path "{kv2}/data/*" {{ capabilities = ["create", "read"] }}
        path "{kv2}/metadata/*" {{ capabilities = ["create", "read"] }}
        path "{kv2}/copy/*" {{ capabilities = ["create"] }}
        path "{kv2}/undelete/*" {{ capabilities = ["update"] }}
        path "{kv2}/metadata/" {{ capabilities = ["list"] pagination_limit = 10 }}
        path "{kv2}/config" {{ capabilities = ["read"] min_wrapping_ttl = "10s" max_wrapping_ttl = "60s" }}
        path "sys/tools/random" {{ capabilities = ["update"] allowed_parameters = {{ bytes = [16] }} }}'''
    )
    cedar(f'forbid (principal in Role::"{name}", action, resource in Secret::"{kv2}/closed");').expect(204)

    def check(*words, code=0):
        return ours("policy", "check", f"-token={app.token}", *words).expect(code)

    check("read", f"{kv2}/config", code=2)
    check("-for-wrap-ttl=30s", "read", f"{kv2}/config")
    check("-for-wrap-ttl=5m", "read", f"{kv2}/config", code=2)
    check("-parameter=bytes:=16", "update", "sys/tools/random")
    check("-parameter=bytes=17", "update", "sys/tools/random", code=2)
    told = check("list", f"{kv2}/metadata").out
    assert "at most 10 names" in told
    copy = ("create", f"{kv2}/copy/b")
    told = check("-parameter=source=a", *copy).out
    assert f"touches, allowed: read {kv2}/data/a\n" in told and f"touches, allowed: create {kv2}/data/b\n" in told
    told = check("-parameter=source=closed/a", *copy, code=2).out
    assert told.startswith("refused: ") and f"touches, refused: read {kv2}/data/closed/a\n  Cedar     deny: cedar-{name}" in told
    assert "source" in check(*copy, code=2).err
    # Who asks for too much is told what is wrong, before anything is asked of the server.
    assert "update" in check("updat", f"{kv2}/data/a", code=1).err
    assert "no JSON" in check("-parameter=bytes:=sixteen", "update", "sys/tools/random", code=1).err


def test_a_translation_means_the_same(ours, wire, holder, kv1, name, client):
    file = ours.home / f"{name}.hcl"
    file.write_text(
        f'path "{kv1}/*" {{ capabilities = ["read", "list", "create"] }}\n'
        f'path "{kv1}/no/*" {{ capabilities = ["deny"] }}\n'
        f'path "{kv1}/+/x" {{ capabilities = ["update", "list"] }}\n'
    )
    made = ours.ok("policy", "translate", file)
    assert "generated requests" in made.err
    translated = ours.home / "made.cedar"
    translated.write_text(made.out)
    app = holder(file.read_text())
    paths = ["a", "b/x", "no/a", "no/x", "b/x/y"]

    def told():
        body = {"token": app.token, "paths": [f"{kv1}/{path}" for path in paths]}
        found = wire.post("sys/capabilities", body).data
        return {path: found[f"{kv1}/{path}"] for path in paths}

    by_hcl = told()
    assert by_hcl["no/a"] == ["deny"] and by_hcl["b/x"] == ["list", "update"]
    client.sys.delete_policy(name)
    assert set(map(tuple, told().values())) == {("deny",)}
    ours.ok("policy", "write", "-cedar", name, translated)
    try:
        assert told() == by_hcl
    finally:
        ours.ok("policy", "delete", "-cedar", name)


def test_what_cannot_be_translated_is_named(ours):
    text = 'path "b*" { capabilities = ["read"] }\npath "b/{{identity.entity.id}}" { capabilities = ["read"] }'
    made = ours("policy", "translate", "-name=x", "-", stdin=text).expect(2)
    assert "//   line 2, column 6: the rule of `b/{{identity.entity.id}}`" in made.out
    assert 'resource.path like "b*"' in made.out and '!(resource.path like "b/*")' in made.out
    alone = ours("policy", "translate", "-name=x", "-", stdin=text.split("\n")[1]).expect(1)
    assert alone.out == "" and "the rule of `b/{{identity.entity.id}}`" in alone.err
    assert "-name" in ours("policy", "translate", "-", stdin=text).expect(1).err
