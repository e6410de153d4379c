//! [`Provider`]: the narrow side, which a key service is attached by.

use crate::{EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, Result};
use crate::{KmsOperation, SuppliedBy};
use async_trait::async_trait;
use secretum_crypto::SecretBytes;
use std::fmt;

/// What a key service gave, in its own form, and the key that it used.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Wrapped {
    /// The key, by the identifier that finds it again.
    pub key: KeyId,
    /// The version that was used.
    pub version: KeyVersion,
    /// The service's own bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped")
            .field("key", &self.key.as_str())
            .field("version", &self.version.as_str())
            .finish_non_exhaustive()
    }
}

/// What a key service does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Its name in ciphertexts: lower-case letters, digits, hyphens. It never changes.
    pub name: &'static str,
    /// Whether [`Provider::wrap`] binds the context.
    pub binds_context: bool,
    /// The fewest bytes that [`Provider::wrap`] takes: 0, or 1 where the service encrypts nothing empty.
    pub wrap_bytes_min: usize,
    /// The most bytes that [`Provider::wrap`] takes. At least 32, the length of a data key; 72 where it
    /// binds no context, for the context's digest goes with the data key then.
    pub wrap_bytes_max: usize,
    /// Who makes the bytes of data keys.
    pub data_keys: SuppliedBy,
    /// Who re-encrypts.
    pub re_encryption: SuppliedBy,
    /// Whether [`Provider::rotate`] works.
    pub rotation: bool,
    /// Whether [`Provider::list`] works.
    pub listing: bool,
}

/// A key service at its narrowest: it wraps and unwraps. Everything else has a default, and
/// [`crate::ProviderKms`] supplies what is missing.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// What it does by itself.
    fn traits(&self) -> Traits;

    /// Encrypts a few bytes. The context is empty where the provider does not bind it.
    async fn wrap(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Wrapped>;

    /// Decrypts what [`Self::wrap`] gave.
    async fn unwrap(&self, wrapped: &Wrapped, context: &EncryptionContext) -> Result<SecretBytes>;

    /// Makes a data key of `len` bytes; `None` where the service makes none of this length.
    async fn generate(
        &self,
        _key: &KeyId,
        _len: usize,
        _context: &EncryptionContext,
    ) -> Result<Option<(SecretBytes, Wrapped)>> {
        Ok(None)
    }

    /// Makes a data key of `len` bytes whose plaintext stays in the service; `None` where the service
    /// makes none of this length so.
    async fn generate_wrapped(
        &self,
        _key: &KeyId,
        _len: usize,
        _context: &EncryptionContext,
    ) -> Result<Option<Wrapped>> {
        Ok(None)
    }

    /// Encrypts anew without showing the plaintext; `None` where the service cannot do this one.
    async fn rewrap(
        &self,
        _wrapped: &Wrapped,
        _context: &EncryptionContext,
        _new_key: &KeyId,
        _new_context: &EncryptionContext,
    ) -> Result<Option<Wrapped>> {
        Ok(None)
    }

    /// Makes a key of this name, for who starts with a new one.
    ///
    /// **Errors**: [`KmsError::KeyExists`]; [`KmsError::NotMade`] where the provider makes none.
    async fn create(&self, key: &KeyId) -> Result<KeyInfo> {
        Err(KmsError::NotMade {
            provider: self.traits().name,
            key: key.clone(),
        })
    }

    /// Adds a version to a key.
    async fn rotate(&self, _key: &KeyId) -> Result<KeyInfo> {
        Err(self.unsupported(
            KmsOperation::RotateKey,
            "rotate the key where it is kept, by hand or by its own schedule",
        ))
    }

    /// Describes a key.
    async fn describe(&self, key: &KeyId) -> Result<KeyInfo>;

    /// Lists keys.
    async fn list(&self, _after: Option<&KeyId>, _limit: usize) -> Result<KeyPage> {
        Err(self.unsupported(KmsOperation::ListKeys, "name the key that you mean"))
    }

    /// Reads anew what it holds of files. What cannot be used changes nothing.
    ///
    /// **Errors**: [`KmsError::File`], [`KmsError::FileRights`], [`KmsError::FileContent`].
    fn reload(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the service serves.
    async fn health(&self) -> Result<Health>;

    /// The error of an operation that it does not have.
    fn unsupported(&self, operation: KmsOperation, instead: &'static str) -> KmsError {
        KmsError::Unsupported {
            provider: self.traits().name,
            operation,
            instead,
        }
    }
}
