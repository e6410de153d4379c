//! A service with two keys, for the tests of what stands above it.

use crate::{EncryptionContext, EnvKeyProvider, KeyId, ProviderKms};
use secretum_crypto::{SecretString, SystemRng};
use std::sync::Arc;

pub(crate) fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

pub(crate) fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

/// The keys `k` and `other`, in memory.
pub(crate) fn local() -> ProviderKms {
    let text = "k:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=,\
                other:1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
    let text = SecretString::new(text.to_owned());
    let provider = EnvKeyProvider::from_text(&text, Arc::new(SystemRng)).unwrap();
    ProviderKms::new(Arc::new(provider))
}
