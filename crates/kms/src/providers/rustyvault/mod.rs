//! RustyVault: its transit engine where it has one, else keys in its key-value engine.
//!
//! RustyVault 0.2.1 and 0.3.1 have no transit engine. There the keys stand in the key-value engine, a
//! record for each version, and **this process encrypts with them**: who may read those records has the
//! keys. Health says so, and so do the capabilities: data keys and re-encryption are the layer's then.
//!
//! Where each key is, is asked: in the transit engine, or else in the key-value engine. A ciphertext says
//! by its first byte which of them opens it, so that all still open when a server gets a transit engine.
//!
//! - `kept` is the keys in the key-value engine, `record` how one version of them stands there;
//! - the session, and what speaks to a transit engine, are those of the provider `vault`.
//!
//! # What a kept key gives
//!
//! `1 ‖ nonce (12) ‖ AES-256-GCM`, its associated data `"secretum-kms rustyvault 1"`, the key's name and
//! its version, each behind its length in two bytes, and the canonical bytes of the context.

pub(crate) mod config;
mod kept;
mod record;

pub use self::config::RustyVaultSettings;

use self::kept::KeptKeys;
use self::record::VersionId;
use super::sealing;
use super::vault::{self, Dialect, Names, Session, VaultAuth, VaultProvider};
use crate::codec::put_u16;
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KmsError, Provider, Result, SuppliedBy,
    Traits, Wrapped,
};
use async_trait::async_trait;
use lru::LruCache;
use parking_lot::Mutex;
use secretum_client::ClientConfig;
use secretum_crypto::{ClockRef, RngRef, SecretBytes};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "rustyvault";

/// How long what was found is taken for true, where nothing else is said: whether a key is one of the
/// transit engine, which version is its newest, and a key that was read.
pub const REFRESH: Duration = Duration::from_secs(300);

const AAD_LABEL: &[u8] = b"secretum-kms rustyvault 1";

/// The first byte of what a kept key gives; what transit gives begins with `vault:`.
const KEPT: u8 = 1;

/// The most bytes that are encrypted at once; more goes under a data key. It is the least of both
/// engines, since it is the same for all keys.
const WRAP_BYTES_MAX: usize = 64 << 10;

/// The most keys whose engine is remembered.
const KNOWN_KEYS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// In which engine keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RustyVaultEngine {
    /// In the transit engine those that it has, else in the key-value engine.
    Auto,
    /// In the transit engine.
    Transit,
    /// In the key-value engine.
    Kv,
}

/// Where the keys of a server are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RustyVaultKeys {
    /// In which engine. Default: [`RustyVaultEngine::Auto`].
    pub engine: RustyVaultEngine,
    /// Where the transit engine is mounted. Default: `transit`.
    pub transit_mount: String,
    /// Where the key-value engine is mounted. Default: `secret`.
    pub kv_mount: String,
    /// The path in it that the keys are below. Default: `secretum-kms`.
    pub kv_path: String,
    /// How long what was found is taken for true. Default: [`REFRESH`].
    pub refresh: Duration,
    /// The key that health speaks of.
    pub default_key: KeyId,
    /// Whether that one is made where it is missing. Default: no.
    pub create_key: bool,
}

impl RustyVaultKeys {
    /// Where keys are unless something else is said.
    pub fn new(default_key: KeyId) -> Self {
        Self {
            engine: RustyVaultEngine::Auto,
            transit_mount: "transit".to_owned(),
            kv_mount: "secret".to_owned(),
            kv_path: "secretum-kms".to_owned(),
            refresh: REFRESH,
            default_key,
            create_key: false,
        }
    }
}

/// The keys of a RustyVault.
#[derive(Debug, Clone)]
pub struct RustyVaultProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Arc<Session>,
    transit: VaultProvider,
    kept: KeptKeys,
    keys: RustyVaultKeys,
    rng: RngRef,
    known: Mutex<LruCache<KeyId, (Engine, Instant)>>,
    /// Whether the transit engine was seen to have a key.
    transit_seen: AtomicBool,
}

/// Where a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Transit,
    Kv,
}

