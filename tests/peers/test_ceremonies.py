"""Operators' ceremonies: new unseal keys and root tokens, by hvac, `bao`, `gpg` and our own command."""

import base64
import re

import pytest
from command import Cli
from gnupg import Gpg
from node import IS_BAO, only_secretum, until


@pytest.fixture
def running(fresh):
    """An unsealed node with 3 unseal keys, of which 2 open it."""
    return fresh().start().initialize(shares=3, threshold=2).unseal()


@pytest.fixture
def gpg(tmp_path_factory):
    # A short path: the agent listens on a socket below it.
    gpg = Gpg(tmp_path_factory.mktemp("g"))
    yield gpg
    gpg.stop()


def opens(node, keys):
    """Whether these keys open the node, which is sealed for that."""
    if node.wire().get("sys/seal-status").json["sealed"] is False:
        node.wire().put("sys/seal").expect(204)
        until(lambda: node.wire().get("sys/seal-status").json["sealed"], "a sealed node")
    node.wire().put("sys/unseal", {"reset": True}).expect(200)
    answers = [node.wire().put("sys/unseal", {"key": key}) for key in keys]
    opened = answers[-1].status == 200 and answers[-1].json["sealed"] is False
    if opened:
        until(lambda: node.wire().get("sys/health").status == 200, "an active node")
    return opened


# --- hvac --------------------------------------------------------------------------------------


def test_hvac_rekeys(running):
    sys = running.hvac().sys
    assert sys.read_rekey_progress()["started"] is False
    begun = sys.start_rekey(secret_shares=4, secret_threshold=3)
    assert begun["started"] and (begun["t"], begun["n"], begun["required"]) == (3, 4, 2)
    done = sys.rekey_multi(running.keys, nonce=begun["nonce"])
    assert done["complete"] and len(done["keys"]) == len(done["keys_base64"]) == 4
    assert [base64.b64decode(key).hex() for key in done["keys_base64"]] == done["keys"]
    assert not opens(running, running.keys[:2])
    assert opens(running, done["keys"][1:])
    # In the middle of it they are not lost to a restart either.
    running.kill()
    running.start()
    assert opens(running, done["keys_base64"][:3])


def test_hvac_rekeys_with_verification(running):
    sys = running.hvac().sys
    begun = sys.start_rekey(secret_shares=2, secret_threshold=2, require_verification=True)
    done = sys.rekey_multi(running.keys, nonce=begun["nonce"])
    assert done["verification_required"]
    nonce = done["verification_nonce"]
    assert sys.read_rekey_verify_progress()["nonce"] == nonce
    assert sys.rekey_verify(done["keys"][0], nonce)["progress"] == 1
    sys.cancel_rekey_verify()
    nonce = sys.read_rekey_verify_progress()["nonce"]
    assert sys.rekey_verify_multi(done["keys"], nonce)["complete"]
    assert not opens(running, running.keys[:2])
    assert opens(running, done["keys"])


def test_hvac_cancels_a_rekey(running):
    sys = running.hvac().sys
    begun = sys.start_rekey(secret_shares=1, secret_threshold=1)
    sys.rekey(running.keys[0], nonce=begun["nonce"])
    assert sys.cancel_rekey().status_code == 204
    assert sys.read_rekey_progress()["started"] is False
    assert opens(running, running.keys[:2])


def test_hvac_generates_a_root_token(running):
    sys = running.hvac().sys
    begun = sys.start_root_token_generation()
    otp = begun["otp"]
    assert len(otp) == begun["otp_length"] and re.fullmatch("[0-9A-Za-z]+", otp)
    assert sys.generate_root(running.keys[0], begun["nonce"])["progress"] == 1
    done = sys.generate_root(running.keys[2], begun["nonce"])
    assert done["complete"]
    encoded = done["encoded_root_token"]
    covered = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    token = bytes(a ^ b for a, b in zip(covered, otp.encode(), strict=True)).decode()
    looked_up = running.hvac(token).auth.token.lookup_self()["data"]
    assert looked_up["policies"] == ["root"]
    body = {"encoded_token": encoded, "otp": otp}
    assert running.wire("").put("sys/decode-token", body).expect(200).data == {"token": token}


