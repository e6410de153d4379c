//! Against a vault of the tests' own that Microsoft's client speaks with too, in the Python that
//! `SECRETUM_PYTHON` names; `./test` sets it. And against what answers nonsense.

mod cloud;
mod faults;
mod sources;

use super::*;

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

fn secret(text: &str) -> AzureCredentials {
    AzureCredentials::Secret {
        tenant_id: "tenant".to_owned(),
        client_id: "application".to_owned(),
        client_secret: Arc::new(SecretString::new(text.to_owned())),
    }
}

#[test]
fn the_algorithm_is_that_of_the_vault() {
    for (url, algorithm) in [
        ("https://v.vault.azure.net", AzureAlgorithm::RsaOaep256),
        ("https://v.managedhsm.azure.net", AzureAlgorithm::A256Gcm),
        ("https://v.managedhsm.azure.cn", AzureAlgorithm::A256Gcm),
    ] {
        let settings = AzureSettings::new(url, AzureCredentials::DeveloperTools);
        assert_eq!(settings.algorithm, algorithm, "{url}");
    }
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let provider = AzureProvider::new(AzureSettings::new("https://v.example", secret("planted")));
    provider.session.client().await.unwrap();
    let shown = format!("{provider:?}");
    assert!(!shown.contains("planted"), "{shown}");
}
