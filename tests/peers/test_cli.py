"""How a command line behaves in a script: exit codes, formats, inputs, environment, token file."""

import json
import os

import pytest
from command import Cli
from node import free_port, only_secretum, secretum_binary


@pytest.fixture
def secret(cli, kv1):
    cli.ok("write", f"{kv1}/a", "x=1")
    return f"{kv1}/a"


# --- exit codes --------------------------------------------------------------------------------


def test_exit_codes(cli, kv1):
    cli("read").expect(1)  # wrong use
    cli("read", "-nonsense", kv1).expect(1)
    cli("read", f"{kv1}/nope").expect(2)  # the server said no
    assert cli("nonsense").code in (1, 127)
    assert cli("kv", "nonsense").code in (1, 127)
    for arguments in (("-h",), ("kv", "-h"), ("kv", "get", "-h"), ("--help",)):
        run = cli(*arguments)
        assert run.code in (0, 127) and "Usage:" in run.out + run.err


def test_nobody_there(cli):
    run = cli("status", VAULT_ADDR=f"http://127.0.0.1:{free_port()}", BAO_ADDR="http://127.0.0.1:1")
    assert run.code == 1 and "Error checking seal status" in run.err


def test_a_server_nobody_vouches_for(cli):
    environment = {"VAULT_CACERT": "", "BAO_CACERT": "", "SSL_CERT_FILE": "/dev/null"}
    run = cli("status", **environment)
    assert run.code == 1 and "certificate" in run.err.lower()
    cli.ok("status", **environment, VAULT_SKIP_VERIFY="true", BAO_SKIP_VERIFY="true")
    cli.ok("status", "-tls-skip-verify", **environment)


def test_errors_name_the_request(cli):
    run = cli("write", "nowhere/at/all", "x=1").expect(2)
    lines = run.err.splitlines()
    assert lines[0] == "Error writing data to nowhere/at/all: Error making API request."
    assert lines[2:4] == [f"URL: PUT {cli.node.address}/v1/nowhere/at/all", "Code: 404. Errors:"]
    assert lines[-1] == '* no handler for route "nowhere/at/all". route entry not found.'
    assert run.out == ""


@only_secretum("`bao` leaves it at the refusal")
def test_a_refusal_says_what_to_try(fresh, tmp_path):
    node = fresh().start()
    nobody = Cli("secretum", node, tmp_path, token="")
    sealed = nobody("kv", "get", "secret/a").expect(2)
    assert sealed.err.endswith("`secretum operator unseal` opens it.\n")
    node.initialize().unseal()
    assert "log in by `secretum login`" in nobody("secrets", "list").expect(2).err
    stranger = nobody.as_token("hvs.unknown")
    assert "`secretum token lookup`" in stranger("secrets", "list").expect(2).err


# --- output ------------------------------------------------------------------------------------


def test_field_has_no_newline_in_a_pipe(cli, secret):
    assert cli.ok("read", "-field=x", secret).out == "1"
    assert json.loads(cli.ok("read", "-field=data", "-format=json", secret).out) == {"x": "1"}
    missing = cli("read", "-field=nope", secret).expect(1)
    assert 'Field "nope" not present in secret' in missing.err


def test_formats(cli, secret):
    assert cli.ok("read", "-format=json", secret).json["data"] == {"x": "1"}
    assert cli.ok("read", "-format=yaml", secret).yaml["data"] == {"x": "1"}
    table = cli.ok("read", "-format=table", secret).out
    assert table == cli.ok("read", secret).out and table.startswith("Key ")
    from_environment = cli.ok("read", secret, VAULT_FORMAT="json", BAO_FORMAT="json")
    assert from_environment.json["data"] == {"x": "1"}
    back = cli.ok("read", "-format=table", secret, VAULT_FORMAT="json", BAO_FORMAT="json")
    assert back.out == table
    assert "Invalid output format" in cli("read", "-format=bogus", secret).expect(1).err


def test_json_of_a_read_has_the_envelope(cli, secret):
    answer = cli.ok("read", "-format=json", secret).json
    assert list(answer) == [
        "request_id",
        "lease_id",
        "lease_duration",
        "renewable",
        "data",
        "warnings",
    ]


def test_warnings_go_to_the_error_stream(cli, kv2):
    run = cli.ok("write", "-format=table", f"{kv2}/data/a", "-", stdin='{"data":{},"bogus":1}')
    assert "Endpoint ignored these unrecognized parameters: [bogus]" in run.err
    assert "bogus" not in run.out


def test_numbers_are_not_changed_on_the_way(cli, kv1):
    body = '{"n": 9007199254740993}'
    cli.ok("write", f"{kv1}/n", "-", stdin=body)
    assert "9007199254740993" in cli.ok("read", "-format=json", f"{kv1}/n").out
    assert cli.ok("read", "-field=n", f"{kv1}/n").out == "9007199254740993"


# --- input -------------------------------------------------------------------------------------


def test_values_from_stdin_and_files(cli, kv1):
    (cli.home / "v").write_text("from a file\n")
    cli.ok("write", f"{kv1}/a", "s=-", "f=@v", r"at=\@v", "e=", "eq=a=b", stdin="from stdin")
    data = cli.ok("read", "-format=json", f"{kv1}/a").json["data"]
    expected = {"s": "from stdin", "f": "from a file\n", "at": "@v", "e": "", "eq": "a=b"}
    assert data == expected


