//! Keys from an environment variable or a file: for development, and for tests.
//!
//! Who reads the environment of the process, or the file, has the keys. So it says that it is for
//! development, in a warning and in its health.
//!
//! # The text of a keyring
//!
//! ```text
//! # name:version:key, the key 32 bytes in base64; of each name the highest version encrypts
//! default:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=
//! ```
//!
//! Entries stand on lines of their own or behind commas, so that a variable can hold several.
//!
//! # What it gives
//!
//! `nonce (12) ‖ AES-256-GCM`, its associated data `"secretum-kms local 1"`, the key's name behind its
//! length in two bytes, the version in eight, and the canonical bytes of the context.

pub(crate) mod config;
mod keyring;

pub use self::config::LocalKeys;

use self::keyring::Keyring;
use super::files::{self, Replacement, Rights, Seen};
use super::sealing;
use crate::codec::put_u16;
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, PLAINTEXT_BYTES_MAX,
    Provider, Result, SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use parking_lot::RwLock;
use secretum_crypto::{Key256, RngRef, SecretBytes, SecretString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "local";

const AAD_LABEL: &[u8] = b"secretum-kms local 1";

/// Versioned keys that stand in the environment or in a file. **For development only.**
#[derive(Debug, Clone)]
pub struct EnvKeyProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    keys: RwLock<Keyring>,
    file: Option<PathBuf>,
    seen: Seen,
    rng: RngRef,
}

impl EnvKeyProvider {
    /// The keys of this text, which stood in an environment variable.
    ///
    /// **Errors**: [`KmsError::FileContent`] with the number of the entry that is wrong.
    pub fn from_text(text: &SecretString, rng: RngRef) -> Result<Self> {
        let keys = Keyring::parse(text.expose(), Path::new("(environment)"))?;
        Ok(Self::new(keys, None, rng))
    }

    /// The keys of a file. Rotation writes it.
    ///
    /// **Errors**: [`KmsError::File`], [`KmsError::FileRights`], [`KmsError::FileContent`].
    pub fn from_file(path: &Path, rng: RngRef) -> Result<Self> {
        let keys = Keyring::parse(files::read_private(path)?.expose(), path)?;
        Ok(Self::new(keys, Some(path.to_owned()), rng))
    }

    /// Writes a new file, mode 0600, with the first version of this key.
    ///
    /// **Errors**: [`KmsError::File`] also where the file is there.
    pub fn create_file(path: &Path, key: &KeyId, rng: RngRef) -> Result<Self> {
        let mut keys = Keyring::default();
        keys.add(key, Key256::random(rng.as_ref())?, path)?;
        files::create(path, keys.to_text().expose(), Rights::Private)?;
        Ok(Self::new(keys, Some(path.to_owned()), rng))
    }

    fn new(keys: Keyring, file: Option<PathBuf>, rng: RngRef) -> Self {
        tracing::warn!("the key provider `local` is for development: its keys are not protected");
        let keys = RwLock::new(keys);
        Self {
            inner: Arc::new(Inner {
                keys,
                file,
                seen: Seen::default(),
                rng,
            }),
        }
    }
}

impl Inner {
    fn encrypt(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        let keys = self.keys.read();
        let (version, material) = keys.newest(key).ok_or_else(|| not_found(key))?;
        let aad = associated_data(key, version, context);
        let bytes = sealing::seal(material, self.rng.as_ref(), &aad, plaintext, Vec::new())?;
        Ok(Wrapped {
            key: key.clone(),
            version: KeyVersion::from(version),
            bytes,
        })
    }

    fn decrypt(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        let key = &wrapped.key;
        let version: u64 = wrapped
            .version
            .as_str()
            .parse()
            .map_err(|_| missing_version(wrapped))?;
        let keys = self.keys.read();
        keys.newest(key).ok_or_else(|| not_found(key))?;
        let material = keys
            .version(key, version)
            .ok_or_else(|| missing_version(wrapped))?;
        let aad = associated_data(key, version, context);
        sealing::open(material, &aad, &wrapped.bytes, key)
    }

    /// Reads the file again where it changed: another process may have made or rotated a key. `false` where
    /// there is no file.
    fn looks_again(&self) -> Result<bool> {
        let Some(path) = &self.file else {
            return Ok(false);
        };
        self.seen.again([path.as_path()], || self.reload())?;
        Ok(true)
    }

