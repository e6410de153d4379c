//! What is said of each fault.

use super::*;

#[test]
fn faults_of_single_keys() {
    for (line, said) in [
        (
            "default_lease_ttl = \"soon\"",
            "a.hcl:5:21: `default_lease_ttl` must be a duration such as `768h`, `30m` or `90s`, or a number of seconds, not `soon`",
        ),
        (
            "max_lease_ttl = -1",
            "a.hcl:5:17: `max_lease_ttl` must be a duration such as `768h`, `30m` or `90s`, or a number of seconds, not the number `-1`",
        ),
        (
            "max_lease_ttl = \"87601h\"",
            "a.hcl:5:17: `max_lease_ttl` must be at most `87600h`, not `87601h`",
        ),
        (
            "disable_mlock = \"maybe\"",
            "a.hcl:5:17: `disable_mlock` must be `true` or `false`, not `maybe`",
        ),
        (
            "api_addr = \"not an address\"",
            "a.hcl:5:12: `api_addr` must be a URL such as `https://vault.example.com:8200`, not `not an address`",
        ),
        (
            "api_addr = \"http://{{ GetAllInterfaces }}:8200\"",
            "a.hcl:5:12: `api_addr` has a template that cannot be filled in: `GetAllInterfaces` is not known: `{{ GetPrivateIP }}`, `{{ GetPublicIP }}` and `{{ GetInterfaceIP \"eth0\" }}` are filled in",
        ),
        (
            "cluster_addr = 1",
            "a.hcl:5:16: `cluster_addr` must be a URL such as `https://vault.example.com:8200`, not the number `1`",
        ),
        (
            "cluster_name = [1]",
            "a.hcl:5:16: `cluster_name` must be a text in quotes, not a list",
        ),
        (
            "cluster_name \"x\" {}",
            "a.hcl:5:18: `cluster_name` must be a text in quotes, not a block",
        ),
        (
            "log_level = \"loud\"",
            "a.hcl:5:13: `log_level` must be `trace`, `debug`, `info`, `warn` or `error`, not `loud`",
        ),
        (
            "log_format = true",
            "a.hcl:5:14: `log_format` must be `standard` or `json`, not the flag `true`",
        ),
        (
            "cluster_name = \"a\\\n\"",
            "a.hcl:5:19: the escape `\\\u{fffd}` is not known; a backslash itself is written `\\\\`",
        ),
        (
            "default_lease_ttl = \"2h\"\nmax_lease_ttl = \"1h\"",
            "a.hcl:6:17: `max_lease_ttl` (`1h`) is shorter than `default_lease_ttl` (`2h`); raise it, or lower the other",
        ),
        (
            "audit_directory = \"/absent\"",
            "a.hcl:5:19: `audit_directory` cannot be `/absent`: there is no such folder; make it",
        ),
        (
            "audit_directory = \"/dev/null\"",
            "a.hcl:5:19: `audit_directory` cannot be `/dev/null`: it is no folder; make one there, or name another",
        ),
    ] {
        assert_eq!(fault_of(line), [said]);
    }
}

#[test]
fn faults_of_open_ceremonies() {
    for (line, said) in [
        (
            "enable_unauthenticated_access = \"rekey\"",
            "a.hcl:5:33: `enable_unauthenticated_access` must be a list of `generate-root` and `rekey`, not `rekey`",
        ),
        (
            "enable_unauthenticated_access = [\"everything\"]",
            "a.hcl:5:33: `enable_unauthenticated_access` must be a list of `generate-root` and `rekey`, not a list",
        ),
    ] {
        assert_eq!(fault_of(line), [said]);
    }
}

