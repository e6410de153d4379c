//! `[kms.azure]`.

use super::*;
use crate::{AzureAlgorithm, AzureCredentials};

const VAULT: &str =
    "[kms]\ndev_backend = \"azure\"\n[kms.azure]\nvault_url = \"https://v.vault.azure.net\"\n";
const SECRET: [(&str, &str); 3] = [
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_CLIENT_SECRET", "planted"),
];

fn read(text: &str, variables: &[(&str, &str)]) -> (KmsConfig, crate::AzureSettings) {
    let config = parse(text, variables).unwrap();
    let settings = config
        .backend
        .settings::<crate::AzureSettings>()
        .unwrap()
        .clone();
    (config, settings)
}

fn production(body: &str) -> String {
    let prod = VAULT.replace("dev_backend", "environment = \"prod\"\nprod_backend");
    format!("{prod}{body}\n")
}

#[test]
fn a_vault_is_read() {
    let (config, settings) = read(&format!("{VAULT}key_name = \"app\"\n"), &SECRET);
    assert_eq!(config.default_key.as_str(), "app");
    assert_eq!(settings.algorithm, AzureAlgorithm::RsaOaep256);
    assert!(matches!(
        settings.credentials,
        AzureCredentials::Secret { .. }
    ));
    assert!(!format!("{config:?}").contains("planted"));
    let kms = create_kms(&config, &Environment::of([]), &Observers::default()).unwrap();
    assert_eq!(kms.capabilities().provider, "azure");

    let pinned = "key_name = \"app\"\nkey_version = \"0a\"\ntimeout = \"3s\"\nca_path = \"/a\"\n\
                  verify_challenge_resource = false\nalgorithm = \"A256GCM\"\n\
                  authority_host = \"https://login.example\"\n";
    let (config, settings) = read(&format!("{VAULT}{pinned}"), &[]);
    assert_eq!(config.default_key.as_str(), "app/0a");
    assert_eq!(settings.algorithm, AzureAlgorithm::A256Gcm);
    assert_eq!(settings.timeout, Some(Duration::from_secs(3)));
    assert!(!settings.verify_challenge_resource && settings.ca.is_some());
}

#[test]
fn credentials_are_those_that_are_named_or_there() {
    let of = |text: &str, variables: &[(&str, &str)]| read(text, variables).1.credentials;
    assert_eq!(of(VAULT, &[]), AzureCredentials::DeveloperTools);
    let none = AzureCredentials::ManagedIdentity { client_id: None };
    assert_eq!(of(&production(""), &[]), none);
    let pod = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/t"),
        ("AZURE_CLIENT_ID", "c"),
    ];
    let of_pod = AzureCredentials::WorkloadIdentity {
        tenant_id: None,
        client_id: Some("c".to_owned()),
    };
    assert_eq!(of(&production(""), &pod), of_pod);
    let by_certificate = |path: &str| AzureCredentials::Certificate {
        tenant_id: "t".to_owned(),
        client_id: "c".to_owned(),
        path: path.into(),
    };
    let ids = "tenant_id = \"t\"\nclient_id = \"c\"\n";
    let text = format!("{VAULT}{ids}client_certificate_path = \"~/app.pem\"\n");
    assert_eq!(of(&text, &[("HOME", "/u")]), by_certificate("/u/app.pem"));
    let held = [
        SECRET[0],
        SECRET[1],
        ("AZURE_CLIENT_CERTIFICATE_PATH", "/a.pem"),
    ];
    assert_eq!(of(VAULT, &held), by_certificate("/a.pem"));
    // What is named comes before what is there.
    let named = production("credentials = \"managed_identity\"\nclient_id = \"d\"");
    let own = AzureCredentials::ManagedIdentity {
        client_id: Some("d".to_owned()),
    };
    assert_eq!(of(&named, &pod), own);
    assert_eq!(of(&named, &SECRET), own);
}

#[test]
fn a_vault_says_what_is_wrong() {
    for (body, wanted) in [
        ("client_secret = \"planted\"", "write all three"),
        ("client_certificate_path = \"/planted\"", "write all three"),
        (
            "client_certificate_path = \"\"",
            "`client_certificate_path` is empty",
        ),
        (
            "client_secret = \"planted\"\nclient_certificate_path = \"/planted\"",
            "leave one of them out",
        ),
        (
            "client_secret = \"planted\"\ncredentials = \"managed_identity\"",
            "leave one of them out",
        ),
        (
            "credentials = \"planted\"",
            "is workload_identity, managed_identity",
        ),
        (
            "algorithm = \"planted\"",
            "kms.toml:5: `algorithm` is RSA-OAEP-256",
        ),
        (
            "authority_host = \"http://planted\"",
            "kms.toml:5: `authority_host` is not the address",
        ),
        ("key_version = \"a\"", "is missing; write both"),
        (
            "key = \"a\"",
            "no longer a key of [kms.azure]; write key_name",
        ),
        ("key_nam = \"a\"", "did you mean `key_name`?"),
    ] {
        let told = told(&format!("{VAULT}{body}\n"));
        assert!(told.contains(wanted), "{body}\n{told}");
        assert!(!told.contains("planted"), "{told}");
    }
    let missing = told("[kms]\ndev_backend = \"azure\"\n");
    assert!(missing.contains("has no vault_url"), "{missing}");
    for url in ["http://v", "https://", "https:///v", "planted"] {
        let text = VAULT.replace("https://v.vault.azure.net", url);
        assert!(
            told(&text).contains("`vault_url` is not the address"),
            "{url}"
        );
    }
    let lax = told(&production("verify_challenge_resource = false"));
    assert!(lax.contains("for emulators only"), "{lax}");
}
