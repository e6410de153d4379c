//! [`KmipKeys`]: the keys of a server, wrapped and unwrapped with.

use super::Exchange;
use super::message::Refusal;
use super::objects::{self, Current, Object};
use super::sealed::{Encrypted, Sealed, associated_data};
use super::server::{Cipher, Server, TAG_BYTES};
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, KmsOperation, Result,
    SuppliedBy, Traits, Wrapped,
};
use parking_lot::Mutex;
use secretum_crypto::{Aead, CryptoError, Key256, RngRef, SecretBytes, Timestamp, random_bytes};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The most bytes that go to the server itself; more is encrypted here, under a data key.
const WRAP_BYTES_MAX: usize = 64 << 10;

/// The most keys whose objects are remembered.
const KNOWN_KEYS_MAX: usize = 1024;

/// How long they are: then a rotation by somebody else is seen.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The keys of a server that speaks KMIP.
#[derive(Debug)]
pub(crate) struct KmipKeys {
    server: Server,
    rng: RngRef,
    /// Whether objects have tags, which Cosmian's have.
    tags: bool,
    known: Mutex<HashMap<KeyId, (Current, Instant)>>,
}

impl KmipKeys {
    pub(crate) fn new(exchange: Arc<dyn Exchange>, rng: RngRef, tags: bool) -> Self {
        Self {
            server: Server::new(exchange),
            rng,
            tags,
            known: Mutex::default(),
        }
    }

    pub(crate) fn traits(&self) -> Traits {
        Traits {
            name: self.server.provider(),
            binds_context: true,
            wrap_bytes_min: 0,
            wrap_bytes_max: WRAP_BYTES_MAX,
            data_keys: SuppliedBy::Layer,
            re_encryption: SuppliedBy::Layer,
            rotation: true,
            listing: true,
        }
    }

