"""Copy, move, times to live, export and import of key-value secrets: over HTTP, by hvac and by our command."""

import json
import os
import re
import signal
import stat
import subprocess
import time
from datetime import datetime, timedelta

import hvac
import pytest
from node import until

pytestmark = pytest.mark.only_secretum("our own extensions")


def put(wire, mount, path, data, **options):
    body = {"data": data, "options": options}
    return wire.post(f"{mount}/data/{path}", body).expect(200).json["data"]


def test_copy_and_move_over_http(wire, kv2, kv):
    for n in range(3):
        put(wire, kv2, "from", {"n": n})
    wire.post(f"{kv2}/metadata/from", {"custom_metadata": {"owner": "me"}}).expect(204)
    told = wire.post(f"{kv2}/copy/a/to", {"source": "from"}).expect(200).json["data"]
    assert told == {"current_version": 3, "versions": 3}
    # hvac reads the copy as any other secret.
    assert kv.read("a/to", version=2)["data"] == {"n": 1}
    assert kv.metadata("a/to") == kv.metadata("from")
    refused = wire.post(f"{kv2}/copy/a/to", {"source": "from"}).expect(400)
    assert "already" in refused.json["errors"][0]
    wire.post(f"{kv2}/copy/a/to", {"source": "from", "cas": 2}).expect(400)
    wire.post(f"{kv2}/move/a/to", {"source": "from", "cas": 3}).expect(200)
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.metadata("from")
    wire.post(f"{kv2}/copy/x", {"source": "none"}).expect(404)
    wire.post(f"{kv2}/copy/x", {}).expect(400)


def test_policies_hold_on_both_sides(node, wire, kv2, token_with):
    put(wire, kv2, "from/a", {"secret": "planted-value-copy"})
    own = f'path "{kv2}/copy/*" {{ capabilities = ["create", "update"] }}\n'
    source = "".join(
        f'path "{kv2}/{area}/from/*" {{ capabilities = ["read"] }}\n'
        for area in ("data", "metadata")
    )
    source += f'path "{kv2}/undelete/from/*" {{ capabilities = ["update"] }}\n'
    target = "".join(
        f'path "{kv2}/{area}/to/*" {{ capabilities = ["create", "read"] }}\n'
        for area in ("data", "metadata")
    )
    body = {"source": "from/a"}
    for policy in (own, own + source, own + target, source + target):
        denied = node.wire(token_with(policy)).post(f"{kv2}/copy/to/a", body).expect(403)
        assert denied.json["errors"] == ["permission denied"] or "permission denied" in str(denied.json)
    allowed = node.wire(token_with(own + source + target))
    allowed.post(f"{kv2}/copy/to/a", body).expect(200)
    moves = own.replace("/copy/", "/move/") + source + target
    node.wire(token_with(moves)).post(f"{kv2}/move/to/b", body).expect(403)


def test_a_time_to_live(wire, kv2, kv):
    told = put(wire, kv2, "a", {"x": 1}, ttl="2s")
    assert told["expire_time"] and told["deletion_time"] == told["expire_time"]
    assert kv.read("a")["data"] == {"x": 1}
    until(lambda: wire.get(f"{kv2}/data/a").status == 404, "the end of the secret")
    until(lambda: wire.get(f"{kv2}/metadata/a").status == 404, "the removal of the secret")
    wire.post(f"{kv2}/data/a", {"data": {}, "options": {"ttl": "never"}}).expect(400)


def test_it_is_described(wire, kv2):
    paths = wire.get("sys/internal/specs/openapi").expect(200).json["paths"]
    assert f"/{kv2}/copy/{{path}}" in paths and f"/{kv2}/move/{{path}}" in paths
    assert "metadata" in wire.get(f"{kv2}/move/x?help=1").expect(200).json["help"]