#[test]
fn faults_of_stanzas() {
    for (line, said) in [
        (
            "storage \"inmem\" {}",
            "a.hcl:5:1: a second storage is configured; keep this one or that of a.hcl:1:1",
        ),
        (
            "listener \"tcp\" {\n  tls_disable = true\n}",
            "a.hcl:5:1: the listener of a.hcl:2:1 has the address `127.0.0.1:8200` too; leave one out",
        ),
        (
            "listener \"tpc\" {}",
            "a.hcl:5:1: listener `tpc` is not known; write `listener \"tcp\" { address = \"127.0.0.1:8200\" }`",
        ),
        (
            "listener \"tcp\" \"x\" {}",
            "a.hcl:5:16: `listener` takes one name; leave out `x`",
        ),
        (
            "listener {\n  address = \"a:1\"\n}",
            "a.hcl:5:1: `listener` does not say its kind; write `listener \"tcp\" { address = \"127.0.0.1:8200\" }`",
        ),
        (
            "listener = \"tcp\"",
            "a.hcl:5:12: `listener` must be a block, not `tcp`; write `listener \"tcp\" { address = \"127.0.0.1:8200\" }`",
        ),
    ] {
        assert_eq!(fault_of(line), [said]);
    }
}

#[test]
fn faults_of_storages() {
    for (name, storage, said) in [
        (
            "a.hcl",
            "storage \"floppy\" {}",
            "a.hcl:4:1: storage `floppy` is not served; write `storage \"raft\" { path = \"/var/lib/secretum\" }`",
        ),
        (
            "a.hcl",
            "storage \"consul\" {\n  address = \"x\"\n}",
            "a.hcl:4:1: storage `consul` is not served; write `storage \"raft\" { path = \"/var/lib/secretum\" }`",
        ),
        (
            "a.hcl",
            "storage \"raft\" {}",
            "a.hcl:4:1: the storage has no `path`; write `path = \"/var/lib/secretum\"`",
        ),
        (
            "a.hcl",
            "storage \"file\" {\n  path = 5\n}",
            "a.hcl:5:10: `path` must be a path in quotes, not the number `5`",
        ),
        (
            "a.hcl",
            "storage {\n  path = \"x\"\n}",
            "a.hcl:4:1: `storage` does not say its kind; write `storage \"raft\" { path = \"/var/lib/secretum\" }`",
        ),
        (
            "a.hcl",
            "",
            "a.hcl: no storage is configured; add `storage \"raft\" { path = \"/var/lib/secretum\" }`",
        ),
    ] {
        let text = format!("{OPEN}{storage}\n");
        assert_eq!(faults(name, &text), [said]);
    }
    assert_eq!(
        faults("a.hcl", &format!("{OPEN}stowage \"raft\" {{}}")),
        [
            "a.hcl: no storage is configured; add `storage \"raft\" { path = \"/var/lib/secretum\" }`",
            "a.hcl:4:1: warning: `stowage` is not known and has no effect; if `storage` is meant, write that",
        ]
    );
    assert_eq!(
        faults("a.json", "{\"storage\": {\"raft\": {}}}"),
        [
            "a.json: no listener is configured; add `\"listener\": {\"tcp\": {\"address\": \"127.0.0.1:8200\"}}`",
            "a.json:1:14: the storage has no `path`; write `\"path\": \"/var/lib/secretum\"`",
        ]
    );
    assert_eq!(
        faults("a.toml", "[storage.raft]\n"),
        [
            "a.toml: no listener is configured; add `[listener.tcp]` with `address = \"127.0.0.1:8200\"`",
            "a.toml:1:10: the storage has no `path`; write `path = \"/var/lib/secretum\"`",
        ]
    );
}

