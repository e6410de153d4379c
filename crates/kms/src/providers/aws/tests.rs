//! Against a real moto, whose command `SECRETUM_MOTO` names; `./test` sets it. And against what answers
//! nonsense, or not at all.

mod faults;
mod moto;
mod sources;

use super::*;

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

fn settings(url: &str) -> AwsSettings {
    let secret = |text: &str| Arc::new(SecretString::new(text.to_owned()));
    AwsSettings {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(url.to_owned()),
        credentials: Some(AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: secret("planted-secret"),
            session_token: Some(secret("planted-token")),
        }),
        without_tls: true,
        timeout: Some(Duration::from_secs(30)),
        ..AwsSettings::default()
    }
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let provider = AwsProvider::new(settings("http://127.0.0.1:1"));
    provider.session.client().await.unwrap();
    let shown = format!("{provider:?}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn aliases_are_told_from_keys() {
    for alias in ["alias/app", "arn:aws:kms:eu-central-1:1:alias/app"] {
        assert!(is_alias(&id(alias)), "{alias}");
    }
    for key in [
        "1234abcd",
        "mrk-1",
        "arn:aws:kms:eu-central-1:1:key/1",
        "alias",
    ] {
        assert!(!is_alias(&id(key)), "{key}");
    }
}
