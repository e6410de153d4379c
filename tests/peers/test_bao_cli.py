"""The operations of the command line, by `bao` and by our own command against the same server."""

import json
import re

import pytest
from command import Cli
from node import until

HCL = 'path "a" { capabilities = ["read"] }'


# --- status and operator -----------------------------------------------------------------------


def test_status(cli):
    out = cli.ok("status").out
    for line in (
        r"Seal Type +shamir",
        r"Initialized +true",
        r"Sealed +false",
        r"Total Shares +5",
        r"Threshold +3",
    ):
        assert re.search(f"(?m)^{line}$", out), out
    status = cli.ok("status", "-format=json").json
    assert (status["t"], status["n"], status["sealed"]) == (3, 5, False)
    assert cli.ok("status", "-format=yaml").yaml["initialized"] is True
    assert cli.ok("status", "-field=sealed").out == "false"


def test_init_unseal_and_seal(cli, fresh):
    node = fresh().start()
    cli = Cli(cli.client, node, cli.home, token="")
    uninitialized = cli("status").expect(2)
    assert re.search(r"Initialized +false", uninitialized.out)
    assert cli("operator", "init", "-status").code == 2

    made = cli.ok("operator", "init", "-key-shares=3", "-key-threshold=2", "-format=json").json
    assert len(made["unseal_keys_b64"]) == len(made["unseal_keys_hex"]) == 3
    assert (made["unseal_shares"], made["unseal_threshold"]) == (3, 2)
    assert cli.ok("operator", "init", "-status").code == 0
    assert re.search(r"Sealed +true", cli("status").expect(2).out)
    cli("operator", "init").expect(2)

    first = cli.ok("operator", "unseal", made["unseal_keys_b64"][0])
    assert re.search(r"Unseal Progress +1/2", first.out)
    assert re.search(r"Unseal Nonce +[0-9a-f-]{36}", first.out)
    reset = cli.ok("operator", "unseal", "-reset")
    assert re.search(r"Sealed +true", reset.out) and "1/2" not in reset.out
    for key in made["unseal_keys_hex"][1:]:
        last = cli.ok("operator", "unseal", "-format=json", key)
    assert last.json["sealed"] is False
    until(lambda: node.wire().get("sys/health").status == 200, "an active node")
    cli.ok("status")

    refused = cli("operator", "seal").expect(2)
    assert "permission denied" in refused.err
    sealed = cli.as_token(made["root_token"]).ok("operator", "seal")
    assert "Success! Vault is sealed." in sealed.out
    cli("status").expect(2)


def test_init_prints_what_a_person_needs(cli, fresh):
    cli = Cli(cli.client, fresh().start(), cli.home, token="")
    out = cli.ok("operator", "init").out
    keys = re.findall(r"(?m)^Unseal Key \d: (\S+)$", out)
    assert len(keys) == 5
    assert re.search(r"(?m)^Initial Root Token: \S+$", out)


def test_key_status_and_rotate(cli):
    term = int(re.search(r"Key Term +(\d+)", cli.ok("operator", "key-status").out)[1])
    rotated = cli.ok("operator", "rotate").out
    assert "Success! Rotated key" in rotated
    assert re.search(rf"Key Term +{term + 1}\b", rotated)
    assert re.search(r"Install Time", rotated) and re.search(r"Encryption Count", rotated)


# --- tokens ------------------------------------------------------------------------------------


