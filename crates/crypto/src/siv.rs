//! Deterministic authenticated encryption of names: AES-256-SIV.
//!
//! **Source**: RFC 5297.

use crate::{CryptoError, Result, SecretKey};
use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use std::fmt;

/// Bytes that a sealed name is longer than the name.
pub const OVERHEAD_BYTES: usize = 16;

/// Bytes of a key: one half authenticates, the other encrypts.
pub const KEY_BYTES: usize = 64;

/// A key that seals names: the same name under the same associated data gives the same ciphertext,
/// and that is all that an onlooker learns, but for its length.
pub struct NameKey(SecretKey<KEY_BYTES>);

impl NameKey {
    /// Prepares the key.
    pub fn new(key: &SecretKey<KEY_BYTES>) -> Self {
        Self(key.duplicate())
    }

    /// Encrypts a name: `synthetic IV ‖ ciphertext`.
    pub fn seal(&self, associated: &[&[u8]], name: &[u8]) -> Vec<u8> {
        let _ = (associated, name);
        self.siv().encrypt(associated, name).unwrap_or_default()
    }

    /// Decrypts a sealed name.
    ///
    /// **Errors**: [`CryptoError::NotAuthentic`].
    pub fn open(&self, associated: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>> {
        self.siv()
            .decrypt(associated, sealed)
            .map_err(|_| CryptoError::NotAuthentic)
    }

    fn siv(&self) -> Aes256Siv {
        Aes256Siv::new(self.0.expose().into())
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(..)")
    }
}
