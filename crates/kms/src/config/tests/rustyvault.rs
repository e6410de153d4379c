//! `[kms.rustyvault]`.

use super::*;
use crate::{RustyVaultEngine, RustyVaultSettings, VaultAuth};

const DEV: &str = "[kms]\ndev_backend = \"rustyvault\"\n[kms.rustyvault]\n";
const PROD: &str =
    "[kms]\nenvironment = \"prod\"\nprod_backend = \"rustyvault\"\n[kms.rustyvault]\n";

fn read(text: &str) -> RustyVaultSettings {
    let variables = [("VAULT_ADDR", "http://h:8200"), ("VAULT_TOKEN", "t")];
    let backend = parse(text, &variables).unwrap().backend;
    backend.settings::<RustyVaultSettings>().unwrap().clone()
}

#[test]
fn a_rustyvault_is_read() {
    let settings = read(DEV);
    assert_eq!(settings.server.address, "http://h:8200".parse().unwrap());
    assert!(matches!(settings.server.auth, VaultAuth::Token(_)) && settings.server.tls_verify);
    let keys = &settings.keys;
    assert_eq!(keys.engine, RustyVaultEngine::Auto);
    assert_eq!(
        [&keys.transit_mount, &keys.kv_mount, &keys.kv_path],
        ["transit", "secret", "secretum-kms"]
    );
    assert!(!keys.create_key && keys.refresh == Duration::from_secs(300));
    assert_eq!(settings.server.timeout, Duration::from_secs(10));
    let settings = read(&format!(
        "{PROD}server_url = \"https://h:8200\"\nauth = \"approle\"\nrole_id = \"r\"\n\
         secret_id = \"s\"\nengine = \"kv\"\nkv_mount = \"kv1\"\nkv_path = \"team/keys\"\n\
         transit_mount = \"t\"\ntimeout = \"3s\"\nrefresh = \"1m\"\ncreate_key = true\nca_cert_path = \"ca.pem\"\n"
    ));
    assert!(matches!(settings.server.auth, VaultAuth::AppRole { .. }));
    assert_eq!(settings.server.timeout, Duration::from_secs(3));
    let keys = &settings.keys;
    assert_eq!(keys.engine, RustyVaultEngine::Kv);
    assert_eq!(
        [&keys.transit_mount, &keys.kv_mount, &keys.kv_path],
        ["t", "kv1", "team/keys"]
    );
    assert!(keys.create_key && keys.refresh == Duration::from_secs(60));
}

#[test]
fn a_rustyvault_says_what_it_needs() {
    for (text, wanted) in [
        (
            DEV.to_owned(),
            "[kms.rustyvault] has no `server_url`; write server_url = ",
        ),
        (
            format!("{DEV}server_url = \"https://h\"\n"),
            "[kms.rustyvault] has no `token`",
        ),
        (
            format!("{DEV}server_url = \"h\"\n"),
            "kms.toml:4: `server_url` is not the address of a server",
        ),
        (
            format!("{DEV}auth = \"kubernetes\"\n"),
            "`auth` is none that is known; write one of token, approle",
        ),
        (
            format!("{DEV}auth = \"approle\"\nrole_id = \"r\"\n"),
            "[kms.rustyvault] has no `secret_id`",
        ),
        (
            format!("{DEV}engine = \"kv2\"\n"),
            "write auto, transit or kv",
        ),
        (
            format!("{DEV}kv_path = \"../x\"\n"),
            "`kv_path` is the name of a place in the server",
        ),
        (
            format!("{DEV}address = \"x\"\n"),
            "no longer a key of [kms.rustyvault]; write server_url",
        ),
        (
            format!("{PROD}server_url = \"http://h\"\ntoken = \"planted\"\n"),
            "does not take a server without TLS",
        ),
        (
            format!("{PROD}server_url = \"https://h\"\ntoken = \"planted\"\ntls_verify = false\n"),
            "does not take tls_verify = false",
        ),
    ] {
        let told = told(&text);
        assert!(
            told.contains(wanted) && !told.contains("planted"),
            "{text}\n{told}"
        );
    }
}
