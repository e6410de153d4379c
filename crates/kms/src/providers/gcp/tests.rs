//! Against a service of the tests' own that Google's client speaks with too, in the Python that
//! `SECRETUM_PYTHON` names; `./test` sets it. And against what answers nonsense, or not at all.

mod cloud;
mod faults;
mod sources;

use super::*;
use secretum_crypto::{SystemClock, TestClock};

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

fn provider_of(settings: GcpSettings) -> GcpProvider {
    GcpProvider::new(settings, Arc::new(SystemClock))
}

fn settings(project: &str, url: &str) -> GcpSettings {
    let ring = KeyRing {
        project: project.to_owned(),
        location: "global".to_owned(),
        name: "r".to_owned(),
    };
    GcpSettings {
        endpoint: Some(url.to_owned()),
        credentials: GcpCredentials::Anonymous,
        timeout: Some(Duration::from_secs(30)),
        ..GcpSettings::new(ring)
    }
}
