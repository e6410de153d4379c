//! Against a real Cosmian KMS, whose binary `SECRETUM_COSMIAN` names; `./test --all` sets it. Against
//! answers that were recorded from one. And against what answers nonsense, or not at all.

mod faults;
mod peer;
mod recorded;

use super::*;
use crate::KmsError;
use secretum_crypto::SystemRng;

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

fn provider(server: &CosmianServer) -> CosmianProvider {
    CosmianProvider::new(server, Arc::new(SystemRng)).unwrap()
}

#[test]
fn settings_that_cannot_be_used_are_told() {
    let refused = |server| CosmianProvider::new(&server, Arc::new(SystemRng)).unwrap_err();
    for url in ["", "host:9998", "ftp://host", "https://"] {
        let refused = refused(CosmianServer::new(url));
        assert!(
            matches!(refused, KmsError::Refused { .. }),
            "{url}: {refused}"
        );
    }
    let mut server = CosmianServer::new("https://host:9998");
    server.api_key = Some(Arc::new(SecretString::new("planted\n".to_owned())));
    let told = refused(server);
    assert!(!told.to_string().contains("planted"), "{told}");
    let mut server = CosmianServer::new("https://host:9998");
    server.client_cert = Some("client.pem".into());
    assert!(matches!(refused(server), KmsError::Refused { .. }));
    let mut server = CosmianServer::new("https://host:9998");
    server.ca = Some("/no/such/ca.pem".into());
    assert!(matches!(refused(server), KmsError::File { .. }));
}

#[test]
fn debug_shows_no_token() {
    let mut server = CosmianServer::new("https://host:9998");
    server.api_key = Some(Arc::new(SecretString::new("planted".to_owned())));
    let shown = format!("{server:?} {:?}", provider(&server));
    assert!(!shown.contains("planted"), "{shown}");
}
