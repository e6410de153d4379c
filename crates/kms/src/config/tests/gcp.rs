//! `[kms.gcp]`.

use super::*;
use crate::GcpCredentials;

const RING: &str = "[kms]\ndev_backend = \"gcp\"\n[kms.gcp]\nproject = \"p\"\nlocation = \"eu\"\n\
                    key_ring = \"r\"\n";
const WHOLE: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

fn read(text: &str, variables: &[(&str, &str)]) -> (KmsConfig, crate::GcpSettings) {
    let config = parse(text, variables).unwrap();
    let settings = config
        .backend
        .settings::<crate::GcpSettings>()
        .unwrap()
        .clone();
    (config, settings)
}

#[test]
fn a_key_ring_is_read() {
    let (config, settings) = read(&format!("{RING}key = \"app\"\n"), &[]);
    assert_eq!(config.default_key.as_str(), "app");
    assert_eq!(settings.ring.location, "eu");
    assert_eq!(settings.credentials, GcpCredentials::Found);
    let kms = create_kms(&config, &Environment::of([]), &Observers::default()).unwrap();
    assert_eq!(kms.capabilities().provider, "gcp");

    // In whole, a key names its ring.
    let text = format!("[kms]\ndev_backend = \"gcp\"\n[kms.gcp]\nkey = \"{WHOLE}\"\n");
    let (config, settings) = read(&text, &[]);
    assert_eq!(config.default_key.as_str(), WHOLE);
    assert_eq!(settings.ring.project, "p");

    let variables = [
        ("GOOGLE_CLOUD_PROJECT", "q"),
        ("GOOGLE_CLOUD_LOCATION", "us"),
        ("HOME", "/home/u"),
    ];
    let text = "[kms]\ndev_backend = \"gcp\"\n[kms.gcp]\nkey_ring = \"r\"\ntimeout = \"3s\"\n\
                endpoint = \"http://127.0.0.1:9090\"\ncredentials_path = \"~/a.json\"\n";
    let (_, settings) = read(text, &variables);
    assert_eq!(
        (
            settings.ring.project.as_str(),
            settings.ring.location.as_str()
        ),
        ("q", "us")
    );
    assert_eq!(settings.timeout, Some(Duration::from_secs(3)));
    let file = GcpCredentials::File("/home/u/a.json".into());
    assert_eq!(settings.credentials, file);
    let (_, settings) = read(&format!("{RING}anonymous = true\n"), &[]);
    assert_eq!(settings.credentials, GcpCredentials::Anonymous);
}

#[test]
fn a_key_ring_says_what_is_wrong() {
    for (body, wanted) in [
        (
            "endpoint = \"planted\"",
            "kms.toml:7: `endpoint` is not the address",
        ),
        (
            "endpoint = \"http://planted.example\"",
            "tokens would go over the network in the clear",
        ),
        (
            "anonymous = true\ncredentials_path = \"/a\"",
            "leave one of them out",
        ),
        (
            "keyring = \"a\"",
            "no longer a key of [kms.gcp]; write key_ring",
        ),
        ("projekt = \"a\"", "did you mean `project`?"),
        ("key = \"\"", "kms.toml:7: `key` is not"),
        (
            "key = \"projects/p/locations/l/keyRings/r/cryptoKeys/k\"",
            "leave those three out",
        ),
    ] {
        let told = told(&format!("{RING}{body}\n"));
        assert!(told.contains(wanted), "{body}\n{told}");
        assert!(!told.contains("planted"), "{told}");
    }
    let told_of = |body: &str| {
        told(&format!(
            "[kms]\ndev_backend = \"gcp\"\n[kms.gcp]\n{body}\n"
        ))
    };
    assert!(told_of("project = \"p\"").contains("does not say where the keys are"));
    let odd = "project = \"a/b\"\nlocation = \"l\"\nkey_ring = \"r\"";
    assert!(told_of(odd).contains("are not all names"));
    let prod = RING.replace("dev_backend", "environment = \"prod\"\nprod_backend");
    let plain = told(&format!("{prod}endpoint = \"http://a\"\n"));
    assert!(
        plain.contains("does not take a service without TLS"),
        "{plain}"
    );
    let nobody = told(&format!("{prod}anonymous = true\n"));
    assert!(
        nobody.contains("not for a production environment"),
        "{nobody}"
    );
}