def test_hvac_cancels_the_generation_of_a_root_token(running):
    sys = running.hvac().sys
    assert sys.read_root_generation_progress()["started"] is False
    begun = sys.start_root_token_generation()
    sys.generate_root(running.keys[0], begun["nonce"])
    told = sys.read_root_generation_progress()
    assert told["started"] and told["nonce"] == begun["nonce"]
    assert (told["progress"], told["required"], told["complete"]) == (1, 2, False)
    assert sys.cancel_root_generation().status_code == 204
    assert sys.read_root_generation_progress()["started"] is False
    # What was given before is forgotten.
    begun = sys.start_root_token_generation()
    assert sys.generate_root(running.keys[1], begun["nonce"])["progress"] == 1


@only_secretum("OpenBao serves these paths to everybody or not at all")
def test_strangers_take_no_part(running):
    nobody = running.wire("")
    for path in ("sys/rekey/init", "sys/rekey/verify", "sys/generate-root/attempt"):
        nobody.get(path).expect(403)
        nobody.put(path, {}).expect(403)
        nobody.delete(path).expect(403)


def test_refusals(running):
    wire = running.wire()
    refused = wire.put("sys/rekey/update", {"key": running.keys[0], "nonce": "x"}).expect(400)
    assert refused.errors == ["no barrier rekey in progress"]
    nonce = wire.put("sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1}).json["nonce"]
    wrong = wire.put("sys/rekey/update", {"key": running.keys[0], "nonce": "x"}).expect(400)
    assert wrong.errors == [
        f'incorrect nonce supplied; nonce for this rekey operation is "{nonce}"'
    ]
    again = wire.put("sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1}).expect(400)
    assert again.errors == ["rekey already in progress"]
    wire.delete("sys/rekey/init").expect(204)
    recovery = wire.get("sys/rekey-recovery-key/init").expect(400)
    assert recovery.errors == ["recovery rekeying not supported"]


@only_secretum("OpenBao says it of each listener, and in another way")
def test_strangers_take_part_where_that_is_configured(fresh):
    node = fresh()
    config = node.directory / "open.hcl"
    config.write_text('enable_unauthenticated_access = ["generate-root"]\n')
    node.command.append(f"-config={config}")
    node.start().initialize(shares=1, threshold=1).unseal()
    nobody = node.wire("")
    begun = nobody.put("sys/generate-root/attempt", {}).expect(200).json
    body = {"key": node.keys[0], "nonce": begun["nonce"]}
    done = nobody.put("sys/generate-root/update", body).expect(200).json
    body = {"encoded_token": done["encoded_token"], "otp": begun["otp"]}
    token = nobody.put("sys/decode-token", body).expect(200).data["token"]
    node.wire(token).get("sys/audit").expect(200)
    nobody.get("sys/rekey/init").expect(403)


# --- gpg ---------------------------------------------------------------------------------------


def test_gpg_opens_the_shares_of_a_rekey(running, gpg):
    alice, bob = gpg.holder("alice@example.com"), gpg.holder("bob@example.com", "rsa3072", "rsa3072")
    holders = [alice, bob]
    sys = running.hvac().sys
    begun = sys.start_rekey(2, 2, pgp_keys=[holder.base64 for holder in holders], backup=True)
    prints = [holder.fingerprint for holder in holders]
    assert begun["pgp_fingerprints"] == prints
    done = sys.rekey_multi(running.keys, nonce=begun["nonce"])
    assert done["pgp_fingerprints"] == prints and done["backup"]
    keys = [holder.open(key) for holder, key in zip(holders, done["keys_base64"], strict=True)]
    assert [holder.open(bytes.fromhex(key)) for holder, key in zip(holders, done["keys"])] == keys
    kept = sys.read_backup_keys()["data"]
    assert kept["nonce"] == begun["nonce"]
    opened = [holder.open(kept["keys_base64"][holder.fingerprint][0]) for holder in holders]
    assert opened == keys
    assert opens(running, keys)
    running.wire().delete("sys/rekey/backup").expect(204)
    assert running.wire().get("sys/rekey/backup").expect(400).errors == ["no backed-up keys found"]


@pytest.mark.parametrize(
    "algorithms",
    [("ed25519", "cv25519"), ("rsa2048", "rsa2048"), ("nistp256", "nistp256")],
    ids=lambda algorithms: algorithms[1],
)
def test_gpg_opens_what_init_gives(fresh, gpg, algorithms):
    holder = gpg.holder("alice@example.com", *algorithms)
    node = fresh().start()
    armored = base64.b64encode(holder.armored).decode()
    body = {
        "secret_shares": 1,
        "secret_threshold": 1,
        "pgp_keys": [holder.base64],
        "root_token_pgp_key": holder.base64,
    }
    if not IS_BAO:
        body["root_token_pgp_key"] = armored
    made = node.wire("").put("sys/init", body).expect(200).json
    node.keys, node.threshold = [holder.open(made["keys_base64"][0])], 1
    node.root_token = holder.open(made["root_token"])
    node.unseal()
    assert node.wire().get("auth/token/lookup-self").expect(200).data["policies"] == ["root"]


def test_keys_that_cannot_be_used_make_no_vault(fresh, gpg):
    holder = gpg.holder("alice@example.com")
    node = fresh().start()
    if not IS_BAO:
        old = gpg.holder("bob@example.com", "dsa2048", "elg2048")
        body = {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": [old.base64]}
        refused = node.wire("").put("sys/init", body).expect(400)
        assert "of a kind that is not served" in refused.error
    for keys in ([holder.base64], ["AAAA", "AAAA"], [holder.base64, "not base64!"]):
        body = {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": keys}
        assert node.wire("").put("sys/init", body).status in (400, 500)
        assert node.wire("").get("sys/init").json == {"initialized": False}


# --- command lines -----------------------------------------------------------------------------


@pytest.fixture
def commands(running, cli):
    return Cli(cli.client, running, cli.home)


def test_commands_rekey(running, commands):
    begun = commands.ok("operator", "rekey", "-init", "-n=2", "-t=2")
    assert re.search(r"New Shares +2", begun.out) and re.search(r"New Threshold +2", begun.out)
    status = commands.ok("operator", "rekey", "-status", "-format=json").json
    assert status["started"] is True and status["required"] == 2
    nonce = status["nonce"]
    assert nonce in begun.out
    commands("operator", "rekey", running.keys[0]).expect(1)  # which ceremony?
    first = commands.ok("operator", "rekey", f"-nonce={nonce}", running.keys[0])
    assert re.search(r"Progress +1/2", first.out)
    last = commands.ok("operator", "rekey", f"-nonce={nonce}", "-", stdin=running.keys[1] + "\n")
    keys = re.findall(r"(?m)^Key \d: (\S+)$", last.out)
    assert len(keys) == 2 and f"Operation nonce: {nonce}" in last.out
    assert not opens(running, running.keys[:2])
    assert opens(running, keys)


def test_commands_verify_a_rekey(running, commands):
    rekey = ("operator", "rekey")
    begun = commands.ok(*rekey, "-init", "-n=2", "-t=2", "-verify", "-format=json").json
    nonce = f"-nonce={begun['nonce']}"
    commands.ok(*rekey, nonce, running.keys[0])
    done = commands.ok(*rekey, nonce, "-format=json", running.keys[1]).json
    assert done["verification_required"] is True
    nonce = f"-nonce={done['verification_nonce']}"
    one = commands.ok(*rekey, "-verify", nonce, done["keys_base64"][0])
    assert re.search(r"Verification Progress +1/2", one.out)
    commands.ok(*rekey, "-verify", "-cancel")
    anew = commands.ok(*rekey, "-verify", "-status", "-format=json").json
    assert anew["progress"] == 0
    nonce = f"-nonce={anew['nonce']}"
    commands.ok(*rekey, "-verify", nonce, done["keys_base64"][1])
    end = commands.ok(*rekey, "-verify", nonce, done["keys_base64"][0])
    assert "now active" in end.out
    assert opens(running, done["keys"])


def test_commands_cancel_and_keep(running, commands, gpg, tmp_path):
    rekey = ("operator", "rekey")
    assert "Canceled rekeying" in commands.ok(*rekey, "-cancel").out
    commands("operator", "rekey", "-nonce=x", running.keys[0]).expect(1)  # nothing is under way
    holders = [gpg.holder("alice@example.com"), gpg.holder("bob@example.com")]
    (tmp_path / "alice.pgp").write_bytes(holders[0].public)
    # Vault's own clients and servers take binary and base64; ours take the armor, too.
    armored = commands.client == "secretum" and not IS_BAO
    bob = holders[1].armored if armored else holders[1].base64.encode()
    (tmp_path / "bob.asc").write_bytes(bob)
    files = f"-pgp-keys={tmp_path / 'alice.pgp'},{tmp_path / 'bob.asc'}"
    begun = commands.ok(*rekey, "-init", "-n=2", "-t=2", files, "-backup")
    prints = [holder.fingerprint for holder in holders]
    assert f"[{' '.join(prints)}]" in begun.out
    status = commands.ok(*rekey, "-status", "-format=json").json
    nonce = f"-nonce={status['nonce']}"
    commands.ok(*rekey, nonce, running.keys[0])
    done = commands.ok(*rekey, nonce, running.keys[1])
    values = re.findall(r"(?m)^Key \d fingerprint: (\S+); value: (\S+)$", done.out)
    assert [value[0] for value in values] == prints
    keys = [holder.open(value[1]) for holder, value in zip(holders, values, strict=True)]
    assert prints[0] in commands.ok(*rekey, "-backup-retrieve").out
    assert "Deleted backed up keys" in commands.ok(*rekey, "-backup-delete").out
    commands(*rekey, "-backup-retrieve").expect(2)
    assert opens(running, keys)


def test_commands_generate_a_root_token(running, commands):
    root = ("operator", "generate-root")
    begun = commands.ok(*root, "-init")
    otp = re.search(r"(?m)^OTP +(\S+)$", begun.out)[1]
    nonce = re.search(r"(?m)^Nonce +(\S+)$", begun.out)[1]
    commands("operator", "generate-root", running.keys[0]).expect(1)  # which one?
    one = commands.ok(*root, f"-nonce={nonce}", running.keys[0])
    assert re.search(r"Progress +1/2", one.out)
    assert re.search(r"Progress +1/2", commands.ok(*root, "-status").out)
    done = commands.ok(*root, f"-nonce={nonce}", "-", stdin=running.keys[1])
    encoded = re.search(r"(?m)^Encoded Token +(\S+)$", done.out)[1]
    token = commands.ok(*root, f"-decode={encoded}", f"-otp={otp}").out.strip()
    assert commands.as_token(token).ok("token", "lookup", "-format=json").json["data"]["policies"]
    decoded = commands.ok(*root, f"-decode={encoded}", f"-otp={otp}", "-format=json").json
    assert decoded == {"token": token}
    commands(*root, f"-decode={encoded}").expect(1)


def test_commands_generate_a_root_token_under_an_otp_of_their_own(running, commands):
    root = ("operator", "generate-root")
    otp = commands.ok(*root, "-generate-otp").out.strip()
    begun = commands.ok(*root, "-init", f"-otp={otp}", "-format=json").json
    assert not begun["otp"] and begun["otp_length"] == len(otp)
    assert "Root token generation canceled" in commands.ok(*root, "-cancel").out
    assert commands.ok(*root, "-status", "-format=json").json["started"] is False
    commands(*root, "-init", "-otp=short").expect(2)


def test_commands_generate_a_root_token_for_a_key(running, commands, gpg, tmp_path):
    holder = gpg.holder("alice@example.com")
    (tmp_path / "alice.pgp").write_bytes(holder.public)
    root = ("operator", "generate-root")
    key = f"-pgp-key={tmp_path / 'alice.pgp'}"
    begun = commands.ok(*root, "-init", key, "-format=json").json
    assert begun["pgp_fingerprint"] == holder.fingerprint
    for share in running.keys[:2]:
        given = commands.ok(*root, f"-nonce={begun['nonce']}", "-format=json", share).json
    assert given["complete"] is True
    token = holder.open(given["encoded_token"])
    commands.as_token(token).ok("token", "lookup")


def test_commands_init_for_holders(fresh, cli, gpg, tmp_path):
    holder = gpg.holder("alice@example.com")
    (tmp_path / "alice.pgp").write_bytes(holder.public)
    node = fresh().start()
    commands = Cli(cli.client, node, cli.home, token="")
    init = ("operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json")
    file = tmp_path / "alice.pgp"
    made = commands.ok(*init, f"-pgp-keys={file}", f"-root-token-pgp-key={file}").json
    node.keys, node.threshold = [holder.open(made["unseal_keys_b64"][0])], 1
    node.root_token = holder.open(made["root_token"])
    node.unseal()
    commands.as_token(node.root_token).ok("secrets", "list")


@only_secretum("`bao` asks Keybase")
def test_keybase_is_not_asked(ours):
    for arguments in (
        ("operator", "init", "-pgp-keys=keybase:alice"),
        ("operator", "rekey", "-init", "-pgp-keys=keybase:alice"),
        ("operator", "generate-root", "-init", "-pgp-key=keybase:alice"),
    ):
        refused = ours(*arguments).expect(1)
        assert "keys are not fetched from Keybase" in refused.err


def test_commands_rotate_keys(running, cli):
    if cli.client != "bao":
        pytest.skip("`rotate-keys` is a word of OpenBao's command for what `rekey` does")
    commands = Cli("bao", running, cli.home)
    rotate = ("operator", "rotate-keys")
    begun = commands.ok(*rotate, "-init", "-n=2", "-t=2", "-format=json").json
    nonce = f"-nonce={begun['nonce']}"
    commands.ok(*rotate, nonce, running.keys[0])
    done = commands.ok(*rotate, nonce, "-format=json", running.keys[1]).json
    assert opens(running, done["keys"])


# --- mounts and nodes --------------------------------------------------------------------------


def test_hvac_moves_a_mount(client, wire, kv1, name):
    wire.put(f"{kv1}/a", {"x": "1"}).expect(204)
    moved = client.sys.move_backend(kv1, f"moved-{name}")
    identity = moved["data"]["migration_id"]
    assert moved["migration_id"] == identity

    def is_done():
        state = wire.get(f"sys/remount/status/{identity}").expect(200).data
        return state["migration_info"]["status"] == "success"

    until(is_done, "the end of the move")
    assert wire.get(f"moved-{name}/a").expect(200).data == {"x": "1"}
    wire.get(f"{kv1}/a").expect(404)
    # Its fixture disables it where it was made.
    client.sys.move_backend(f"moved-{name}", kv1)
    until(lambda: wire.get(f"{kv1}/a").status == 200, "the mount in its place")


def test_a_single_node_keeps_the_lead(cli, wire):
    before = wire.get("sys/leader").expect(200).json
    assert before["is_self"] is True and before["ha_enabled"] is True
    nodes = wire.get("sys/ha-status").expect(200).data["nodes"]
    assert [node["active_node"] for node in nodes] == [True]
    assert nodes[0]["api_address"] == before["leader_address"]
    cli.node.hvac().sys.step_down()
    until(lambda: wire.get("sys/leader").json["is_self"], "a leader")
    if cli.client == "secretum":
        assert "Success! Stepped down" in cli.ok("operator", "step-down").out
        until(lambda: wire.get("sys/leader").json["is_self"], "a leader")
        refused = cli.as_token("hvs.unknown")("operator", "step-down").expect(2)
        assert "permission denied" in refused.err or "bad token" in refused.err
