//! The transit engine of HashiCorp Vault, OpenBao and SecretumVault.
//!
//! The keys stay there. The context is sent as `associated_data`, its canonical bytes. Data keys of
//! 128, 256 and 512 bits are made there; a ciphertext without a context is re-encrypted there too, one
//! with a context by decrypting and encrypting, since OpenBao rewraps none of those.
//!
//! - `auth` says as whom, and what the login looks like;
//! - `session` logs in, renews the token, and logs in again;
//! - `wire` is the requests and answers, and what their errors mean.

mod auth;
pub(crate) mod config;
mod session;
mod wire;

pub use self::auth::VaultAuth;
pub use self::config::{VaultServer, VaultSettings};
#[cfg(feature = "rustyvault")]
pub(super) use self::wire::Keys as Names;
pub(super) use self::{session::Session, wire::Dialect};

use self::wire::{Asked, Ciphertexts, DataKey, Key, Keys, Plaintext};
use super::files;
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, Provider, Result,
    SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use secretum_client::{Client, ClientConfig, Request};
use secretum_crypto::{SecretBytes, SecretString, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "vault";

/// How long a request may take, with the login before it, where nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that go to the engine itself; more is encrypted here, under a data key.
const WRAP_BYTES_MAX: usize = 64 << 10;

/// The most keys of which it is remembered that they are there.
const KNOWN_KEYS_MAX: usize = 1024;

/// How long that is: the engine would make a key anew that was deleted meanwhile.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Keys of a transit engine.
#[derive(Debug, Clone)]
pub struct VaultProvider {
    session: Arc<Session>,
    mount: Arc<str>,
    known: Arc<Mutex<HashMap<KeyId, Instant>>>,
}

impl VaultProvider {
    /// Keys of the transit engine at `mount`. Nothing is sent yet.
    ///
    /// The client tries nothing twice: that is left to [`crate::RetryKms`]. A request ends after the
    /// timeout of `config`, with the login before it; after [`TIMEOUT`] where that is zero.
    ///
    /// **Errors**: [`KmsError::Refused`], where a certificate or a setting cannot be used.
    pub fn new(config: ClientConfig, auth: VaultAuth, mount: &str) -> Result<Self> {
        let session = session(config, Dialect::Vault, auth)?;
        Ok(Self::over(session, mount))
    }

    /// The same over a session that others use too.
    pub(super) fn over(session: Arc<Session>, mount: &str) -> Self {
        Self {
            session,
            mount: Arc::from(mount.trim_matches('/')),
            known: Arc::default(),
        }
    }

    fn name(&self) -> &'static str {
        self.session.dialect().provider()
    }

    fn path(&self, operation: &str, key: &KeyId) -> Result<String> {
        // What has a slash would be another path.
        if key.as_str().contains('/') {
            return Err(self.not_found(key));
        }
        Ok(format!("{}/{operation}/{key}", self.mount))
    }

    fn not_found(&self, key: &KeyId) -> KmsError {
        KmsError::KeyNotFound {
            provider: self.name(),
            key: key.clone(),
        }
    }

    async fn key(&self, key: &KeyId) -> Result<Key> {
        let request = Request::get(self.path("keys", key)?);
        let found: Option<Key> = self.session.find(request).await?;
        let mut known = self.known.lock();
        let Some(found) = found else {
            known.remove(key);
            return Err(self.not_found(key));
        };
        if known.len() >= KNOWN_KEYS_MAX {
            known.clear();
        }
        known.insert(key.clone(), Instant::now());
        Ok(found)
    }

    /// Makes a key; `false` where there is no engine.
    ///
    /// **Errors**: [`KmsError::KeyExists`].
    pub(super) async fn make(&self, key: &KeyId) -> Result<bool> {
        match self.key(key).await {
            Ok(_) => return Err(KmsError::key_exists(self.name(), key)),
            Err(KmsError::KeyNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let request = Request::post(self.path("keys", key)?);
        self.session.give(request, &Asked::default()).await
    }

    /// The keys that there are.
    pub(super) async fn names(&self) -> Result<Vec<KeyId>> {
        let path = format!("{}/keys", self.mount);
        let request = self.session.dialect().list(path);
        let found: Option<Keys> = self.session.find(request).await?;
        let names = found.map(|found| found.keys).unwrap_or_default();
        let keys = names.into_iter().filter_map(|name| KeyId::new(name).ok());
        Ok(keys.collect())
    }

    /// Makes sure that the key is there: the engine would make one of a mistyped name.
    async fn check(&self, key: &KeyId) -> Result<()> {
        let seen = self.known.lock().get(key).copied();
        if seen.is_some_and(|at| at.elapsed() < KNOWN_FOR) {
            return Ok(());
        }
        match self.key(key).await {
            // Who may not read a key is not given the right to make one either.
            Ok(_) | Err(KmsError::AccessDenied { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Why a ciphertext was refused, told by what the key is like.
    async fn refusal(&self, wrapped: &Wrapped) -> KmsError {
        let key = match self.key(&wrapped.key).await {
            Ok(key) => key,
            Err(KmsError::AccessDenied { .. }) => {
                return KmsError::NotAuthentic {
                    key: wrapped.key.clone(),
                };
            }
            Err(error) => return error,
        };
        let version: Option<u64> = version(&wrapped.bytes);
        let there = key.min_decryption_version.max(1)..=key.latest_version;
        if version.is_some_and(|version| !there.contains(&version)) {
            return KmsError::KeyVersionNotFound {
                provider: self.name(),
                key: wrapped.key.clone(),
                version: wrapped.version.clone(),
            };
        }
        KmsError::NotAuthentic {
            key: wrapped.key.clone(),
        }
    }

    /// The bytes of a plaintext in an answer.
    fn decoded(&self, text: &SecretString) -> Result<SecretBytes> {
        let bytes = STANDARD.decode(text.expose());
        bytes.map(SecretBytes::new).map_err(|_| {
            let reason = "its plaintext is no base64";
            self.session.dialect().bad_answer(reason.to_owned())
        })
    }

    fn wrapped(&self, key: &KeyId, ciphertext: String) -> Result<Wrapped> {
        let version = version(ciphertext.as_bytes());
        let version = version.ok_or_else(|| {
            let reason = "its ciphertext does not begin with vault:v and a version";
            self.session.dialect().bad_answer(reason.to_owned())
        })?;
        Ok(Wrapped {
            key: key.clone(),
            version: KeyVersion::from(version),
            bytes: ciphertext.into_bytes(),
        })
    }
}

/// The version in `vault:v3:…`.
fn version(ciphertext: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(ciphertext).ok()?;
    let (version, _) = text.strip_prefix("vault:v")?.split_once(':')?;
    version.parse().ok()
}

/// The engine's text of a ciphertext.
///
/// Its version is nothing that the engine authenticates: version 0 opens as version 1. So it must be the
/// one that the ciphertext names, where it names one.
fn own_text(wrapped: &Wrapped) -> Result<&str> {
    let named = wrapped.version.as_str();
    let text = std::str::from_utf8(&wrapped.bytes).ok();
    let fits = text.filter(|_| {
        let version = version(&wrapped.bytes).filter(|version| *version > 0);
        version.is_some_and(|version| named.is_empty() || version.to_string() == named)
    });
    fits.ok_or_else(|| KmsError::NotAuthentic {
        key: wrapped.key.clone(),
    })
}

/// A session with a server, which tries nothing twice.
pub(super) fn session(
    mut config: ClientConfig,
    dialect: Dialect,
    auth: VaultAuth,
) -> Result<Arc<Session>> {
    config.retries_max = 0;
    config.token = None;
    if config.timeout.is_zero() {
        config.timeout = TIMEOUT;
    }
    let timeout = config.timeout;
    if let Some(key) = &config.tls.client_key {
        // The client itself would take one that others may read.
        files::read_private(key)?;
    }
    let client = Client::new(config).map_err(|error| KmsError::Refused {
        provider: dialect.provider(),
        reason: error.to_string(),
    })?;
    Ok(Session::new(client, dialect, auth, timeout))
}

#[async_trait]
impl Provider for VaultProvider {
    fn traits(&self) -> Traits {
        Traits {
            name: self.name(),
            binds_context: true,
            wrap_bytes_min: 0,
            wrap_bytes_max: WRAP_BYTES_MAX,
            data_keys: SuppliedBy::Provider,
            re_encryption: SuppliedBy::Provider,
            rotation: true,
            listing: true,
        }
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        self.check(key).await?;
        let text = Zeroizing::new(STANDARD.encode(plaintext));
        let body = Asked {
            plaintext: Some(&text),
            ..Asked::within(context)
        };
        let request = Request::post(self.path("encrypt", key)?);
        let made: Ciphertexts = self.session.ask(request, &body).await?;
        self.wrapped(key, made.ciphertext)
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        let path = self.path("decrypt", &wrapped.key)?;
        let text = own_text(wrapped)?;
        let body = Asked {
            ciphertext: Some(text),
            ..Asked::within(context)
        };
        let opened = self.session.ask(Request::post(path), &body).await;
        match opened {
            Ok(Plaintext { plaintext }) => self.decoded(&plaintext),
            Err(KmsError::Refused { .. }) => Err(self.refusal(wrapped).await),
            Err(error) => Err(error),
        }
    }

    async fn generate(
        &self,
        key: &KeyId,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<Option<(SecretBytes, Wrapped)>> {
        if !matches!(len, 16 | 32 | 64) {
            return Ok(None);
        }
        self.check(key).await?;
        let body = Asked {
            bits: Some(len * 8),
            ..Asked::within(context)
        };
        let request = Request::post(self.path("datakey/plaintext", key)?);
        let made: DataKey = self.session.ask(request, &body).await?;
        let plaintext = self.decoded(&made.plaintext)?;
        Ok(Some((plaintext, self.wrapped(key, made.ciphertext)?)))
    }

    async fn rewrap(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Option<Wrapped>> {
        if wrapped.key != *new_key || !context.is_empty() || !new_context.is_empty() {
            return Ok(None);
        }
        let path = self.path("rewrap", new_key)?;
        let body = Asked {
            ciphertext: Some(own_text(wrapped)?),
            ..Asked::default()
        };
        match self.session.ask(Request::post(path), &body).await {
            Ok(Ciphertexts { ciphertext }) => self.wrapped(new_key, ciphertext).map(Some),
            Err(KmsError::Refused { .. }) => Err(self.refusal(wrapped).await),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        if !self.make(key).await? {
            return Err(self.session.dialect().no_engine());
        }
        self.describe(key).await
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        self.key(key).await?;
        let path = format!("{}/rotate", self.path("keys", key)?);
        self.session
            .order(Request::post(path), &Asked::default())
            .await?;
        self.describe(key).await
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        let found = self.key(key).await?;
        let made = found.keys.get(&found.latest_version.to_string());
        Ok(KeyInfo {
            key: key.clone(),
            version: KeyVersion::from(found.latest_version),
            enabled: found.supports_encryption,
            rotated_at: made
                .and_then(Value::as_i64)
                .map(Timestamp::from_unix_seconds),
        })
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let mut keys = self.names().await?;
        keys.sort();
        Ok(KeyPage::of_sorted(keys.iter(), after, limit))
    }

    async fn health(&self) -> Result<Health> {
        let version = self.session.health().await?;
        Ok(Health::of(self.name()).note(format!("version {version}")))
    }
}

#[cfg(test)]
mod tests;