def test_token_create_lookup_renew_revoke(cli, name):
    cli.ok("policy", "write", name, "-", stdin=HCL)
    made = cli.ok(
        "token",
        "create",
        f"-policy={name}",
        "-ttl=1h",
        "-display-name=x",
        "-metadata=a=b",
        "-use-limit=9",
    )
    assert made.pairs["token_duration"] == "1h" and made.pairs["token_renewable"] == "true"
    assert made.pairs["token_policies"] == f'["default" "{name}"]'
    token = made.pairs["token"]
    found = cli.ok("token", "lookup", token).pairs
    assert (found["id"], found["display_name"], found["num_uses"]) == (token, "token-x", "9")
    assert found["meta"] == "map[a:b]"
    accessor = made.pairs["token_accessor"]
    assert cli.ok("token", "lookup", "-accessor", accessor).pairs["accessor"] == accessor
    renewed = cli.ok("token", "renew", "-increment=30m", "-format=json", token).json["auth"]
    assert renewed["lease_duration"] == 1800
    assert cli.ok("token", "capabilities", token, "a").out == "read\n"
    assert cli.ok("token", "capabilities", token, "b").out == "deny\n"
    revoked = cli.ok("token", "revoke", token)
    assert revoked.out == "Success! Revoked token (if it existed)\n"
    refused = cli("token", "lookup", token).expect(2)
    assert "* bad token" in refused.err and "Code: 403" in refused.err


def test_token_by_itself(cli):
    token = cli.ok("token", "create", "-policy=default", "-ttl=1h", "-field=token").out
    mine = cli.as_token(token)
    assert mine.ok("token", "lookup", "-format=json").json["data"]["id"] == token
    assert mine.ok("token", "renew", "-format=json").json["auth"]["client_token"] == token
    assert mine.ok("token", "capabilities", "auth/token/lookup-self").out == "read\n"
    mine.ok("token", "revoke", "-self")
    mine("token", "lookup").expect(2)


def test_token_revocation_modes(cli):
    make = ("token", "create", "-policy=default", "-ttl=1h", "-format=json")
    auth = cli.ok(*make).json["auth"]
    cli.ok("token", "revoke", "-accessor", auth["accessor"])
    cli("token", "lookup", auth["client_token"]).expect(2)
    orphan = cli.ok(*make, "-orphan").json["auth"]
    assert orphan["orphan"] is True
    cli.ok("token", "revoke", "-mode=orphan", orphan["client_token"])


def test_token_roles(cli, name):
    role = f"auth/token/roles/{name}"
    cli.ok("policy", "write", name, "-", stdin=HCL)
    fields = [f"allowed_policies={name}", "orphan=true", "token_explicit_max_ttl=2h", "path_suffix=x"]
    assert "Success!" in cli.ok("write", role, *fields, "renewable=false").out
    assert name in cli.ok("list", "auth/token/roles").out.split()
    told = cli.ok("read", "-format=json", role).json["data"]
    assert (told["allowed_policies"], told["orphan"], told["path_suffix"]) == ([name], True, "x")
    made = cli.ok("token", "create", f"-role={name}", "-format=json").json["auth"]
    assert made["orphan"] is True and made["renewable"] is False
    assert sorted(made["token_policies"]) == sorted(["default", name])
    found = cli.ok("token", "lookup", made["client_token"]).pairs
    assert found["path"] == f"auth/token/create/{name}/x"
    assert (found["role"], found["explicit_max_ttl"]) == (name, "2h")
    refused = cli("token", "create", f"-role={name}", "-policy=other").expect(2)
    assert "Code: 400" in refused.err
    batch = cli.ok("token", "create", "-type=batch", "-policy=default", "-ttl=1h", "-field=token").out
    assert batch.startswith(("hvb.", "b."))
    assert cli.as_token(batch).ok("token", "lookup").pairs["type"] == "batch"
    cli.ok("delete", role)
    assert "Code: 400" in cli("token", "create", f"-role={name}").expect(2).err


def test_wrapping(cli, kv1):
    cli.ok("write", f"{kv1}/a", "x=1")
    wrap = ("read", "-wrap-ttl=5m", "-format=json", f"{kv1}/a")
    info = cli.ok(*wrap).json["wrap_info"]
    assert (info["ttl"], info["creation_path"]) == (300, f"{kv1}/a")
    token = info["token"]
    looked_up = cli.ok("write", "-format=json", "sys/wrapping/lookup", f"token={token}").json
    assert looked_up["data"]["creation_ttl"] == 300
    again = cli.ok("write", "-format=json", "sys/wrapping/rewrap", f"token={token}").json
    assert cli.ok("unwrap", "-field=x", again["wrap_info"]["token"]).out == "1"
    for used in (token, again["wrap_info"]["token"]):
        assert "wrapping token is not valid" in cli("unwrap", used).expect(2).err
    # With the wrapping token as the only one that there is.
    token = cli.ok(*wrap).json["wrap_info"]["token"]
    assert cli.as_token(token).ok("unwrap", "-format=json").json["data"] == {"x": "1"}
    # What a token is wrapped in tells its accessor.
    made = cli.ok("token", "create", "-policy=default", "-wrap-ttl=60", "-format=json").json
    auth = cli.ok("unwrap", "-format=json", made["wrap_info"]["token"]).json["auth"]
    assert auth["accessor"] == made["wrap_info"]["wrapped_accessor"]