    /// Makes a key and activates it.
    ///
    /// **Errors**: [`KmsError::KeyExists`].
    pub(crate) async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        let provider = self.server.provider();
        match self.look_up(key).await {
            Err(KmsError::KeyNotFound { .. }) => {}
            Err(KmsError::KeyDisabled { .. }) | Ok(_) => {
                return Err(KmsError::key_exists(provider, key));
            }
            Err(error) => return Err(error),
        }
        self.add_version(key, 1).await?;
        self.describe(key).await
    }

    /// Takes a version out of use: it encrypts no longer, and on many servers opens nothing either.
    pub(crate) async fn revoke(&self, version: &KeyVersion) -> Result<()> {
        self.known.lock().clear();
        let done = self.server.revoke(version.as_str()).await?;
        self.done(done)
    }

    /// Destroys a version, which was taken out of use. What was encrypted under it is lost.
    pub(crate) async fn destroy(&self, version: &KeyVersion) -> Result<()> {
        self.known.lock().clear();
        let done = self.server.destroy(version.as_str()).await?;
        self.done(done)
    }

    fn done(&self, outcome: std::result::Result<(), Refusal>) -> Result<()> {
        outcome.map_err(|refusal| refusal.into_error(self.server.provider()))
    }

    async fn add_version(&self, key: &KeyId, number: u32) -> Result<()> {
        let id = self.make_version(key, number).await?;
        self.make_active(&id).await
    }

    /// Makes a version, which is not active yet; its identifier.
    pub(crate) async fn make_version(&self, key: &KeyId, number: u32) -> Result<String> {
        let made = self.server.create(objects::of_version(key, number)).await?;
        made.map_err(|refusal| refusal.into_error(self.server.provider()))
    }

    /// Activates an object that is not active yet.
    async fn make_active(&self, id: &str) -> Result<()> {
        if self.is_active(id).await? {
            return Ok(());
        }
        match self.server.activate(id).await? {
            // Another rotation may have finished what this one began.
            Err(_) if self.is_active(id).await? => Ok(()),
            done => self.done(done),
        }
    }

    async fn is_active(&self, id: &str) -> Result<bool> {
        let object = objects::object(&self.server, id).await?;
        Ok(object.is_some_and(|object| object.is_active()))
    }

    async fn look_up(&self, key: &KeyId) -> Result<Current> {
        let found = objects::of_key(&self.server, key, self.tags).await?;
        let current = objects::current(self.server.provider(), key, found)?;
        let mut known = self.known.lock();
        if known.len() >= KNOWN_KEYS_MAX {
            known.clear();
        }
        known.insert(key.clone(), (current.clone(), Instant::now()));
        Ok(current)
    }

    fn remembered(&self, key: &KeyId) -> Option<Current> {
        let known = self.known.lock();
        let (current, at) = known.get(key)?;
        (at.elapsed() < KNOWN_FOR).then(|| current.clone())
    }

    pub(crate) async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        let remembered = self.remembered(key);
        let is_fresh = remembered.is_none();
        let current = match remembered {
            Some(current) => current,
            None => self.look_up(key).await?,
        };
        let aad = associated_data(key, context);
        match self.seal(&current, plaintext, &aad).await? {
            Ok(sealed) => self.wrapped(key, &current, &sealed),
            Err(refusal) if is_fresh => Err(self.refused(key, refusal)),
            // What is remembered may be out of use by now.
            Err(_) => {
                self.known.lock().remove(key);
                let current = self.look_up(key).await?;
                match self.seal(&current, plaintext, &aad).await? {
                    Ok(sealed) => self.wrapped(key, &current, &sealed),
                    Err(refusal) => Err(self.refused(key, refusal)),
                }
            }
        }
    }

    fn refused(&self, key: &KeyId, refusal: Refusal) -> KmsError {
        let provider = self.server.provider();
        if refusal.is_absence() {
            let key = key.clone();
            return KmsError::KeyNotFound { provider, key };
        }
        refusal.into_error(provider)
    }

    fn wrapped(&self, key: &KeyId, current: &Current, sealed: &Sealed) -> Result<Wrapped> {
        Ok(Wrapped {
            key: key.clone(),
            version: self.key_version(&current.id)?,
            bytes: sealed.to_bytes(),
        })
    }

    fn key_version(&self, id: &str) -> Result<KeyVersion> {
        let version = KeyVersion::new(id);
        version.ok_or_else(|| self.server.bad("the identifier of its object is too long"))
    }

    async fn seal(
        &self,
        current: &Current,
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<std::result::Result<Sealed, Refusal>> {
        let (id, cipher) = (&current.encrypting, current.cipher);
        let binds = self.server.version().await?.has_associated_data();
        if cipher == Cipher::Aes && binds {
            let made = self
                .server
                .encrypt(id, cipher, plaintext, Some(aad))
                .await?;
            return Ok(made.map(Sealed::Bound));
        }
        let data_key = Key256::random(self.rng.as_ref())?;
        let made = self
            .server
            .encrypt(id, cipher, data_key.expose(), None)
            .await?;
        let made = match made {
            Ok(made) => made,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let nonce = random_bytes(self.rng.as_ref())?;
        Ok(Ok(Sealed::UnderDataKey {
            data_key: made,
            by_rsa: cipher == Cipher::Rsa,
            nonce,
            bytes: Aead::aes_256_gcm(&data_key)?.seal(nonce, aad, plaintext)?,
        }))
    }

    pub(crate) async fn unwrap(
        &self,
        wrapped: &Wrapped,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let not_authentic = || KmsError::NotAuthentic {
            key: wrapped.key.clone(),
        };
        let sealed = Sealed::from_bytes(&wrapped.bytes);
        let sealed = sealed.filter(|_| !wrapped.version.as_str().is_empty());
        let aad = associated_data(&wrapped.key, context);
        match sealed.ok_or_else(not_authentic)? {
            Sealed::Bound(encrypted) => {
                // An empty tag, or a short one, authenticates less.
                if encrypted.tag.len() != TAG_BYTES {
                    return Err(not_authentic());
                }
                self.open(wrapped, Cipher::Aes, &encrypted, Some(&aad))
                    .await
            }
            Sealed::UnderDataKey {
                data_key,
                by_rsa,
                nonce,
                bytes,
            } => {
                let cipher = if by_rsa { Cipher::Rsa } else { Cipher::Aes };
                let data_key = self.open(wrapped, cipher, &data_key, None).await?;
                let data_key = Key256::from_slice(data_key.expose());
                let data_key = data_key.map_err(|_| not_authentic())?;
                match Aead::aes_256_gcm(&data_key)?.open(nonce, &aad, &bytes) {
                    Ok(plaintext) => Ok(SecretBytes::new(plaintext)),
                    Err(CryptoError::NotAuthentic) => Err(not_authentic()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    async fn open(
        &self,
        wrapped: &Wrapped,
        cipher: Cipher,
        encrypted: &Encrypted,
        aad: Option<&[u8]>,
    ) -> Result<SecretBytes> {
        let id = wrapped.version.as_str();
        match self.server.decrypt(id, cipher, encrypted, aad).await? {
            Ok(plaintext) => Ok(plaintext),
            Err(refusal) => Err(self.refusal(wrapped, refusal).await),
        }
    }

    /// Why nothing was decrypted, told by the reason and by what the object is like: for a ciphertext
    /// that does not open, servers give one reason or another.
    async fn refusal(&self, wrapped: &Wrapped, refusal: Refusal) -> KmsError {
        let provider = self.server.provider();
        let (key, version) = (wrapped.key.clone(), wrapped.version.clone());
        let missing = KmsError::KeyVersionNotFound {
            provider,
            key: key.clone(),
            version,
        };
        if refusal.is_absence() {
            return missing;
        }
        let specific = refusal.clone().into_error(provider);
        if !matches!(
            specific,
            KmsError::Refused { .. } | KmsError::AccessDenied { .. }
        ) {
            return specific;
        }
        match objects::object(&self.server, wrapped.version.as_str()).await {
            Err(error) => error,
            Ok(None) if refusal.is_denial() => specific,
            Ok(None) => missing,
            Ok(Some(object)) if object.is_destroyed() => missing,
            Ok(Some(object)) if !object.is_active() => KmsError::KeyDisabled { provider, key },
            Ok(Some(_)) if refusal.is_denial() => specific,
            Ok(Some(_)) => KmsError::NotAuthentic { key },
        }
    }

    /// Rotates by the server's ReKey, or adds a version by hand. A rotation that was cut short before its
    /// version was active is finished, and no other one begun: the name would not be free, or would be
    /// with what does not encrypt.
    pub(crate) async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        let provider = self.server.provider();
        let found = objects::of_key(&self.server, key, self.tags).await?;
        if let Some(begun) = objects::begun(key, found.clone()) {
            self.make_active(&begun).await?;
            return self.describe(key).await;
        }
        let current = objects::current(provider, key, found)?;
        if current.cipher == Cipher::Rsa {
            return Err(KmsError::Unsupported {
                provider,
                operation: KmsOperation::RotateKey,
                instead: "make a new pair of keys with the server's own tools, and re-encrypt",
            });
        }
        match self.server.re_key(&current.id).await? {
            Ok(id) => self.make_active(&id).await?,
            Err(refusal) if refusal.reason == Refusal::OPERATION_NOT_SUPPORTED => {
                let number = current.next_number(provider, key)?;
                self.add_version(key, number).await?;
            }
            Err(refusal) => return Err(self.refused(key, refusal)),
        }
        self.describe(key).await
    }

    pub(crate) async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        let current = self.look_up(key).await?;
        Ok(KeyInfo {
            key: key.clone(),
            version: self.key_version(&current.id)?,
            enabled: true,
            rotated_at: current.initial_date.map(Timestamp::from_unix_seconds),
        })
    }

    pub(crate) async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let all = objects::all(&self.server).await?;
        let mut keys: Vec<KeyId> = all.iter().filter_map(Object::key).collect();
        keys.sort();
        keys.dedup();
        Ok(KeyPage::of_sorted(keys.iter(), after, limit))
    }

    pub(crate) async fn health(&self) -> Result<Health> {
        let provider = self.server.provider();
        let told = self.server.query().await?;
        let (operations, vendor) = told.map_err(|refusal| refusal.into_error(provider))?;
        if !Server::can_encrypt(&operations) {
            let reason = "it has not both of the operations Encrypt and Decrypt; use a server that \
                          encrypts, not one that only keeps keys";
            let reason = reason.to_owned();
            return Err(KmsError::Refused { provider, reason });
        }
        let version = self.server.version().await?;
        let mut health = Health::of(provider).note(format!("KMIP {version}"));
        if !vendor.is_empty() {
            health = health.note(vendor);
        }
        Ok(health)
    }
}
