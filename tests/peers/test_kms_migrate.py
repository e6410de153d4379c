"""`secretum kms migrate`: trees of files from one key service to another, stopped anywhere."""

import base64
import fcntl
import json
import os
import struct
import subprocess
import time

import pytest
from kms_command import LOCAL, KmsCommand
from kms_scene import AGE, SECRET, age_keys, client_certificates
from node import IS_BAO

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms is ours alone")


def tree(kms, folder="tree"):
    """A tree of everything that is migrated and of what is not; gives what it opens to."""
    (kms.home / folder / "deep").mkdir(parents=True)
    plaintexts = {}
    for number in range(12):
        name = f"{folder}/{'deep/' if number % 2 else ''}file {number}"
        plaintexts[name] = os.urandom(number * 20_000)
        flags = [["-binary"], []][number % 2]
        kms.ok("encrypt", "-context=env=prod", f"-out={name}", *flags, stdin=plaintexts[name])
    for number in range(4):
        name = f"{folder}/deep/stream{number}"
        plaintexts[name] = os.urandom(150_000 + number)
        kms.ok("encrypt-file", "-context=env=prod", f"-out={name}", stdin=plaintexts[name])
    (kms.home / folder / "deep" / "stream1").chmod(0o640)
    (kms.home / folder / "note.txt").write_text("nothing of ours")
    (kms.home / folder / "link").symlink_to("note.txt")
    return plaintexts


def check_opens(kms, plaintexts, *where):
    for name, plaintext in plaintexts.items():
        command = "decrypt-file" if "stream" in name else "decrypt"
        assert kms.ok(command, "-context=env=prod", f"-in={name}", *where, "-out=-") == plaintext


MIGRATE = ["migrate", "-from=kms.toml", "-to=b.toml", "-context=env=prod", "-format=json"]


def test_a_tree_moves_to_another_service(kms, transit):
    plaintexts = tree(kms)
    vault = f'[kms.vault]\naddress = "{transit.address}"\nauth = "token"\ntoken = "{transit.token}"\n'
    kms.configure(f'[kms]\nenvironment = "dev"\ndev_backend = "vault"\n{vault}', "b.toml")
    before = {name: (kms.home / name).read_bytes() for name in plaintexts}
    dry = json.loads(kms.ok(*MIGRATE, "-dry-run", "tree"))
    assert (dry["migrated"], dry["no_ciphertexts"], dry["failed"]) == (16, 1, 0)
    assert (dry["complete"], dry["left"]) == (False, 16)
    assert before == {name: (kms.home / name).read_bytes() for name in plaintexts}
    assert not (kms.home / "tree/.kms-migration").exists()
    done = json.loads(kms.ok(*MIGRATE, "tree"))
    assert (done["files"], done["migrated"], done["already"]) == (17, 16, 0)
    assert (done["complete"], done["left"]) == (True, 0)
    check_opens(kms, plaintexts, "-config=b.toml")
    stream = "tree/deep/stream1"
    assert (kms.home / stream).stat().st_mode & 0o777 == 0o640
    # Only the wrapped key of a file changed: what is behind the head stayed.
    assert (kms.home / stream).read_bytes()[-150_000:] == before[stream][-150_000:]
    assert kms.ok("decrypt-file", "-config=b.toml", "-context=env=prod", stdin=(kms.home / stream).read_bytes())
    again = json.loads(kms.ok(*MIGRATE, "tree"))
    assert (again["migrated"], again["already"]) == (0, 16)
    # And back, by other names of the same services.
    kms.configure(LOCAL + vault)
    back = ["migrate", "-from=vault", "-to=kms.toml:local", "-context=env=prod", "tree"]
    assert b"16 migrated" in kms.ok(*back)
    check_opens(kms, plaintexts)


