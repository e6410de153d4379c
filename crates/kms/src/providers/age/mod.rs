//! age: keys in files, as `age-keygen` and `ssh-keygen` write them.
//!
//! Whoever has the public keys can encrypt; the private file opens. age itself knows no context, so
//! [`crate::ProviderKms`] supplies it: with an empty context a ciphertext holds a plain age file, which
//! the `age` command opens; with a context age wraps a data key, and AES-256-GCM carries the context.
//!
//! Public keys are public: a ciphertext proves that nobody changed it, not who made it.
//!
//! - `keys` reads and writes the files;
//! - `file` is the age format, by the crate `age`;
//! - `recipients` takes each recipient for a key of its own.
//!
//! **Source**: <https://c2sp.org/age>.

pub(crate) mod config;
mod file;
mod keys;
mod recipients;

pub use self::config::AgeSettings;
pub use self::keys::AgeFiles;
pub use self::recipients::AgeRecipients;

use self::keys::{Identity, Keys};
use super::files::{self, Seen};
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KmsError, KmsOperation,
    PLAINTEXT_BYTES_MAX, Provider, Result, SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use parking_lot::RwLock;
use secretum_crypto::{ClockRef, SecretBytes};
use std::path::PathBuf;
use std::sync::Arc;

/// Its name in ciphertexts and configurations.
pub const NAME: &str = "age";

/// Keys of age in files.
#[derive(Debug, Clone)]
pub struct AgeProvider {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    key: KeyId,
    files: AgeFiles,
    armor: bool,
    keys: RwLock<Arc<Keys>>,
    seen: Seen,
    clock: ClockRef,
}

impl AgeProvider {
    /// Reads the files. They are one key, by the name `key`; each set of recipients is a version of
    /// it.
    ///
    /// With `armor` the age files are text.
    ///
    /// **Errors**: [`KmsError::File`], [`KmsError::FileRights`], [`KmsError::FileContent`].
    pub fn open(key: KeyId, files: AgeFiles, armor: bool, clock: ClockRef) -> Result<Self> {
        let keys = RwLock::new(Arc::new(files.read()?));
        Ok(Self {
            inner: Arc::new(Inner {
                key,
                files,
                armor,
                keys,
                seen: Seen::default(),
                clock,
            }),
        })
    }

    fn check(&self, key: &KeyId) -> Result<()> {
        if *key == self.inner.key {
            return Ok(());
        }
        Err(KmsError::KeyNotFound {
            provider: NAME,
            key: key.clone(),
        })
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.inner.keys.read())
    }
}

impl Inner {
    fn decrypt(&self, wrapped: &Wrapped) -> Result<SecretBytes> {
        let keys = Arc::clone(&self.keys.read());
        if keys.identities.is_empty() {
            return Err(no_private_key());
        }
        let identities = keys.identities.iter().map(Identity::as_age);
        file::open(identities, &wrapped.bytes).map_err(|fault| match fault {
            file::Fault::NoKey => KmsError::KeyVersionNotFound {
                provider: NAME,
                key: wrapped.key.clone(),
                version: wrapped.version.clone(),
            },
            file::Fault::Damaged => KmsError::NotAuthentic {
                key: wrapped.key.clone(),
            },
        })
    }

    /// Adds a key, in the files too; nobody else is changing them.
    fn rotate(&self) -> Result<KeyInfo> {
        let keys = Arc::new(self.files.rotate(self.clock.now())?);
        let info = self.info(&keys);
        *self.keys.write() = keys;
        Ok(info)
    }

    fn info(&self, keys: &Keys) -> KeyInfo {
        KeyInfo {
            key: self.key.clone(),
            version: keys.version(),
            enabled: !keys.recipients.is_empty(),
            rotated_at: None,
        }
    }
}

fn no_private_key() -> KmsError {
    KmsError::NotConfigured {
        provider: NAME,
        what: "a private key",
        remedy: "name its file as private_key_path",
    }
}

#[async_trait]
impl Provider for AgeProvider {
    fn traits(&self) -> Traits {
        Traits {
            name: NAME,
            binds_context: false,
            wrap_bytes_min: 0,
            wrap_bytes_max: PLAINTEXT_BYTES_MAX,
            data_keys: SuppliedBy::Layer,
            re_encryption: SuppliedBy::Layer,
            rotation: self.keys().is_rotatable(),
            listing: true,
        }
    }

    async fn wrap(&self, key: &KeyId, plaintext: &[u8], _: &EncryptionContext) -> Result<Wrapped> {
        self.check(key)?;
        let keys = self.keys();
        let recipients = keys.recipients.iter().map(keys::Recipient::as_age);
        Ok(Wrapped {
            key: key.clone(),
            version: keys.version(),
            bytes: file::seal(recipients, plaintext, self.inner.armor)?,
        })
    }

    async fn unwrap(&self, wrapped: &Wrapped, _: &EncryptionContext) -> Result<SecretBytes> {
        // An age file does not say which key it belongs to: without this, what a caller may do with one
        // key they could do with another, by writing its name into the ciphertext.
        self.check(&wrapped.key)?;
        match self.inner.decrypt(wrapped) {
            // Another process may have rotated the key.
            Err(KmsError::KeyVersionNotFound { .. }) => {
                let AgeFiles { public, private } = &self.inner.files;
                let files = [public, private].into_iter().flatten();
                let files = files.map(PathBuf::as_path);
                self.inner.seen.again(files, || self.reload())?;
                self.inner.decrypt(wrapped)
            }
            outcome => outcome,
        }
    }

    async fn rotate(&self, key: &KeyId) -> Result<KeyInfo> {
        self.check(key)?;
        if !self.keys().is_rotatable() {
            return Err(self.unsupported(
                KmsOperation::RotateKey,
                "SSH keys, and public keys alone, are rotated by hand: make a new pair, keep the old \
                 private key for what it encrypted",
            ));
        }
        let private = self.inner.files.private.as_deref();
        let private = private.ok_or_else(no_private_key)?;
        let inner = Arc::clone(&self.inner);
        files::alone_with(private, move |_| inner.rotate()).await
    }

    /// Reads the files anew: another program may have rotated the key.
    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        self.check(key)?;
        self.reload()?;
        Ok(self.inner.info(&self.keys()))
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        Ok(KeyPage::of_sorted(
            std::iter::once(&self.inner.key),
            after,
            limit,
        ))
    }

    fn reload(&self) -> Result<()> {
        let keys = Arc::new(self.inner.files.read()?);
        *self.inner.keys.write() = keys;
        Ok(())
    }

    async fn health(&self) -> Result<Health> {
        let keys = self.keys();
        let health = Health::of(NAME).note(format!("{} recipients", keys.recipients.len()));
        Ok(match keys.identities.len() {
            0 => health.note("no private key: it encrypts, and decrypts nothing"),
            count => health.note(format!("{count} private keys")),
        })
    }
}

#[cfg(test)]
mod tests;
