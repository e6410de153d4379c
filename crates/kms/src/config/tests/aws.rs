//! `[kms.aws]`.

use super::*;

const AWS: &str = "[kms]\ndev_backend = \"aws\"\n[kms.aws]\n";

fn read(text: &str, variables: &[(&str, &str)]) -> (KmsConfig, crate::AwsSettings) {
    let config = parse(text, variables).unwrap();
    let settings = config
        .backend
        .settings::<crate::AwsSettings>()
        .unwrap()
        .clone();
    (config, settings)
}

#[test]
fn an_account_is_read() {
    // All of it is optional: the library of AWS looks for it.
    let (config, settings) = read("[kms]\ndev_backend = \"aws\"\n", &[]);
    let emulated = crate::AwsSettings {
        without_tls: true,
        ..crate::AwsSettings::default()
    };
    assert_eq!(settings, emulated);
    let prod = "[kms]\nenvironment = \"prod\"\nprod_backend = \"aws\"\n";
    assert_eq!(read(prod, &[]).1, crate::AwsSettings::default());
    let kms = create_kms(&config, &Environment::of([]), &Observers::default()).unwrap();
    assert_eq!(kms.capabilities().provider, "aws");

    let variables = [("AWS_DEFAULT_REGION", "eu-west-1"), ("SECRET", "planted")];
    let whole = "key_id = \"alias/app\"\nendpoint_url = \"http://127.0.0.1:4566\"\ntimeout = \"3s\"\n\
                 access_key_id = \"A\"\nsecret_access_key = \"${SECRET}\"\nsession_token = \"\"\n";
    let (config, settings) = read(&format!("{AWS}{whole}"), &variables);
    assert_eq!(config.default_key.as_str(), "alias/app");
    assert_eq!(settings.region.as_deref(), Some("eu-west-1"));
    assert_eq!(settings.timeout, Some(Duration::from_secs(3)));
    let credentials = settings.credentials.as_ref().unwrap();
    assert_eq!(credentials.secret_access_key.expose(), "planted");
    assert!(credentials.session_token.is_none());
    assert!(!format!("{config:?}").contains("planted"));

    let named = format!("{AWS}region = \"eu-north-1\"\nprofile = \"team\"\n");
    let (_, settings) = read(&named, &variables);
    assert_eq!(settings.region.as_deref(), Some("eu-north-1"));
    assert_eq!(settings.profile.as_deref(), Some("team"));
}

#[test]
fn an_account_says_what_is_wrong() {
    for (body, wanted) in [
        (
            "endpoint_url = \"planted\"",
            "kms.toml:4: `endpoint_url` is not the address",
        ),
        ("access_key_id = \"a\"", "has not both of access_key_id"),
        ("session_token = \"a\"", "has not both of access_key_id"),
        (
            "profile = \"p\"\naccess_key_id = \"a\"\nsecret_access_key = \"planted\"",
            "leave one of them out",
        ),
        (
            "default_key_id = \"a\"",
            "no longer a key of [kms.aws]; write key_id",
        ),
        ("key_id = \"\"", "kms.toml:4: `key_id` is not"),
        ("regoin = \"a\"", "did you mean `region`?"),
    ] {
        let told = told(&format!("{AWS}{body}\n"));
        assert!(told.contains(wanted), "{body}\n{told}");
        assert!(!told.contains("planted"), "{told}");
    }
    let prod = "[kms]\nenvironment = \"prod\"\nprod_backend = \"aws\"\n[kms.aws]\n";
    let told = told(&format!("{prod}endpoint_url = \"http://a\"\n"));
    assert!(
        told.contains("does not take a service without TLS"),
        "{told}"
    );
}