def test_copy_and_move_by_command(ours, kv2):
    ours.ok("kv", "put", f"{kv2}/a", "x=1")
    ours.ok("kv", "put", f"{kv2}/a", "x=2")
    done = ours.ok("kv", "copy", f"{kv2}/a", f"{kv2}/b/c").out
    assert done == f"Success! Secret copied: {kv2}/data/a to {kv2}/data/b/c\n"
    assert "already" in ours("kv", "cp", f"-mount={kv2}", "a", "b/c").expect(2).err
    ours.ok("kv", "cp", f"-mount={kv2}", "-cas=2", "a", "b/c")
    assert ours.ok("kv", "mv", f"-mount={kv2}", "-field=versions", "a", "d").out == "2"
    ours("kv", "get", f"{kv2}/a").expect(2)
    assert ours.ok("kv", "get", "-field=x", "-version=1", f"{kv2}/d").out == "1"
    curl = ours.ok("kv", "move", "-output-curl-string", f"{kv2}/d", f"{kv2}/e").out
    assert f"/v1/{kv2}/move/e" in curl and '{"source":"d"}' in curl
    policy = ours.ok("kv", "move", "-output-policy", f"{kv2}/d", f"{kv2}/e").out
    for path in ("move/e", "data/d", "metadata/d", "data/e", "metadata/e"):
        assert f'path "{kv2}/{path}"' in policy
    ours.ok("kv", "get", f"{kv2}/d")


def test_the_policy_that_is_shown_is_enough_and_no_more(ours, kv2, token_with):
    ours.ok("kv", "put", f"{kv2}/a", "x=1")
    for command in (
        ["kv", "copy", f"-mount={kv2}", "a", "b"],
        ["kv", "move", f"-mount={kv2}", "-cas=1", "a", "b"],
    ):
        policy = ours.ok(*command, "-output-policy").out
        policy += 'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }'
        rules = policy.split("path ")[1:]
        for left_out in range(len(rules) - 1):
            fewer = "".join(f"path {rule}" for n, rule in enumerate(rules) if n != left_out)
            assert ours.as_token(token_with(fewer))(*command).code == 2, rules[left_out]
        ours.as_token(token_with(policy)).ok(*command)


def test_a_scan_at_a_path_of_version_1_names_the_right_one(ours, wire, kv2):
    for path in [kv2, f"{kv2}/a"]:
        told = wire.call("SCAN", path).expect(404).warnings
        assert any("listed at `metadata/" in warning for warning in told), told
        refused = ours("scan", path).expect(2)
        assert "`metadata/" in refused.out + refused.err


def test_copies_between_mounts_are_refused(ours, kv2, kv1):
    ours.ok("kv", "put", f"{kv2}/a", "x=1")
    refused = ours("kv", "copy", f"{kv2}/a", "cubbyhole/a").expect(1)
    assert "kv export" in refused.err
    ours.ok("kv", "put", f"{kv1}/a", "x=1")
    assert "version 2" in ours("kv", "copy", f"-mount={kv1}", "a", "b").expect(1).err


def test_put_with_a_time_to_live(ours, kv2, kv1):
    assert "expire_time" in ours.ok("kv", "put", "-ttl=1h", f"{kv2}/a", "x=1").out
    shown = ours.ok("kv", "metadata", "get", f"{kv2}/a").out
    assert re.search(r"(?m)^expire_time +20", shown)
    assert "-ttl" in ours("kv", "put", "-ttl=soon", f"{kv2}/a", "x=1").expect(1).err
    assert "version 2" in ours("kv", "put", "-ttl=1h", f"{kv1}/a", "x=1").expect(1).err


