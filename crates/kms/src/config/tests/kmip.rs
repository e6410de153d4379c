//! `[kms.kmip]` and `[kms.cosmian]`.

use super::*;

const KMIP: &str = "[kms]\ndev_backend = \"kmip\"\n[kms.kmip]\n";
const COSMIAN: &str = "[kms]\ndev_backend = \"cosmian\"\n[kms.cosmian]\n";

#[cfg(feature = "kmip")]
#[test]
fn a_kmip_server_is_read() {
    let files =
        "host = \"h\"\nclient_cert_path = \"~/c\"\nclient_key_path = \"k\"\nca_path = \"a\"\n";
    let read = |more: &str| parse(&format!("{KMIP}{files}{more}"), &[("HOME", "/u")]).unwrap();
    let config = read("");
    let server: &crate::KmipServer = config.backend.settings().unwrap();
    let mut wanted = crate::KmipServer::new("h", "/u/c".into(), "k".into(), "a".into());
    assert_eq!(*server, wanted);
    assert_eq!(
        (server.port, config.default_key.as_str()),
        (5696, "default")
    );
    let config = read(
        "port = 5697\nserver_name = \"n\"\nversion = \"1.4\"\ntimeout = \"3s\"\n\
         connections_max = 2\ndefault_key_id = \"app\"\n",
    );
    wanted.port = 5697;
    wanted.server_name = Some("n".to_owned());
    wanted.version = Some("1.4".to_owned());
    wanted.timeout = Duration::from_secs(3);
    wanted.connections_max = 2;
    assert_eq!(config.backend.settings(), Some(&wanted));
    assert_eq!(config.default_key.as_str(), "app");
    let made = create_kms(&config, &Environment::of([]), &Observers::default());
    assert!(matches!(made, Err(KmsError::File { .. })));
}

#[cfg(feature = "kmip")]
#[test]
fn a_kmip_server_says_what_it_needs() {
    for (body, wanted) in [
        ("", "kms.toml:3: [kms.kmip] has no `host`; write host = "),
        ("host = \"h\"", "has no `ca_path`; write ca_path = "),
        ("host = \"\"", "has no `host`"),
        (
            "port = 70000",
            "kms.toml:4: `port` is a whole number from 1 to 65535",
        ),
        (
            "server_url = \"x\"",
            "no longer a key of [kms.kmip]; write host and port",
        ),
        ("hots = \"h\"", "did you mean `host`?"),
    ] {
        let told = told(&format!("{KMIP}{body}\n"));
        assert!(told.contains(wanted), "{body}\n{told}");
    }
    let files =
        "host = \"h\"\nclient_cert_path = \"c\"\nclient_key_path = \"k\"\nca_path = \"a\"\n";
    let told = told(&format!("{KMIP}{files}version = \"1.1\"\n"));
    assert!(told.contains("kms.toml:8: `version` is none"), "{told}");
}

#[cfg(feature = "cosmian")]
#[test]
fn a_cosmian_server_is_read() {
    let variables = [
        ("COSMIAN_KMS_URL", "http://127.0.0.1:9998"),
        ("COSMIAN_API_KEY", "planted"),
    ];
    let config = parse("[kms]\ndev_backend = \"cosmian\"\n", &variables).unwrap();
    assert!(!format!("{config:?}").contains("planted"));
    let server: &crate::CosmianServer = config.backend.settings().unwrap();
    assert_eq!(server.url, "http://127.0.0.1:9998");
    assert_eq!(server.api_key.as_ref().unwrap().expose(), "planted");
    assert!(server.tls_verify && server.ca.is_none());
    let kms = create_kms(&config, &Environment::of([]), &Observers::default()).unwrap();
    assert_eq!(kms.capabilities().provider, "cosmian");

    let whole = "[kms]\nenvironment = \"prod\"\nprod_backend = \"cosmian\"\n[kms.cosmian]\n\
                 server_url = \"https://c:9998\"\napi_key = \"${KEY}\"\ndefault_key_id = \"app\"\n\
                 tls_verify = true\nca_path = \"ca\"\n";
    let config = parse(whole, &[("KEY", "k"), ("COSMIAN_API_KEY", "other")]).unwrap();
    let server: &crate::CosmianServer = config.backend.settings().unwrap();
    assert_eq!(server.api_key.as_ref().unwrap().expose(), "k");
    assert_eq!(config.default_key.as_str(), "app");
}

#[cfg(feature = "cosmian")]
#[test]
fn a_cosmian_server_says_what_it_needs() {
    for (body, wanted) in [
        ("", "has no `server_url`; write server_url = "),
        (
            "server_url = \"planted\"",
            "kms.toml:4: `server_url` is not the address",
        ),
        (
            "server_url = \"https://c\"\nclient_cert_path = \"c\"",
            "write both",
        ),
        (
            "url = \"x\"",
            "kms.toml:4: `url` is no longer a key of [kms.cosmian]; write server_url",
        ),
    ] {
        let told = told(&format!("{COSMIAN}{body}\n"));
        assert!(told.contains(wanted), "{body}\n{told}");
        assert!(!told.contains("planted"), "{told}");
    }
    let prod = "[kms]\nenvironment = \"prod\"\nprod_backend = \"cosmian\"\n[kms.cosmian]\n";
    let told = |body| told(&format!("{prod}{body}\n"));
    let plain = told("server_url = \"http://c\"");
    assert!(
        plain.contains("does not take a server without TLS"),
        "{plain}"
    );
    let unverified = told("server_url = \"https://c\"\ntls_verify = false");
    assert!(
        unverified.contains("does not take tls_verify = false"),
        "{unverified}"
    );
}

#[cfg(feature = "cosmian")]
#[test]
fn the_default_key_is_named_once() {
    let url = "server_url = \"https://c\"\n";
    let twice = format!(
        "[kms]\ndev_backend = \"cosmian\"\ndefault_key = \"a\"\n[kms.cosmian]\n{url}\
         default_key_id = \"b\"\n"
    );
    let refused = told(&twice);
    assert!(refused.contains("leave one of them out"), "{refused}");
    let empty = told(&format!("{COSMIAN}{url}default_key_id = \"\"\n"));
    assert!(
        empty.contains("kms.toml:5: `default_key_id` is not"),
        "{empty}"
    );
    // The table of a backend that does not serve says nothing.
    let other = "[kms]\ndev_backend = \"local\"\ndefault_key = \"a\"\n\
                 [kms.cosmian]\ndefault_key_id = \"b\"\n";
    assert_eq!(parse(other, &[]).unwrap().default_key.as_str(), "a");
    // But where that one is asked for by its name.
    let text = format!("{other}{url}api_key = \"k\"\n");
    let (file, environment) = (Path::new("kms.toml"), Environment::of([]));
    let load = |name| KmsConfig::parse_for(file, &text, &environment, Some(name)).unwrap();
    assert_eq!(load("cosmian").default_key.as_str(), "b");
    assert_eq!(load("local").default_key.as_str(), "a");
    let misplaced = told("[kms]\ndev_backend = \"local\"\ndefault_key_id = \"a\"\n");
    assert!(misplaced.contains("write default_key"), "{misplaced}");
    let no_table = told("[kms]\ndev_backend = \"cosmian\"\ncosmian = 1\n");
    assert!(no_table.contains("write [kms.cosmian]"), "{no_table}");
}