    /// Reads the file again, where there is one.
    fn reload(&self) -> Result<()> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        // Locked first: what is read here must not take the place of what a rotation wrote meanwhile.
        let mut keys = self.keys.write();
        *keys = Keyring::parse(files::read_private(path)?.expose(), path)?;
        Ok(())
    }

    /// Adds a version, in the file too; nobody else is changing it. `new` is whether it is the first one.
    fn add(&self, path: &Path, key: &KeyId, new: bool) -> Result<KeyInfo> {
        let mut keys = self.keys.write();
        let mut fresh = Keyring::parse(files::read_private(path)?.expose(), path)?;
        match (fresh.newest(key).is_some(), new) {
            (true, true) => return Err(KmsError::key_exists(NAME, key)),
            (false, false) => return Err(not_found(key)),
            _ => {}
        }
        let version = fresh.add(key, Key256::random(self.rng.as_ref())?, path)?;
        Replacement::of(path, fresh.to_text().expose())?.place()?;
        // What is not in the file must not encrypt.
        *keys = fresh;
        Ok(info(key, version))
    }
}

fn associated_data(key: &KeyId, version: u64, context: &EncryptionContext) -> Vec<u8> {
    let mut aad = AAD_LABEL.to_vec();
    put_u16(&mut aad, key.as_str().as_bytes());
    aad.extend_from_slice(&version.to_be_bytes());
    aad.extend_from_slice(&context.canonical_bytes());
    aad
}

fn info(key: &KeyId, version: u64) -> KeyInfo {
    KeyInfo {
        key: key.clone(),
        version: KeyVersion::from(version),
        enabled: true,
        rotated_at: None,
    }
}

fn not_found(key: &KeyId) -> KmsError {
    KmsError::KeyNotFound {
        provider: NAME,
        key: key.clone(),
    }
}

fn missing_version(wrapped: &Wrapped) -> KmsError {
    KmsError::KeyVersionNotFound {
        provider: NAME,
        key: wrapped.key.clone(),
        version: wrapped.version.clone(),
    }
}

#[async_trait]
impl Provider for EnvKeyProvider {
    fn traits(&self) -> Traits {
        Traits {
            name: NAME,
            binds_context: true,
            wrap_bytes_min: 0,
            wrap_bytes_max: PLAINTEXT_BYTES_MAX,
            data_keys: SuppliedBy::Layer,
            re_encryption: SuppliedBy::Layer,
            rotation: self.inner.file.is_some(),
            listing: true,
        }
    }

    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped> {
        match self.inner.encrypt(key, plaintext, context) {
            // Another process may have made it.
            Err(KmsError::KeyNotFound { .. }) if self.inner.looks_again()? => {
                self.inner.encrypt(key, plaintext, context)
            }
            outcome => outcome,
        }
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes> {
        match self.inner.decrypt(wrapped, context) {
            Err(KmsError::KeyVersionNotFound { .. } | KmsError::KeyNotFound { .. })
                if self.inner.looks_again()? =>
            {
                self.inner.decrypt(wrapped, context)
            }
            outcome => outcome,
        }
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        let Some(path) = self.inner.file.clone() else {
            return Err(KmsError::Unsupported {
                provider: NAME,
                operation: crate::KmsOperation::RotateKey,
                instead: "keys in an environment variable are rotated by adding a version to it",
            });
        };
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        files::alone_with(&path, move |file| inner.add(file, &key, false)).await
    }

    /// Adds an entry to the file.
    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        let Some(path) = self.inner.file.clone() else {
            return Err(KmsError::NotMade {
                provider: NAME,
                key: key.clone(),
            });
        };
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        files::alone_with(&path, move |file| inner.add(file, &key, true)).await
    }

    /// Reads the file anew: another program may have rotated the key.
    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        self.inner.reload()?;
        let keys = self.inner.keys.read();
        let (version, _) = keys.newest(key).ok_or_else(|| not_found(key))?;
        Ok(info(key, version))
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        let keys = self.inner.keys.read();
        Ok(KeyPage::of_sorted(keys.ids(), after, limit))
    }

    fn reload(&self) -> Result<()> {
        self.inner.reload()
    }

    async fn health(&self) -> Result<Health> {
        Ok(Health::of(NAME).note("for development only: its keys are not protected"))
    }
}

#[cfg(test)]
mod tests;