def test_a_secret_with_an_end_keeps_it(ours, wire, kv2, tmp_path):
    def end(path):
        text = wire.get(f"{kv2}/data/{path}").expect(200).data["metadata"]["expire_time"]
        return datetime.fromisoformat(text[:19])

    ours.ok("kv", "put", "-ttl=1h", f"{kv2}/a", "x=1")
    ours.ok("kv", "patch", f"{kv2}/a", "x=2")
    before = end("a")
    ours.ok("kv", "rollback", "-version=1", f"{kv2}/a")
    assert abs(end("a") - before) <= timedelta(seconds=5)
    file = tmp_path / "tree.json"
    ours.ok("kv", "export", f"-file={file}", f"{kv2}/a")
    ours.ok("kv", "import", str(file), f"{kv2}/b")
    assert abs(end("b/a") - before) <= timedelta(seconds=5)
    assert "1 same" in ours.ok("kv", "import", str(file), f"{kv2}/b").out
    tree = json.loads(file.read_text())
    tree["secrets"]["a"]["expire_time"] = "2020-01-01T00:00:00Z"
    file.write_text(json.dumps(tree))
    assert "0 written" in ours.ok("kv", "import", str(file), f"{kv2}/c").out
    wire.get(f"{kv2}/data/c/a").expect(404)


@pytest.fixture
def tree(ours, kv2):
    for path in ("app/db", "app/api/key", "app", "other"):
        ours.ok("kv", "put", f"{kv2}/{path}", f"of={path}", stdin="")
    ours.ok("kv", "put", f"{kv2}/app/numbers", "-", stdin='{"n":12345678901234567890123,"f":1.10}')
    ours.ok("kv", "metadata", "put", "-custom-metadata=owner=me", f"{kv2}/app/db")
    ours.ok("kv", "put", f"{kv2}/app/gone", "x=1")
    ours.ok("kv", "delete", f"{kv2}/app/gone")
    return kv2


def test_export_and_import(ours, tree, kv1, tmp_path):
    file = tmp_path / "tree.json"
    told = ours.ok("kv", "export", f"-file={file}", f"{tree}/app")
    assert "4 secrets exported in plain text, 1 deleted" in told.err and told.out == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert '"n": 12345678901234567890123' in before and '"f": 1.10' in before
    assert "other" not in before and json.loads(before)["secrets"]["app"]["data"] == {"of": "app"}
    assert "-force" in ours("kv", "export", f"-file={file}", f"{tree}/app").expect(1).err
    assert file.read_text() == before
    ours.ok("kv", "export", f"-file={file}", "-force", f"{tree}/app")
    assert sorted(os.listdir(tmp_path)).count("tree.json") == 1
    assert ours.ok("kv", "export", f"{tree}/app/db").out.count('"data"') == 1
    wrapping = ours.ok("kv", "export", f"{tree}/app", VAULT_WRAP_TTL="1m")
    assert json.loads(wrapping.out) == json.loads(before)
    yaml = ours.ok("kv", "export", "-format=yaml", f"{tree}/app").yaml
    assert yaml["secrets"]["app/db"]["custom_metadata"] == {"owner": "me"}

    same = ours.ok("kv", "import", str(file), f"-mount={tree}", "-dry-run").out
    assert set(line.split()[0] for line in same.splitlines()) == {"same"}
    plan = ours.ok("kv", "import", str(file), f"-mount={tree}", "-dry-run", "copy")
    assert plan.out.splitlines()[0] == "created   copy/app"
    ours("kv", "get", f"{tree}/copy/app").expect(2)
    done = ours.ok("kv", "import", str(file), f"{tree}/copy")
    assert done.out == "4 written, 0 same, 0 skipped, 0 failed, 0 not begun\n"
    assert "12345678901234567890123" in ours.ok("kv", "get", f"{tree}/copy/app/numbers").out
    facts = ours.ok("kv", "metadata", "get", "-format=json", f"{tree}/copy/app/db").json["data"]
    assert facts["custom_metadata"] == {"owner": "me"} and facts["current_version"] == 1
    # Once more changes nothing.
    again = ours.ok("kv", "import", "-", f"{tree}/copy", "-format=json", stdin=before).json
    assert again["same"] == 4 and again["written"] == 0
    # Between versions of the engine, too.
    ours.ok("kv", "import", str(file), f"-mount={kv1}")
    assert ours.ok("kv", "get", "-field=of", f"{kv1}/app/db").out == "app/db"


