//! [`EncryptedEnvelope`]: bytes under a data key of their own, and that key wrapped.
//!
//! # Format, version 1
//!
//! ```text
//! mark      4    "SKEV"
//! version   u8   1
//! wrapped   u32 length: the data key, a Ciphertext
//! nonce     12
//! sealed    u32 length: AES-256-GCM of the plaintext, with its tag
//! ```
//!
//! Numbers are big-endian, and nothing stands behind the end. The associated data is mark and version.
//! The context is bound by the wrapped key, which opens with it only; so wrapping the key anew changes
//! nothing else.

use crate::codec::{FormatError, Reader, Thing, put_u32};
use crate::{
    Ciphertext, DataKeySpec, EncryptionContext, KeyId, KeyManagementService, KmsError, Result,
};
use secretum_crypto::aead::{NONCE_BYTES, TAG_BYTES};
use secretum_crypto::{Aead, CryptoError, Key256, SecretBytes, SystemRng, random_bytes};
use std::fmt;

/// The most bytes of plaintext in one envelope; more is for a stream.
pub const ENVELOPE_PLAINTEXT_BYTES_MAX: usize = 256 << 20;

/// The most bytes of a wrapped data key: what age writes for a thousand recipients.
pub(crate) const WRAPPED_KEY_BYTES_MAX: usize = 1 << 20;

const MARK: &[u8; 4] = b"SKEV";
const VERSION: u8 = 1;
const AAD: &[u8; 5] = b"SKEV\x01";

/// Bytes encrypted under a data key, and the data key wrapped.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedEnvelope {
    wrapped_key: Ciphertext,
    nonce: [u8; NONCE_BYTES],
    sealed: Vec<u8>,
}

impl EncryptedEnvelope {
    /// Encrypts under a data key that the service gives.
    ///
    /// **Units and limits**: [`ENVELOPE_PLAINTEXT_BYTES_MAX`].
    ///
    /// **Errors**: [`KmsError::PlaintextTooLarge`], and whatever the service refuses with.
    pub async fn seal(
        kms: &dyn KeyManagementService,
        key: &KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Self> {
        if plaintext.len() > ENVELOPE_PLAINTEXT_BYTES_MAX {
            return Err(KmsError::PlaintextTooLarge {
                bytes: plaintext.len(),
                limit: ENVELOPE_PLAINTEXT_BYTES_MAX,
            });
        }
        let made = kms
            .generate_data_key(key, DataKeySpec::AES_256, context)
            .await?;
        let data_key = Key256::from_slice(made.plaintext.expose())?;
        let nonce = random_bytes(&SystemRng)?;
        let sealed = Aead::aes_256_gcm(&data_key)?.seal(nonce, AAD, plaintext)?;
        Ok(Self {
            wrapped_key: made.wrapped,
            nonce,
            sealed,
        })
    }

    /// Decrypts.
    ///
    /// **Errors**: [`KmsError::NotAuthentic`] where it was changed or the context is another one, and
    /// whatever the service refuses with.
    pub async fn open(
        &self,
        kms: &dyn KeyManagementService,
        context: &EncryptionContext,
    ) -> Result<SecretBytes> {
        let not_authentic = || KmsError::NotAuthentic {
            key: self.wrapped_key.key().clone(),
        };
        let data_key = kms.decrypt_data_key(&self.wrapped_key, context).await?;
        let data_key = Key256::from_slice(data_key.expose()).map_err(|_| not_authentic())?;
        match Aead::aes_256_gcm(&data_key)?.open(self.nonce, AAD, &self.sealed) {
            Ok(plaintext) => Ok(SecretBytes::new(plaintext)),
            Err(CryptoError::NotAuthentic) => Err(not_authentic()),
            Err(error) => Err(error.into()),
        }
    }

    /// The same envelope with its data key wrapped anew: under another key or context, or under the
    /// newest version of its key. The plaintext is neither decrypted nor moved.
    ///
    /// **Errors**: whatever the service refuses with.
    pub async fn rewrap(
        &self,
        kms: &dyn KeyManagementService,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Self> {
        let wrapped_key = kms
            .re_encrypt(&self.wrapped_key, context, new_key, new_context)
            .await?;
        Ok(self.with_wrapped_key(wrapped_key))
    }

    /// The same envelope with its data key as another service wrapped it: how it moves from one to the
    /// other without being decrypted.
    #[must_use]
    pub fn with_wrapped_key(&self, wrapped_key: Ciphertext) -> Self {
        Self {
            wrapped_key,
            ..self.clone()
        }
    }

    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Ciphertext {
        &self.wrapped_key
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wrapped_key = self.wrapped_key.to_bytes();
        let room = MARK.len() + 1 + 4 + wrapped_key.len() + NONCE_BYTES + 4 + self.sealed.len();
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(MARK);
        out.push(VERSION);
        put_u32(&mut out, &wrapped_key);
        out.extend_from_slice(&self.nonce);
        put_u32(&mut out, &self.sealed);
        out
    }

    /// Reads its bytes.
    ///
    /// **Errors**: [`FormatError`], another one for each way in which they can be wrong.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, FormatError> {
        let what = Thing::Envelope;
        let mut reader = Reader::open(what, bytes, MARK, VERSION)?;
        let length = reader.u32()?;
        check_wrapped_key(what, length)?;
        let wrapped_key = Ciphertext::from_bytes(reader.take(length)?)?;
        let nonce = reader.array()?;
        let length = reader.u32()?;
        let limit = ENVELOPE_PLAINTEXT_BYTES_MAX + TAG_BYTES;
        if length > limit {
            return Err(FormatError::TooLarge { what, limit });
        }
        let sealed = reader.take(length)?.to_vec();
        reader.end()?;
        Ok(Self {
            wrapped_key,
            nonce,
            sealed,
        })
    }
}

/// Refuses a wrapped key that is longer than any.
pub(crate) fn check_wrapped_key(
    what: Thing,
    length: usize,
) -> std::result::Result<(), FormatError> {
    let limit = WRAPPED_KEY_BYTES_MAX;
    if length > limit {
        return Err(FormatError::TooLarge { what, limit });
    }
    Ok(())
}

impl fmt::Debug for EncryptedEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedEnvelope")
            .field("wrapped_key", &self.wrapped_key)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "local")]
#[cfg(test)]
mod tests;
