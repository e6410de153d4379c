//! The binary itself, where it needs no server: help, version, mistakes and their exit codes.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its binary has failed"
)]

use std::process::{Command, Output};

/// An address where nothing listens: port 0 is never one.
const NOBODY: &str = "http://127.0.0.1:0";

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secretum"));
    let home = env!("CARGO_TARGET_TMPDIR");
    command
        .env_clear()
        .env("HOME", home)
        .env("VAULT_ADDR", NOBODY)
        .env("VAULT_MAX_RETRIES", "0");
    command
}

fn run(line: &str) -> (i32, String, String) {
    told(command().args(line.split_whitespace()).output().unwrap())
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_version_is_printed_in_every_spelling() {
    for line in ["version", "-version", "--version", "-v"] {
        let (code, stdout, _) = run(line);
        assert_eq!(code, 0, "{line}");
        assert!(stdout.starts_with("SecretumVault v"), "{stdout}");
    }
}

#[cfg(unix)]
#[test]
fn under_vaults_name_it_names_vault() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let vault = folder.path().join("vault");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_secretum"), &vault).unwrap();
    let (code, stdout, _) = told(Command::new(&vault).arg("-version").output().unwrap());
    assert!(code == 0 && stdout.starts_with("Vault v1."), "{stdout}");
    let (_, stdout, _) = told(Command::new(&vault).args(["kv", "-help"]).output().unwrap());
    assert!(stdout.contains("Usage: vault kv"), "{stdout}");
}

#[test]
fn every_command_has_help() {
    let commands = "read write patch delete list scan login status server unwrap kv token policy \
                    secrets auth audit operator path-help print";
    let groups = [
        "kv get",
        "kv put",
        "kv patch",
        "kv list",
        "kv delete",
        "kv undelete",
        "kv destroy",
        "kv rollback",
        "kv metadata get",
        "kv enable-versioning",
        "token create",
        "token lookup",
        "token renew",
        "token revoke",
        "token capabilities",
        "policy write",
        "secrets enable",
        "auth enable",
        "audit enable",
        "operator init",
        "operator unseal",
    ];
    for name in commands.split_whitespace().chain(groups) {
        for help in ["-h", "-help", "--help"] {
            let (code, stdout, _) = run(&format!("{name} {help}"));
            assert_eq!(code, 0, "{name} {help}");
            assert!(
                stdout.contains(&format!("Usage: secretum {name}")),
                "{name}: {stdout}"
            );
        }
    }
}

#[test]
fn help_is_a_word_too() {
    for line in ["help", "help kv", "help kv get"] {
        let (code, stdout, stderr) = run(line);
        let usage = line.replace("help", "Usage: secretum");
        assert_eq!(code, 0, "{line}: {stderr}");
        assert!(stdout.contains(&usage), "{line}: {stdout}");
    }
    let (code, _, stderr) = run("help statsu");
    assert!(
        code == 127 && stderr.contains("did you mean status?"),
        "{stderr}"
    );
}

#[test]
fn mistakes_are_named_with_what_was_meant() {
    for (line, code, told) in [
        ("", 127, "Usage: secretum"),
        ("statsu", 127, "did you mean status?"),
        ("kv", 1, "Usage: secretum kv"),
        ("kv gte a", 1, "did you mean get?"),
        (
            "kv get -formt=json a",
            1,
            "unknown flag -formt: did you mean -format?",
        ),
        ("kv get -zzz a", 1, "unknown flag -zzz"),
        ("kv get", 1, "not enough arguments: <PATH> is missing"),
        ("policy write", 1, "<NAME>, <FILE> are missing"),
        (
            "operator init -key-shares=x",
            1,
            "`x` is not a value for -key-shares: it must be a whole number",
        ),
        ("kv get a b", 1, "too many arguments"),
        (
            "token capabilities a b c d",
            1,
            "too many arguments: `d` is one more than it takes",
        ),
        (
            "token create -type=btch",
            1,
            "one of service, batch, default; did you mean batch?",
        ),
        ("audit enable fil", 1, "did you mean file?"),
        ("audit enable sysloog", 1, "did you mean syslog?"),
        ("kv get -format=xml a", 1, "Invalid output format `xml`"),
        ("kv get -version=x a", 1, "`x` is not a value for -version"),
        ("kv get a -field", 1, "-field needs a value"),
        ("kv put secret/a", 1, "Must supply data"),
        ("write secret/a", 1, "Must supply data or use -force"),
        ("write secret/a hunter2", 1, "key=value"),
        (
            "token create -ttl=soon",
            1,
            "`soon` is not a value for -ttl",
        ),
        ("token revoke", 1, "not enough arguments"),
        ("kv undelete a", 1, "-versions"),
        ("login -method=magic", 1, "unknown auth method `magic`"),
        ("read a/../b", 1, "`..`"),
        ("read -address=nonsense a", 1, "https://"),
        ("read -header=X-Vault-Token=x a", 1, "flags of its own"),
        (
            "read -ca-cert=/no/such/file -address=https://127.0.0.1:0 a",
            1,
            "/no/such/file",
        ),
        ("policy write a /no/such/file", 2, "/no/such/file"),
    ] {
        let (exit, stdout, stderr) = run(line);
        assert_eq!(exit, code, "{line}: {stderr}");
        assert!(stderr.contains(told), "{line}: {stderr}");
        assert!(
            stdout.is_empty() && !stderr.contains("hunter2"),
            "{line}: {stdout}{stderr}"
        );
    }
}

#[test]
fn an_unreached_server_is_the_servers_fault_but_not_for_status() {
    for (line, code) in [
        ("read a/b", 2),
        ("kv get a/b", 2),
        ("token lookup", 2),
        ("status", 1),
    ] {
        let (exit, stdout, stderr) = run(line);
        assert_eq!(exit, code, "{line}: {stderr}");
        assert!(
            stdout.is_empty() && stderr.contains(NOBODY),
            "{line}: {stderr}"
        );
        assert!(stderr.contains("Is a server running there?"), "{stderr}");
    }
}

#[test]
fn a_request_is_shown_as_curl_without_its_token() {
    let (code, stdout, stderr) = told(
        command()
            .env("VAULT_TOKEN", "hvs.planted")
            .args(["write", "-output-curl-string", "secret/a b", "k=it's"])
            .output()
            .unwrap(),
    );
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("curl -X PUT"), "{stdout}");
    assert!(
        stdout.contains("/v1/secret/a%20b'") && !stdout.contains("planted"),
        "{stdout}"
    );
}

#[test]
fn the_token_comes_from_the_environment_or_the_stored_file() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(home.path().join(".vault-token"), "stored\n").unwrap();
    let print = |variables: &[(&str, &str)]| {
        let mut command = command();
        command
            .env("HOME", home.path())
            .envs(variables.iter().copied())
            .args(["print", "token"]);
        told(command.output().unwrap())
    };
    assert_eq!(print(&[]), (0, "stored\n".to_owned(), String::new()));
    assert_eq!(print(&[("BAO_TOKEN", "b"), ("VAULT_TOKEN", "v")]).1, "v\n");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command()
        .args(["kv", "-help"])
        .stdout(writer)
        .output()
        .unwrap();
    let (code, _, stderr) = told(output);
    assert_eq!((code, stderr.as_str()), (0, ""));
}