def test_conflicts(ours, tree, tmp_path):
    file = tmp_path / "tree.json"
    ours.ok("kv", "export", f"-file={file}", f"{tree}/app")
    ours.ok("kv", "put", f"{tree}/app/db", "of=changed")
    ours.ok("kv", "metadata", "delete", f"{tree}/app")
    importing = ("kv", "import", str(file), f"-mount={tree}")
    stuck = ours(*importing).expect(2)
    assert "conflict  app/db" in stuck.out and "created   app\n" in stuck.out
    assert "nothing was written" in stuck.err
    ours("kv", "get", f"{tree}/app").expect(2)
    assert "1 written, 2 same, 1 skipped" in ours.ok(*importing, "-on-conflict=skip").out
    assert ours.ok("kv", "get", "-field=of", f"{tree}/app/db").out == "changed"
    dry = ours.ok(*importing, "-on-conflict=overwrite", "-dry-run").out
    assert "changed   app/db" in dry
    assert "1 written, 3 same" in ours.ok(*importing, "-on-conflict=overwrite").out
    assert ours.ok("kv", "get", "-field=of", f"{tree}/app/db").out == "app/db"
    assert ours.ok("kv", "get", "-field=of", "-version=2", f"{tree}/app/db").out == "changed"


def test_one_secret_from_json_and_dotenv(ours, kv2, tmp_path):
    env = tmp_path / ".env"
    env.write_text("# settings\nexport A='x y'\nB=\"two\\nlines\"\n")
    ours.ok("kv", "import", str(env), f"{kv2}/app/env")
    data = ours.ok("kv", "get", "-format=json", f"{kv2}/app/env").json["data"]["data"]
    assert data == {"A": "x y", "B": "two\nlines"}
    ours.ok("kv", "import", "-", f"{kv2}/app/json", stdin='{"n":1.10}')
    assert '"n":1.10' in ours.ok("kv", "get", "-format=json", f"{kv2}/app/json").out.replace(" ", "")
    assert "name the path" in ours("kv", "import", "-", f"-mount={kv2}", stdin='{"n":1}').expect(1).err


def test_what_may_not_be_read_is_not_left_out_in_silence(ours, tree, token_with, tmp_path):
    policy = f"""
        path "sys/internal/ui/mounts/*" {{ capabilities = ["read"] }}
        path "{tree}/metadata/*" {{ capabilities = ["list", "scan"] }}
        path "{tree}/data/*" {{ capabilities = ["read"] }}
        path "{tree}/data/app/db" {{ capabilities = ["deny"] }}
    """
    limited = ours.as_token(token_with(policy))
    file = tmp_path / "part.json"
    refused = limited("kv", "export", f"-file={file}", f"{tree}/app").expect(2)
    assert "`app/db`" in refused.err and "-partial" in refused.err and not file.exists()
    told = limited.ok("kv", "export", f"-file={file}", "-partial", f"{tree}/app")
    assert "1 that may not be read left out" in told.err
    assert "app/db" not in json.loads(file.read_text())["secrets"]


def test_an_interrupted_import_goes_on(ours, kv2, tmp_path):
    secrets = {f"many/{n}": {"data": {"n": n}} for n in range(3000)}
    file = tmp_path / "many.json"
    file.write_text(json.dumps({"format": "secretum-kv-1", "secrets": secrets}))
    arguments = [ours.binary, "kv", "import", str(file), f"-mount={kv2}"]
    running = subprocess.Popen(
        arguments, env=ours.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: ours("kv", "list", f"{kv2}/many").code == 0, "a first secret")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, (out, err)
    assert "goes on" in err
    written, left = (int(re.search(rf"(\d+) {word}", out).group(1)) for word in ("written", "not begun"))
    assert written > 0 and left > 0 and written + left == 3000
    names = ours.ok("kv", "list", "-format=json", f"{kv2}/many").json
    assert len(names) == written
    done = ours.ok("kv", "import", str(file), f"-mount={kv2}").out
    assert done == f"{left} written, {written} same, 0 skipped, 0 failed, 0 not begun\n"
