//! A server that speaks KMIP 1.2 to 2.1 over mutual TLS: a hardware module, a key manager.
//!
//! The keys stay there. With AES keys and from KMIP 1.4 on the server itself encrypts, by AES-GCM, and
//! binds the context as associated data. With older versions, and under a pair of RSA keys, it encrypts a
//! data key, and AES-256-GCM here carries plaintext and context.
//!
//! - `connection` is the connections, and one message over one of them;
//! - `negotiation` agrees on a version;
//! - `trust` reads certificates and keys.

pub(crate) mod config;
mod connection;
mod negotiation;
mod trust;

use self::connection::Connections;
use crate::kmip::{KmipKeys, Version};
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, Provider, Result,
    Traits, Wrapped,
};
use async_trait::async_trait;
use secretum_crypto::{RngRef, SecretBytes};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "kmip";

/// Where KMIP servers listen.
pub const PORT: u16 = 5696;

/// The most connections at one time, where nothing else is said.
pub const CONNECTIONS_MAX: u32 = 8;

/// How long one request may take, connecting and waiting for a connection included, where nothing else
/// is said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A server, and how the two prove themselves to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmipServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that its certificate is for, where that is not `host`.
    pub server_name: Option<String>,
    /// File with the certificate of this client (PEM).
    pub client_cert: PathBuf,
    /// File with its key (PEM).
    pub client_key: PathBuf,
    /// File with the certificates of the authorities to trust (PEM).
    pub ca: PathBuf,
    /// The version to speak, of 1.2, 1.3, 1.4, 2.0, 2.1; the newest that both speak where none is named.
    pub version: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The most connections at one time.
    pub connections_max: u32,
}

impl KmipServer {
    /// A server at the usual port, with the newest version that both speak.
    pub fn new(
        host: impl Into<String>,
        client_cert: PathBuf,
        client_key: PathBuf,
        ca: PathBuf,
    ) -> Self {
        Self {
            host: host.into(),
            port: PORT,
            server_name: None,
            client_cert,
            client_key,
            ca,
            version: None,
            timeout: TIMEOUT,
            connections_max: CONNECTIONS_MAX,
        }
    }

    /// Whether a version can be named.
    pub(crate) fn is_version(text: &str) -> bool {
        text.parse::<Version>().is_ok()
    }
}

/// The keys of a KMIP server.
#[derive(Debug, Clone)]
pub struct KmipProvider {
    keys: Arc<KmipKeys>,
}

impl KmipProvider {
    /// The keys of this server. Nothing is sent yet.
    ///
    /// It tries nothing twice but on a connection that broke while nobody used it: that is left to
    /// [`crate::RetryKms`].
    ///
    /// **Errors**: [`KmsError::File`], [`KmsError::FileRights`], [`KmsError::FileContent`],
    /// [`KmsError::Refused`], where a certificate, a key or a setting cannot be used.
    pub fn new(server: KmipServer, rng: RngRef) -> Result<Self> {
        let connections = Connections::new(server)?;
        let keys = KmipKeys::new(Arc::new(connections), rng, false);
        Ok(Self {
            keys: Arc::new(keys),
        })
    }

    /// Takes a version of a key out of use. It encrypts no longer, and many servers decrypt under it no
    /// longer either.
    ///
    /// **Errors**: [`KmsError`].
    pub async fn revoke(&self, version: &KeyVersion) -> Result<()> {
        self.keys.revoke(version).await
    }

    /// Destroys a version of a key that was taken out of use. What was encrypted under it is lost.
    ///
    /// **Errors**: [`KmsError`].
    pub async fn destroy(&self, version: &KeyVersion) -> Result<()> {
        self.keys.destroy(version).await
    }
}

#[async_trait]
impl Provider for KmipProvider {
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

/// The error of a setting that cannot be used.
fn unusable(reason: impl Into<String>) -> KmsError {
    KmsError::Refused {
        provider: NAME,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests;