def test_login(cli):
    cli.token = ""
    out = cli.ok("login", cli.node.root_token).out
    assert "Success! You are now authenticated." in out
    helper = cli.home / ".vault-token"
    assert helper.read_text().strip() == cli.node.root_token
    assert helper.stat().st_mode & 0o777 == 0o600
    assert cli.ok("print", "token").out == cli.node.root_token + "\n"
    cli.ok("token", "lookup")
    assert cli.ok("login", "-", stdin=cli.node.root_token).code == 0
    only = cli.ok("login", "-token-only", "-no-store", cli.node.root_token)
    assert only.out.strip() == cli.node.root_token
    wrong = cli("login", "hvs.nope").expect(2)
    assert "Error authenticating" in wrong.err


# --- secrets engines, auth methods, audit devices ----------------------------------------------


def test_secrets(cli, name):
    enabled = cli.ok("secrets", "enable", f"-path={name}", "-description=d x", "-version=1", "kv")
    assert enabled.out == f"Success! Enabled the kv secrets engine at: {name}/\n"
    assert re.search(rf"(?m)^{name}/ +kv +kv_\w+ +d x$", cli.ok("secrets", "list").out)
    listed = cli.ok("secrets", "list", "-format=json").json[f"{name}/"]
    assert (listed["type"], listed["options"]) == ("kv", {"version": "1"})
    tuned = cli.ok("secrets", "tune", "-default-lease-ttl=1h", "-description=new", name)
    assert tuned.out == f"Success! Tuned the secrets engine at: {name}/\n"
    detailed = cli.ok("secrets", "list", "-detailed").out
    assert re.search(rf"(?m)^{name}/ +kv +kv_\w+ +(1h|3600) ", detailed), detailed
    assert "path is already in use" in cli("secrets", "enable", f"-path={name}", "kv").expect(2).err
    disabled = cli.ok("secrets", "disable", name)
    assert disabled.out == f"Success! Disabled the secrets engine (if it existed) at: {name}/\n"
    cli.ok("secrets", "disable", name)


def test_auth_list(cli):
    out = cli.ok("auth", "list").out
    assert re.search(r"(?m)^token/ +token +auth_token_\w+ +token based credentials", out)
    assert cli.ok("auth", "list", "-format=json").json["token/"]["type"] == "token"
    assert re.search(r"token/ +token +auth_token_", cli.ok("auth", "list", "-detailed").out)


def test_audit(cli, name):
    file = cli.node.audit_log.with_name(f"{name}.log")
    enabled = cli.ok("audit", "enable", f"-path={name}", "file", f"file_path={file}")
    assert enabled.out == f"Success! Enabled the file audit device at: {name}/\n"
    assert re.search(rf"(?m)^{name}/ +file +n/a", cli.ok("audit", "list").out)
    assert f"file_path={file}" in cli.ok("audit", "list", "-detailed").out
    disabled = cli.ok("audit", "disable", name)
    assert disabled.out == f"Success! Disabled audit device (if it was enabled) at: {name}/\n"


# --- policies ----------------------------------------------------------------------------------