#[test]
fn faults_of_listeners() {
    for (lines, said) in [
        (
            "",
            "a.hcl:2:1: the listener has no TLS; set `tls_cert_file` and `tls_key_file`, or `tls_disable = true`",
        ),
        (
            "tls_disable = false",
            "a.hcl:2:1: the listener has no TLS; set `tls_cert_file` and `tls_key_file`, or `tls_disable = true`",
        ),
        (
            "tls_disable = \"x\"",
            "a.hcl:3:15: `tls_disable` must be `true` or `false`, not `x`",
        ),
        (
            "tls_cert_file = \"DIR/cert.pem\"",
            "a.hcl:3:17: `tls_cert_file` needs `tls_key_file`; set both, or `tls_disable = true`",
        ),
        (
            "tls_key_file = \"DIR/key.pem\"",
            "a.hcl:3:16: `tls_key_file` needs `tls_cert_file`; set both, or `tls_disable = true`",
        ),
        (
            "tls_disable = true\naddress = \"127.0.0.1\"",
            "a.hcl:4:11: `address` must be a host and a port of at most 65535, such as `127.0.0.1:8200` or `[::]:8200`, not `127.0.0.1`",
        ),
        (
            "tls_disable = true\naddress = \"127.0.0.1:99999\"",
            "a.hcl:4:11: `address` must be a host and a port of at most 65535, such as `127.0.0.1:8200` or `[::]:8200`, not `127.0.0.1:99999`",
        ),
        (
            "tls_disable = true\nmax_request_size = 1073741825",
            "a.hcl:4:20: `max_request_size` must be a number of bytes from 1 to 1073741824, not the number `1073741825`",
        ),
        (
            "tls_disable = true\ntls_require_and_verify_client_cert = true",
            "a.hcl:4:38: `tls_require_and_verify_client_cert` contradicts `tls_disable`; leave out one of them",
        ),
        (
            "tls_disabel = true",
            "a.hcl:2:1: the listener has no TLS; set `tls_cert_file` and `tls_key_file`, or `tls_disable = true`",
        ),
    ] {
        let found = listener_faults(lines);
        assert_eq!(found.first().unwrap(), said);
        let misspelt = "a.hcl:3:1: warning: `tls_disabel` is not known and has no effect; if `tls_disable` is meant, write that";
        let expected = 1 + usize::from(lines.starts_with("tls_disabel "));
        assert_eq!(found.len(), expected, "{found:?}");
        assert!(expected == 1 || found.iter().any(|one| one == misspelt));
    }
}

#[test]
fn faults_of_tls() {
    let files = "tls_cert_file = \"DIR/cert.pem\"\ntls_key_file = \"DIR/key.pem\"\n";
    for (lines, said) in [
        (
            "tls_min_version = \"tls9\"",
            "a.hcl:5:19: `tls_min_version` must be `tls12` or `tls13`, not `tls9`",
        ),
        (
            "tls_max_version = \"tls11\"",
            "a.hcl:5:19: `tls_max_version` must be `tls12` or `tls13`, not `tls11`",
        ),
        (
            "tls_min_version = \"tls13\"\ntls_max_version = \"tls12\"",
            "a.hcl:5:19: `tls_min_version` is above `tls_max_version`; leave out one of them",
        ),
        (
            "tls_require_and_verify_client_cert = true",
            "a.hcl:5:38: `tls_require_and_verify_client_cert` needs `tls_client_ca_file`",
        ),
        (
            "tls_require_and_verify_client_cert = true\ntls_disable_client_certs = true",
            "a.hcl:5:38: `tls_require_and_verify_client_cert` contradicts `tls_disable_client_certs`; leave out one of them",
        ),
        (
            "tls_client_ca_file = \"DIR/key.pem\"",
            "a.hcl:5:22: `tls_client_ca_file` cannot be `key.pem`: it holds no certificate in PEM",
        ),
    ] {
        assert_eq!(listener_faults(&format!("{files}{lines}")), [said]);
    }
    for (cert, key, said) in [
        (
            "/absent.pem",
            "DIR/key.pem",
            "a.hcl:3:17: `tls_cert_file` cannot be `/absent.pem`: there is no such file",
        ),
        (
            "/dev/null",
            "DIR/key.pem",
            "a.hcl:3:17: `tls_cert_file` cannot be `/dev/null`: it holds no certificate in PEM",
        ),
        (
            "/",
            "DIR/key.pem",
            "a.hcl:3:17: `tls_cert_file` cannot be `/`: it is a folder",
        ),
        (
            "/dev/zero",
            "DIR/key.pem",
            "a.hcl:3:17: `tls_cert_file` cannot be `/dev/zero`: it holds no certificate in PEM",
        ),
        (
            "DIR/cert.pem",
            "DIR/cert.pem",
            "a.hcl:4:16: `tls_key_file` cannot be `cert.pem`: it holds no private key in PEM",
        ),
        (
            "DIR/cert.pem",
            "/absent.pem",
            "a.hcl:4:16: `tls_key_file` cannot be `/absent.pem`: there is no such file",
        ),
    ] {
        let lines = format!("tls_cert_file = \"{cert}\"\ntls_key_file = \"{key}\"");
        assert_eq!(listener_faults(&lines), [said]);
    }
}

