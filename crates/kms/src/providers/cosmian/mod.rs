//! Cosmian KMS: KMIP 2.1 in JSON over HTTPS.
//!
//! The keys stay there. The server encrypts, by AES-GCM, and binds the context as associated data; under a
//! pair of RSA keys it encrypts a data key, and AES-256-GCM here carries plaintext and context. A key is
//! found by its name, by its tag, or by its identifier.

pub(crate) mod config;
mod http;

use self::http::Http;
use crate::kmip::KmipKeys;
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, Provider, Result, Traits,
    Wrapped,
};
use async_trait::async_trait;
use secretum_crypto::{RngRef, SecretBytes, SecretString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "cosmian";

/// How long one request may take, where nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A server, and how the two prove themselves to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CosmianServer {
    /// Where it is: `https://host:9998`.
    pub url: String,
    /// The API token: the bytes of the key of that name, in base64.
    pub api_key: Option<Arc<SecretString>>,
    /// File with the certificates of the only authorities to trust (PEM); those of the system where
    /// there is none.
    pub ca: Option<PathBuf>,
    /// File with the certificate of this client (PEM).
    pub client_cert: Option<PathBuf>,
    /// File with its key (PEM).
    pub client_key: Option<PathBuf>,
    /// Whether the server must prove who it is.
    pub tls_verify: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

impl CosmianServer {
    /// A server without a token and without a client certificate, which must prove who it is.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            ca: None,
            client_cert: None,
            client_key: None,
            tls_verify: true,
            timeout: TIMEOUT,
        }
    }
}

/// The keys of a Cosmian KMS.
#[derive(Debug, Clone)]
pub struct CosmianProvider {
    keys: Arc<KmipKeys>,
}

impl CosmianProvider {
    /// The keys of this server. Nothing is sent yet.
    ///
    /// It tries nothing twice: that is left to [`crate::RetryKms`].
    ///
    /// **Errors**: [`crate::KmsError::File`], [`crate::KmsError::FileRights`],
    /// [`crate::KmsError::FileContent`], [`crate::KmsError::Refused`], where a certificate, a key or a
    /// setting cannot be used.
    pub fn new(server: &CosmianServer, rng: RngRef) -> Result<Self> {
        let keys = KmipKeys::new(Arc::new(Http::new(server)?), rng, true);
        Ok(Self {
            keys: Arc::new(keys),
        })
    }

    /// Takes a version of a key out of use: it encrypts no longer, and still decrypts.
    ///
    /// **Errors**: [`crate::KmsError`].
    pub async fn revoke(&self, version: &KeyVersion) -> Result<()> {
        self.keys.revoke(version).await
    }

    /// Destroys a version of a key that was taken out of use. What was encrypted under it is lost.
    ///
    /// **Errors**: [`crate::KmsError`].
    pub async fn destroy(&self, version: &KeyVersion) -> Result<()> {
        self.keys.destroy(version).await
    }
}

#[async_trait]
impl Provider for CosmianProvider {
    fn traits(&self) -> Traits {
        self.keys.traits()
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.keys.wrap(key, plaintext, context).await
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        self.keys.unwrap(wrapped, context).await
    }

    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        self.keys.create(key).await
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        self.keys.rotate(key).await
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        self.keys.describe(key).await
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        self.keys.list(after, limit).await
    }

    async fn health(&self) -> Result<Health> {
        self.keys.health().await
    }
}

#[cfg(test)]
mod tests;