impl RustyVaultProvider {
    /// The keys of this server. Nothing is sent yet.
    ///
    /// The client tries nothing twice: that is left to [`crate::RetryKms`]. A request ends after the
    /// timeout of `config`, with the login before it; after [`vault::TIMEOUT`] where that is zero.
    ///
    /// **Errors**: [`KmsError::Refused`], where a certificate or a setting cannot be used.
    pub fn new(
        config: ClientConfig,
        auth: VaultAuth,
        keys: RustyVaultKeys,
        rng: RngRef,
        clock: ClockRef,
    ) -> Result<Self> {
        let session = vault::session(config, Dialect::RustyVault, auth)?;
        let place = |text: &str| text.trim_matches('/').to_owned();
        let place = format!("{}/{}", place(&keys.kv_mount), place(&keys.kv_path));
        let kept = KeptKeys::new(
            Arc::clone(&session),
            place,
            keys.refresh,
            Arc::clone(&rng),
            clock,
        );
        let inner = Inner {
            transit: VaultProvider::over(Arc::clone(&session), &keys.transit_mount),
            kept,
            session,
            keys,
            rng,
            known: Mutex::new(LruCache::new(KNOWN_KEYS_MAX)),
            transit_seen: AtomicBool::new(false),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Inner {
    /// Where a key is; in the key-value engine, too, where it is nowhere. That is not remembered until it
    /// was seen there: somebody may be making it in the transit engine.
    async fn engine(&self, key: &KeyId) -> Result<Engine> {
        match self.keys.engine {
            RustyVaultEngine::Transit => return Ok(Engine::Transit),
            RustyVaultEngine::Kv => return Ok(Engine::Kv),
            RustyVaultEngine::Auto => {}
        }
        let known = self.known.lock().get(key).copied();
        if let Some((engine, at)) = known
            && at.elapsed() < self.keys.refresh
        {
            return Ok(engine);
        }
        match self.transit.describe(key).await {
            Ok(_) => {
                self.transit_seen.store(true, Ordering::Relaxed);
                self.remember(key, Engine::Transit);
                Ok(Engine::Transit)
            }
            Err(KmsError::KeyNotFound { .. }) => {
                self.known.lock().pop(key);
                Ok(Engine::Kv)
            }
            Err(error) => Err(self.unseen(error)),
        }
    }

    /// What the key-value engine gave of a key: whether it has it is remembered.
    fn seen<T>(&self, key: &KeyId, outcome: Result<T>) -> Result<T> {
        match &outcome {
            // Remembered from when the transit engine was asked: it is asked again in time.
            Ok(_) if self.known.lock().contains(key) => {}
            Ok(_) => self.remember(key, Engine::Kv),
            Err(KmsError::KeyNotFound { .. }) => drop(self.known.lock().pop(key)),
            Err(_) => {}
        }
        outcome
    }

    fn remember(&self, key: &KeyId, engine: Engine) {
        let mut known = self.known.lock();
        known.put(key.clone(), (engine, Instant::now()));
    }

    /// What to do where it cannot be seen which engine has a key.
    fn unseen(&self, error: KmsError) -> KmsError {
        let KmsError::AccessDenied { provider, reason } = error else {
            return error;
        };
        let mount = self.keys.transit_mount.trim_matches('/');
        let reason = format!(
            "{reason} (to see whether a transit engine at `{mount}` has the key; where there is none, \
             write engine = \"kv\")"
        );
        KmsError::AccessDenied { provider, reason }
    }

    /// Makes the key, unless somebody else has made it by now.
    async fn make(&self, key: &KeyId) -> Result<()> {
        match self.create(key).await {
            Ok(made) => {
                tracing::info!(%key, version = %made.version, "made the key, which was missing");
                Ok(())
            }
            Err(KmsError::KeyExists { .. }) => {
                self.known.lock().pop(key);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn makes(&self, key: &KeyId) -> bool {
        self.keys.create_key && *key == self.keys.default_key
    }

    async fn seal(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        let (version, material) = self.seen(key, self.kept.newest(key).await)?;
        let aad = associated_data(key, version, context);
        let (rng, begin) = (self.rng.as_ref(), vec![KEPT]);
        Ok(Wrapped {
            key: key.clone(),
            version: version.key_version(),
            bytes: sealing::seal(&material.key, rng, &aad, plaintext, begin)?,
        })
    }

    async fn open(
        &self,
        wrapped: &Wrapped,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let key = &wrapped.key;
        let version = VersionId::parse(wrapped.version.as_str());
        let version = version.ok_or_else(|| KmsError::KeyVersionNotFound {
            provider: NAME,
            key: key.clone(),
            version: wrapped.version.clone(),
        })?;
        let material = self.kept.material(key, version).await?;
        let aad = associated_data(key, version, context);
        sealing::open(&material.key, &aad, sealed, key)
    }

    /// Makes a key: in the transit engine, where there is one. A key that the key-value engine has is
    /// there already, also where a transit engine came later.
    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        let engine = self.keys.engine;
        if engine == RustyVaultEngine::Kv {
            return self.kept.create(key).await;
        }
        if engine == RustyVaultEngine::Auto && self.kept.has(key).await? {
            return Err(KmsError::key_exists(NAME, key));
        }
        let made = self.transit.make(key).await;
        if made.map_err(|error| self.unseen(error))? {
            self.transit_seen.store(true, Ordering::Relaxed);
            self.remember(key, Engine::Transit);
            return self.transit.describe(key).await;
        }
        match engine {
            RustyVaultEngine::Transit => Err(self.session.dialect().no_engine()),
            _ => self.kept.create(key).await,
        }
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        match self.engine(key).await? {
            Engine::Transit => self.transit.wrap(key, plaintext, context).await,
            Engine::Kv => self.seal(key, plaintext, context).await,
        }
    }

    async fn generate(
        &self,
        key: &KeyId,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<Option<(SecretBytes, Wrapped)>> {
        match self.engine(key).await? {
            Engine::Transit => self.transit.generate(key, len, context).await,
            Engine::Kv => Ok(None),
        }
    }
}

/// What a kept key sealed; `None` where it is the transit engine's.
fn sealed(wrapped: &Wrapped) -> Option<&[u8]> {
    wrapped.bytes.strip_prefix(&[KEPT])
}

fn associated_data(key: &KeyId, version: VersionId, context: &EncryptionContext) -> Vec<u8> {
    let mut aad = AAD_LABEL.to_vec();
    put_u16(&mut aad, key.as_str().as_bytes());
    put_u16(&mut aad, version.to_string().as_bytes());
    aad.extend_from_slice(&context.canonical_bytes());
    aad
}

#[async_trait]
impl Provider for RustyVaultProvider {
    fn traits(&self) -> Traits {
        let engine = self.inner.keys.engine;
        let seen = self.inner.transit_seen.load(Ordering::Relaxed);
        let by = match engine == RustyVaultEngine::Transit || seen {
            true => SuppliedBy::Provider,
            false => SuppliedBy::Layer,
        };
        Traits {
            name: NAME,
            binds_context: true,
            wrap_bytes_min: 0,
            wrap_bytes_max: WRAP_BYTES_MAX,
            data_keys: by,
            re_encryption: by,
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
        let inner = &self.inner;
        match inner.wrap(key, plaintext, context).await {
            Err(KmsError::KeyNotFound { .. }) if inner.makes(key) => {}
            outcome => return outcome,
        }
        inner.make(key).await?;
        inner.wrap(key, plaintext, context).await
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        match sealed(wrapped) {
            Some(sealed) => self.inner.open(wrapped, sealed, context).await,
            None => self.inner.transit.unwrap(wrapped, context).await,
        }
    }

    async fn generate(
        &self,
        key: &KeyId,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<Option<(SecretBytes, Wrapped)>> {
        let inner = &self.inner;
        match inner.generate(key, len, context).await {
            Err(KmsError::KeyNotFound { .. }) if inner.makes(key) => {}
            outcome => return outcome,
        }
        inner.make(key).await?;
        inner.generate(key, len, context).await
    }

    async fn rewrap(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Option<Wrapped>> {
        let engine = self.inner.engine(new_key).await?;
        if sealed(wrapped).is_some() || engine == Engine::Kv {
            return Ok(None);
        }
        let transit = &self.inner.transit;
        transit.rewrap(wrapped, context, new_key, new_context).await
    }

    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        self.inner.create(key).await
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        match self.inner.engine(key).await? {
            Engine::Transit => self.inner.transit.rotate(key).await,
            Engine::Kv => self.inner.seen(key, self.inner.kept.rotate(key).await),
        }
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        match self.inner.engine(key).await? {
            Engine::Transit => self.inner.transit.describe(key).await,
            Engine::Kv => self.inner.seen(key, self.inner.kept.describe(key).await),
        }
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let inner = &self.inner;
        let mut keys = match inner.keys.engine {
            RustyVaultEngine::Transit => Vec::new(),
            _ => inner.kept.keys().await?,
        };
        if inner.keys.engine != RustyVaultEngine::Kv {
            let found = inner.transit.names().await;
            keys.extend(found.map_err(|error| inner.unseen(error))?);
        }
        keys.sort();
        keys.dedup();
        Ok(KeyPage::of_sorted(keys.iter(), after, limit))
    }

    async fn health(&self) -> Result<Health> {
        let inner = &self.inner;
        let version = inner.session.health().await?;
        let mut health = Health::of(NAME);
        if !version.is_empty() {
            health = health.note(format!("version {version}"));
        }
        let key = &inner.keys.default_key;
        Ok(health.note(match inner.engine(key).await? {
            Engine::Transit => format!("its transit engine keeps the key `{key}`"),
            Engine::Kv => format!(
                "no transit engine keeps the key `{key}`: keys stand in the key-value engine at `{}`, and \
                 this process encrypts with them",
                inner.kept.place()
            ),
        }))
    }
}

#[cfg(test)]
mod tests;