def test_policies(cli, name):
    file = cli.home / "p.hcl"
    file.write_text(HCL)
    assert cli.ok("policy", "write", name, file).out == f"Success! Uploaded policy: {name}\n"
    assert cli.ok("policy", "read", name).out == HCL + "\n"
    assert {name, "default", "root"} <= set(cli.ok("policy", "list").out.split())
    assert name in cli.ok("policy", "list", "-format=json").json
    assert cli.ok("policy", "delete", name).out == f"Success! Deleted policy: {name}\n"
    assert f"No policy named: {name}" in cli("policy", "read", name).expect(2).err
    bad = cli("policy", "write", name, "-", stdin='path "a" {').expect(2)
    assert "failed to parse policy" in bad.err
    cli("policy", "write", name, cli.home / "absent.hcl").expect(2)


def test_policy_fmt(cli):
    file = cli.home / "p.hcl"
    file.write_text('# why\npath "a" {capabilities=["read"]}\n')
    assert cli.ok("policy", "fmt", file).out == f"Success! Formatted policy: {file}\n"
    once = file.read_text()
    assert once.rstrip() == '# why\npath "a" {\n  capabilities = ["read"]\n}'
    cli.ok("policy", "fmt", file)
    assert file.read_text() == once
    file.write_text('path "a" {')
    cli("policy", "fmt", file).expect(1)


# --- plain paths -------------------------------------------------------------------------------


def test_write_read_list_delete(cli, kv1):
    assert (
        cli.ok("write", f"{kv1}/d/a", "x=1", "y=two").out
        == f"Success! Data written to: {kv1}/d/a\n"
    )
    pairs = cli.ok("read", f"{kv1}/d/a").pairs
    assert (pairs["refresh_interval"], pairs["x"], pairs["y"]) == ("168h", "1", "two")
    assert cli.ok("read", "-format=json", f"{kv1}/d/a").json["data"] == {"x": "1", "y": "two"}
    assert cli.ok("list", kv1).out == "Keys\n----\nd/\n"
    assert cli.ok("list", "-format=json", f"{kv1}/d").json == ["a"]
    deleted = cli.ok("delete", f"{kv1}/d/a")
    assert deleted.out == f"Success! Data deleted (if it existed) at: {kv1}/d/a\n"
    assert f"No value found at {kv1}/d/a" in cli("read", f"{kv1}/d/a").expect(2).err
    assert f"No value found at {kv1}/d" in cli("list", f"{kv1}/d").expect(2).err
    missing = cli("list", "-format=json", f"{kv1}/d").expect(2)
    assert missing.json == {}


def test_patch(cli, kv2):
    cli.ok("kv", "put", f"{kv2}/a", "x=1")
    body = json.dumps({"data": {"y": "2"}})
    cli.ok("patch", f"{kv2}/data/a", "-", stdin=body)
    assert cli.ok("kv", "get", "-format=json", f"{kv2}/a").json["data"]["data"] == {
        "x": "1",
        "y": "2",
    }


def test_path_help(cli):
    assert "mount" in cli.ok("path-help", "sys/mounts").out.lower()
    missing = cli("path-help", "nowhere").expect(2)
    assert 'no handler for route "nowhere"' in missing.err


@pytest.mark.parametrize("arguments", [("kv", "put", "a/b"), ("read",), ("token", "revoke")])
def test_missing_arguments(cli, arguments):
    assert cli(*arguments).expect(1).err.strip()


def test_operator_members(cli):
    heading, dashes, node = cli.ok("operator", "members").out.splitlines()
    assert heading.startswith("Host Name  ") and dashes.startswith("---------  ")
    address = cli.node.address
    assert address in node and " true " in node
    told = cli.ok("operator", "members", "-format=json").json
    assert [(n["api_address"], n["active_node"]) for n in told["Nodes"]] == [(address, True)]
    assert cli.as_token("hvs.unknown")("operator", "members").code == 2


def test_version_history(cli, wire):
    (version,) = wire.list("sys/version-history").expect(200).data["keys"]
    heading, _, row = cli.ok("version-history").out.splitlines()[-3:]
    assert heading.startswith("Version") and "Installation Time" in heading
    assert row.startswith(f"{version}  ") and re.search(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", row)
    told = cli.ok("version-history", "-format=json").json
    assert told["data"]["keys"] == [version]