@pytest.mark.parametrize("argument", ["-", "@body.json"])
def test_a_whole_body(cli, kv1, argument):
    body = '{"n": {"deep": [1, true, null]}}'
    (cli.home / "body.json").write_text(body)
    cli.ok("write", f"{kv1}/a", argument, stdin=body)
    assert cli.ok("read", "-format=json", f"{kv1}/a").json["data"] == json.loads(body)
    cli.ok("kv", "put", f"{kv1}/b", argument, stdin=body)
    assert cli.ok("read", "-format=json", f"{kv1}/b").json["data"] == json.loads(body)


@pytest.mark.parametrize("argument", ["no-equals-sign", "x=@absent", "@absent"])
def test_impossible_values(cli, kv1, argument):
    assert cli("write", f"{kv1}/a", argument).expect(1).err.strip()


def test_the_same_key_twice_is_a_list(cli, kv1):
    cli.ok("write", f"{kv1}/a", "x=1", "x=2")
    assert cli.ok("read", "-format=json", f"{kv1}/a").json["data"] == {"x": ["1", "2"]}


def test_writes_without_fields_need_force(cli):
    assert "Must supply data" in cli("write", "sys/rotate").expect(1).err
    for flag in ("-f", "-force"):
        assert cli.ok("write", flag, "sys/rotate").out == "Success! Data written to: sys/rotate\n"


def test_flags_with_one_dash_or_two(cli, secret):
    for arguments in (("-field=x",), ("--field=x",), ("-field", "x"), ("--field", "x")):
        assert cli.ok("read", *arguments, secret).out == "1"


def test_flags_name_the_server(cli, secret):
    node = cli.node
    bare = Cli(cli.client, node, cli.home)
    bare.environment = lambda: {
        "HOME": str(cli.home),
        "PATH": os.environ["PATH"],
        "VAULT_TOKEN": node.root_token,
        "BAO_TOKEN": node.root_token,
    }
    flags = (f"-address={node.address}", f"-ca-cert={node.cafile}")
    assert bare.ok("read", *flags, "-field=x", secret).out == "1"


# --- the token ---------------------------------------------------------------------------------


def test_which_token(cli):
    """The environment goes before the file; without either the server refuses."""
    token = cli.ok("token", "create", "-policy=default", "-ttl=1h", "-field=token").out
    stranger = cli.as_token("")
    assert "permission denied" in stranger("token", "lookup").expect(2).err
    helper = cli.home / ".vault-token"
    helper.write_text(token)
    assert stranger.ok("token", "lookup", "-field=id").out == token
    assert cli.ok("token", "lookup", "-field=id").out == cli.node.root_token
    assert cli.ok("print", "token").out == cli.node.root_token + "\n"
    helper.write_text(token + "\n")
    assert stranger.ok("token", "lookup", "-field=id").out == token


def test_wrapped_answers(cli, kv1):
    cli.ok("write", f"{kv1}/a", "x=1")
    wrapped = cli.ok("read", "-wrap-ttl=60s", "-format=json", f"{kv1}/a").json["wrap_info"]
    assert wrapped["ttl"] == 60 and wrapped["creation_path"] == f"{kv1}/a"


# --- the name it goes by -----------------------------------------------------------------------


@only_secretum("about our binary's other name")
def test_under_the_name_of_vault(tmp_path, node):
    vault = tmp_path / "vault"
    vault.symlink_to(secretum_binary())
    cli = Cli("secretum", node, tmp_path)
    cli.binary = str(vault)
    for arguments in (("-version",), ("version",), ("--version",)):
        assert cli.ok(*arguments).out.startswith("Vault v")
    cli.ok("status")
    own = Cli("secretum", node, tmp_path)
    assert "ecretum" in own.ok("version").out


def test_a_mount_moves_with_all_it_holds(cli, wire, name):
    cli.ok("secrets", "enable", f"-path={name}", "kv")
    cli.ok("write", f"{name}/a", "x=kept")
    moved = cli.ok("secrets", "move", name, f"{name}-moved/deep")
    assert f"{name}/" in moved.out + moved.err
    assert cli.ok("read", "-field=x", f"{name}-moved/deep/a").out.strip() == "kept"
    refused = cli("secrets", "move", name, f"{name}-other").expect(2)
    assert name in refused.err
    wire.delete(f"sys/mounts/{name}-moved/deep").expect(204)



# --- what is refused, and how ------------------------------------------------------------------


@only_secretum("`bao` has words of its own for it")
def test_a_flag_before_its_command_is_sent_behind_it(ours):
    for arguments, command in (
        (("-format=json", "kv", "get", "secret/a"), "secretum kv get"),
        (("kv", "-field=a", "get", "secret/a"), "secretum kv get"),
        (("-address=http://127.0.0.1:1", "status"), "secretum status"),
    ):
        flag = arguments[0] if arguments[0].startswith("-") else arguments[1]
        flag = flag.split("=")[0]
        said = ours(*arguments).expect(1).err
        assert f"unknown flag {flag} in this place" in said and f"`{command} {flag}`" in said


@only_secretum("`bao` prints tables under this name, too")
def test_a_format_that_is_none_is_refused(ours, kv1):
    said = ours("read", "-format=pretty", f"{kv1}/a").expect(1).err
    assert "`pretty`: one of table, json, yaml, raw" in said


@only_secretum("OpenBao checks nothing before it starts")
def test_a_check_never_starts_a_server(ours):
    said = ours("server", "-dev", "-check", f"-dev-listen-address=127.0.0.1:{free_port()}")
    assert said.expect(1).err.startswith("-check reads a configuration")