#[test]
fn all_faults_in_one_run() {
    let text = HCL
        .replace("168h", "soon")
        .replace("127.0.0.1:8200\"\n  tls", "127.0.0.1:99999\"\n  tls")
        .replace("= true", "= \"maybe\"");
    let found = faults("a.hcl", &text);
    let lines: Vec<_> = found
        .iter()
        .map(|said| said.split(": ").next().unwrap())
        .collect();
    assert_eq!(lines, ["a.hcl:7:19", "a.hcl:13:21", "a.hcl:14:21"]);
}

#[test]
fn broken_syntax() {
    for (name, text, said) in [
        (
            "a.hcl",
            "api_addr = = \"x\"",
            "a.hcl:1:12: expected a value, found `=`",
        ),
        (
            "a.json",
            "{\"ui\": }",
            "a.json:1:8: expected a value, found `}`",
        ),
        (
            "a.json",
            "ui = true",
            "a.json:1:1: a JSON configuration begins with `{`; end the file's name in `.hcl` or `.toml` if it is that",
        ),
        (
            "a.toml",
            "log_level = 99999999999999999999",
            "a.toml:1:13: `99999999999999999999` is no number that can be held; write it in quotes if it is a text",
        ),
        (
            "a.toml",
            "a = nan",
            "a.toml:1:5: `nan` is no number that can be held; write it in quotes if it is a text",
        ),
    ] {
        assert_eq!(faults(name, text), [said]);
    }
    let found = faults("a.toml", "é = 1\nui = = 1\n[x\n");
    let lines: Vec<_> = found
        .iter()
        .map(|said| said.split(':').nth(1).unwrap())
        .collect();
    assert_eq!(lines, ["1", "2", "3"], "{found:?}");
}

#[test]
fn positions_in_toml_are_lines_and_characters() {
    let long = "é".repeat(200);
    let text = format!(
        "[storage.inmem]\n[listener.tcp]\ncluster_address = [\"{long}\", true]\ntls_disable = 3\n"
    );
    let found = faults("a.toml", &text);
    assert!(found[0].starts_with("a.toml:3:19: "), "{found:?}");
    assert!(found[1].starts_with("a.toml:4:15: "), "{found:?}");
    let text = format!(
        "storage.inmem = {{}}\nlistener.tcp = {{ cluster_name = \"{long}\", tls_disable = 3 }}\n"
    );
    let found = faults("a.toml", &text);
    assert!(found[1].starts_with("a.toml:2:251: "), "{found:?}");
}

#[test]
fn stanzas_that_hold_nothing_are_none() {
    let storage = "a.json: no storage is configured; add `\"storage\": {\"raft\": {\"path\": \"/var/lib/secretum\"}}`";
    let listener = "a.json: no listener is configured; add `\"listener\": {\"tcp\": {\"address\": \"127.0.0.1:8200\"}}`";
    for text in [
        r#"{"storage": null, "listener": []}"#,
        r#"{"backend": [], "listener": null}"#,
        r#"{"storage": {"raft": []}, "listener": [[], {"tcp": []}]}"#,
    ] {
        assert_eq!(faults("a.json", text), [storage, listener], "{text}");
    }
}

#[test]
fn what_the_tls_library_refuses_is_named_with_its_place() {
    let config = good("a.hcl", HCL);
    let tls = config.listeners[0].tls.as_ref().unwrap();
    let said = [
        tls.cert_refused("it has expired"),
        tls.key_refused("it is too short"),
    ];
    for (notice, place, message) in [
        (
            &said[0],
            ":8:19: `tls_cert_file` cannot be `",
            "/cert.pem`: it has expired",
        ),
        (
            &said[1],
            ":9:19: `tls_key_file` cannot be `",
            "/key.pem`: it is too short",
        ),
    ] {
        let notice = notice.to_string();
        assert!(
            notice.contains(place) && notice.ends_with(message),
            "{notice}"
        );
    }
    assert_eq!(tls.client_ca_refused("it has expired"), None);
}
