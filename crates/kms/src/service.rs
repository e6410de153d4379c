//! [`KeyManagementService`]: the one interface that applications encrypt through.

use crate::{
    Ciphertext, DataEncryptionKey, DataKeySpec, EncryptionContext, KeyId, KeyInfo, KeyPage, Result,
};
use async_trait::async_trait;
use secretum_crypto::SecretBytes;
use std::fmt;

/// A key management service.
///
/// What holds for every one of them:
/// - A ciphertext opens with the context it was made with, and with no other.
/// - A ciphertext opens after its key was rotated.
/// - A ciphertext that was changed, or that another provider made, is refused.
/// - Key material is in secret types only.
#[async_trait]
pub trait KeyManagementService: Send + Sync + fmt::Debug {
    /// What it can do, and who does it: the provider or the layer above it.
    fn capabilities(&self) -> Capabilities;

    /// Encrypts, bound to the context.
    ///
    /// **Units and limits**: [`crate::PLAINTEXT_BYTES_MAX`] bytes; more is for an envelope or a
    /// stream.
    ///
    /// **Errors**: [`crate::KmsError`], as of every method here.
    async fn encrypt(
        &self,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Ciphertext>;

    /// Decrypts what was encrypted with this context.
    async fn decrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes>;

    /// Makes a data key: to encrypt with now, and wrapped, to be kept.
    async fn generate_data_key(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<DataEncryptionKey>;

    /// Makes a data key that is used later, by somebody who may decrypt: the wrapped form only.
    async fn generate_data_key_without_plaintext(
        &self,
        key: &KeyId,
        spec: DataKeySpec,
        context: &EncryptionContext,
    ) -> Result<Ciphertext>;

    /// Opens a wrapped data key.
    async fn decrypt_data_key(
        &self,
        wrapped: &Ciphertext,
        context: &EncryptionContext,
    ) -> Result<SecretBytes>;

    /// Encrypts anew, under another key or another context or both, or the newest version of the
    /// same key.
    async fn re_encrypt(
        &self,
        ciphertext: &Ciphertext,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Ciphertext>;

    /// Adds a version to the key. It encrypts from now on; the older ones go on decrypting.
    async fn rotate_key(&self, key: &KeyId) -> Result<KeyInfo>;

    /// Describes a key.
    async fn key_info(&self, key: &KeyId) -> Result<KeyInfo>;

    /// Lists keys behind `after`, at most `limit` of them and never more than
    /// [`crate::KEYS_PAGE_MAX`].
    async fn list_keys(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage>;

    /// Whether the service serves; what it says about itself.
    async fn health_check(&self) -> Result<Health>;
}

/// Who does a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppliedBy {
    /// The key service itself.
    Provider,
    /// This library, on this machine.
    Layer,
}

/// What a service can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The provider's name, as it stands in ciphertexts.
    pub provider: &'static str,
    /// Who binds a ciphertext to its context.
    pub context: SuppliedBy,
    /// Who makes the bytes of data keys.
    pub data_keys: SuppliedBy,
    /// Who re-encrypts. Where it is the layer, the plaintext is on this machine for a moment.
    pub re_encryption: SuppliedBy,
    /// Whether keys can be rotated through it.
    pub rotation: bool,
    /// Whether its keys can be listed.
    pub listing: bool,
    /// The most bytes that the provider itself encrypts in one call. More goes under a data key.
    pub native_bytes_max: usize,
}

impl Capabilities {
    /// Those of a service that does everything itself, and lists no keys: where to begin for who has
    /// this trait implemented elsewhere.
    pub fn of(provider: &'static str, native_bytes_max: usize) -> Self {
        Self {
            provider,
            context: SuppliedBy::Provider,
            data_keys: SuppliedBy::Provider,
            re_encryption: SuppliedBy::Provider,
            rotation: true,
            listing: false,
            native_bytes_max,
        }
    }
}

/// What a service in good health says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The provider's name.
    pub provider: &'static str,
    /// What to know about it: a version, or that it is for development only.
    pub notes: Vec<String>,
}

impl Health {
    /// Good health, with nothing to say.
    pub fn of(provider: &'static str) -> Self {
        Self {
            provider,
            notes: Vec::new(),
        }
    }

    /// The same, with something to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}