def test_a_tree_moves_into_a_service(kms, serve, tmp_path):
    plaintexts = tree(kms)
    service = serve()
    KmsCommand(service.directory).keys(byte=5)
    service.stop()
    service.start()
    arguments = ["migrate", "-from=kms.toml", f"-to={service.url}", "-context=env=prod"]
    # A key that is not there concerns every file, by a service as without one.
    done = kms(*arguments, "-key=archive", "-format=json", "-dry-run", "tree")
    assert (done.code, done.json["failed"], done.json["complete"]) == (2, 0, False)
    assert "has no key `archive`" in done.json["stopped"]
    arguments.append("-key=other")
    assert b"16 migrated" in kms.ok(*arguments, "tree")
    check_opens(kms, plaintexts, f"-service={service.url}")
    made = kms.ok("decrypt", "-context=env=prod", "-in=tree/file 0", "-field=key_id", f"-service={service.url}")
    assert made == b"other"


def test_a_migration_that_is_killed_anywhere_goes_on(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    killed = 0
    for delay in range(1, 60):
        running = kms.start(*MIGRATE, "tree", stdin=subprocess.DEVNULL)
        time.sleep(delay / 400)
        running.kill()
        running.communicate(timeout=20)
        killed += 1
        if running.returncode == 0:
            break
    assert killed > 1, "it was never stopped"
    done = json.loads(kms.ok(*MIGRATE, "tree"))
    assert done["failed"] == 0 and done["migrated"] + done["already"] == 16
    check_opens(kms, plaintexts, "-config=b.toml")
    left = [name for name in kms.names("tree") + kms.names("tree/deep") if ".kms-migrate-" in name]
    assert left == []


def test_what_cannot_be_migrated_is_named_and_left(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    kms.ok("encrypt", "-context=env=dev", "-out=tree/foreign", stdin=SECRET)
    cut = (kms.home / "tree/file 0").read_bytes()[:-1]
    (kms.home / "tree/cut").write_bytes(cut)
    odd = {name: (kms.home / name).read_bytes() for name in ("tree/foreign", "tree/cut")}
    done = kms(*MIGRATE, "tree")
    assert done.code == 2 and done.json["migrated"] == 16
    told = {failure["file"]: failure["error"] for failure in done.json["failures"]}
    assert "context" in told["tree/foreign"] and "cut off" in told["tree/cut"]
    assert odd == {name: (kms.home / name).read_bytes() for name in odd}
    check_opens(kms, plaintexts, "-config=b.toml")
    # Another migration waits until this one is complete, or gets a journal of its own.
    back = ["migrate", "-from=b.toml", "-to=kms.toml", "-context=env=prod"]
    assert "not complete" in kms.refused(*back, "tree", code=1)
    for name in odd:
        (kms.home / name).unlink()
    kms.ok(*MIGRATE, "tree")
    assert b"16 migrated" in kms.ok(*back, "tree")
    check_opens(kms, plaintexts)
    same = kms.refused("migrate", "-from=kms.toml", "-to=local", "tree", code=1)
    assert "nothing to do" in same


def errors(run):
    """The files that a migration names, and why."""
    return {failure["file"]: failure["error"] for failure in run.json["failures"]}


def test_a_folder_that_cannot_be_read_is_named(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    closed = kms.home / "tree/closed"
    closed.mkdir(mode=0)
    # Root reads everything, unless it gives that up.
    lesser = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*lesser, kms.binary, "kms", *MIGRATE, "tree"]
    done = subprocess.run(command, capture_output=True, cwd=kms.home, env=kms.environment())
    told = json.loads(done.stdout)
    assert (done.returncode, told["migrated"], told["left"], told["complete"]) == (2, 16, 1, False)
    assert told["failures"][0]["file"] == "tree/closed"
    closed.rmdir()
    check_opens(kms, plaintexts, "-config=b.toml")


def test_what_is_said_to_be_migrated_is_opened(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    kms.ok("encrypt", "-context=env=dev", "-out=tree/foreign", stdin=SECRET)
    assert kms(*MIGRATE, "tree").code == 2
    # The journal is of keys that are there no more: first in the same file, then in another one.
    kms.keys("other.txt", byte=8)
    lost = kms(*MIGRATE, "tree")
    assert (lost.code, lost.json["already"], lost.json["failed"]) == (2, 0, 17)
    assert "does not open" in errors(lost)["tree/file 0"]
    kms.keys("third.txt", byte=9)
    kms.configure(LOCAL.replace("keys.txt", "third.txt"), "b.toml")
    assert "not complete" in kms.refused(*MIGRATE, "tree", code=1)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml").keys("other.txt", byte=7)
    (kms.home / "tree/foreign").unlink()
    assert json.loads(kms.ok(*MIGRATE, "tree"))["already"] == 16
    check_opens(kms, plaintexts, "-config=b.toml")


def test_what_is_of_another_key_of_the_new_service_is_named(kms):
    (kms.home / "tree").mkdir()
    age_keys(kms)
    kms.configure(AGE, "a.toml").keys("third.txt", byte=9)
    kms.configure(LOCAL.replace("keys.txt", "third.txt"), "third.toml")
    kms.ok("encrypt", "-config=a.toml", "-out=tree/ours", stdin=SECRET)
    kms.ok("encrypt", "-config=third.toml", "-out=tree/theirs", stdin=SECRET)
    run = ["migrate", "-from=a.toml", "-to=kms.toml", "-format=json", "tree"]
    done = kms(*run)
    assert (done.code, done.json["migrated"], done.json["already"]) == (2, 1, 0)
    assert "does not open" in errors(done)["tree/theirs"]
    (kms.home / "tree/theirs").unlink()
    assert json.loads(kms.ok(*run))["already"] == 1
    (kms.home / "tree/.kms-migration").unlink()
    other = kms(*run, "-key=other")
    assert other.code == 2 and "`default` and not `other`" in errors(other)["tree/ours"]
    (kms.home / "tree/.kms-migration").unlink()
    bound = kms(*run, "-new-context=n=1")
    assert bound.code == 2 and bound.json["already"] == 0


def test_a_key_that_is_missing_stops_a_migration_before_the_first_file(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    for dry in (["-dry-run"], []):
        done = kms(*MIGRATE, *dry, "-key=archive", "tree")
        assert (done.code, done.json["failed"], done.json["complete"]) == (2, 0, False)
        assert "has no key `archive`" in done.json["stopped"]
    check_opens(kms, plaintexts)


def test_a_rate_limit_is_waited_for(kms):
    plaintexts = tree(kms)
    kms.keys("other.txt", byte=7)
    limit = "[kms.rate_limit]\nper_second = 40\nburst = 1\n"
    kms.configure(LOCAL.replace("keys.txt", "other.txt") + limit, "b.toml")
    done = json.loads(kms.ok(*MIGRATE, "tree"))
    assert (done["migrated"], done["complete"]) == (16, True)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    check_opens(kms, plaintexts, "-config=b.toml")


def test_what_stands_around_a_ciphertext_stays(kms):
    (kms.home / "tree").mkdir()
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    made = kms.ok("encrypt", "-context=env=prod", stdin=SECRET).strip()
    around = {"dos": (b"", b"\r\n"), "behind": (b"\n \t", b""), "both": (b"\r\n", b" \n\n")}
    for name, (before, after) in around.items():
        (kms.home / "tree" / name).write_bytes(before + made + after)
    assert json.loads(kms.ok(*MIGRATE, "tree"))["migrated"] == 3
    for name, (before, after) in around.items():
        found = (kms.home / "tree" / name).read_bytes()
        assert found.startswith(before + b"U0tNU") and found.endswith(after)
        assert found == before + found.strip() + after and made not in found
        opened = kms.ok("decrypt", "-config=b.toml", "-context=env=prod", stdin=found)
        assert opened == SECRET


def test_a_token_goes_to_one_service(kms, answering):
    (kms.home / "tree").mkdir()
    kms.secret("token", "token-of-app")
    urls = [answering(lambda connection: None) for _ in range(2)]
    run = ["migrate", f"-from={urls[0]}", f"-to={urls[1]}", "tree"]
    for more, environment in ((["-token-file=token"], {}), ([], {"KMS_SERVICE_TOKEN": "t"})):
        refused = kms.refused(*run, *more, code=1, **environment)
        assert "-from-token-file" in refused
        kms.refused(*run, *more, "-from-token-file=token", "-to-token-file=token", **environment)


def test_each_of_two_services_is_shown_its_own_certificate(kms, serve, certificates):
    services = []
    for side in ("from", "to"):
        client_certificates(kms.home, f"{side}-ca", side)
        service = serve(
            f'tls_cert_path = "{certificates.chain}"\ntls_key_path = "{certificates.key}"\n'
            f'client_ca_path = "{kms.home}/{side}-ca.pem"\n'
            f'[[service.certificates]]\nname = "app"\ncommon_name = "{side}"\n'
            'rights = [{ operations = ["*"], keys = ["*"] }]\n',
            "https",
        )
        services.append(service.url)
    plaintexts = tree(kms)
    run = ["migrate", f"-from={services[0]}", f"-to={services[1]}", "-context=env=prod"]
    run += [f"-ca-cert={certificates.ca}", "-format=json"]
    one = ["-client-cert=from.pem", "-client-key=from.key"]
    assert b'"complete": true' not in kms(*run, *one, "tree").out
    both = ["-from-client-cert=from.pem", "-from-client-key=from.key"]
    both += ["-to-client-cert=to.pem", "-to-client-key=to.key"]
    assert "-from-client-key" in kms.refused(*run, both[0], "tree", code=1)
    done = json.loads(kms.ok(*run, *both, "tree"))
    assert (done["migrated"], done["complete"]) == (16, True)
    # What is one's own goes before what is for both.
    assert json.loads(kms.ok(*run, *one, *both[2:], "tree"))["complete"]
    check_opens(kms, plaintexts)


def test_a_migration_leaves_temporary_files_of_another_one(kms):
    tree(kms)
    other = kms.home / "tree/.kms-migrate-in-place-0123456789abcdef-abc123"
    other.write_bytes(b"of a run with another plan")
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    assert json.loads(kms.ok(*MIGRATE, "tree"))["complete"]
    assert other.exists()


def test_names_of_files_need_not_be_text(kms):
    name = os.fsdecode(b"b\xff")
    (kms.home / name).write_bytes(kms.ok("encrypt", stdin=SECRET))
    for flag in ([f"-in={name}"], [f"--in={name}"], ["-in", name]):
        assert kms.ok("decrypt", *flag) == SECRET


def test_a_tree_has_one_migration_at_a_time(kms):
    tree(kms)
    kms.keys("other.txt", byte=7)
    kms.configure(LOCAL.replace("keys.txt", "other.txt"), "b.toml")
    with (kms.home / "tree/.kms-migration").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for journal in ([], ["-journal=elsewhere"]):
            assert "at work" in kms.refused(*MIGRATE, *journal, "tree", code=1)
    assert json.loads(kms.ok(*MIGRATE, "-journal=elsewhere", "tree"))["files"] == 17


def test_a_service_that_is_away_stops_a_migration(kms):
    tree(kms)
    vault = '[kms.vault]\naddress = "http://127.0.0.1:1"\nauth = "token"\ntoken = "t"\n'
    kms.configure(f'[kms]\nenvironment = "dev"\ndev_backend = "vault"\n{vault}', "b.toml")
    done = kms(*MIGRATE, "tree")
    assert done.code == 2 and "cannot be reached" in done.json["stopped"]
    assert (done.json["migrated"], done.json["complete"], done.json["left"]) == (0, False, 17)


def test_large_envelopes_take_turns_in_memory(kms, serve):
    """They are whole in memory, with a copy of each for a moment; eight files wait for the service at once."""
    (kms.home / "tree").mkdir()
    key = base64.b64decode(kms.ok("generate-key", "-without-plaintext", "-field=ciphertext", "-context=env=prod"))
    large, count = 150 << 20, 8
    for number in range(count):
        with (kms.home / "tree" / f"envelope{number}").open("wb") as file:
            head = b"SKEV\x01" + struct.pack(">I", len(key)) + key + bytes(12)
            file.write(head + struct.pack(">I", large))
            # What it seals is not opened here, and its zeros take no room on the disk.
            file.truncate(file.tell() + large)
    command = ["migrate", f"-from={serve().url}", "-to=kms.toml", "-context=env=prod", "-key=other"]
    running = kms.start(*command, "-format=json", "-dry-run", "tree")
    told = json.loads(running.stdout.read())
    _, status, usage = os.wait4(running.pid, 0)
    assert status == 0 and (told["migrated"], told["failed"]) == (count, 0)
    assert large < usage.ru_maxrss << 10 < 4 * large
