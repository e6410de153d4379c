//! Deterministic authenticated encryption of names: AES-256-SIV.
//!
//! All of it is the `aes-siv` crate. It expands its keys at each call: who seals the same names again
//! and again keeps what came out.
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
    /// Keeps a copy of the key.
    pub fn new(key: &SecretKey<KEY_BYTES>) -> Self {
        Self(key.duplicate())
    }

    /// Encrypts a name: `synthetic IV ‖ ciphertext`, [`OVERHEAD_BYTES`] longer than the name.
    ///
    /// The parts of associated data are authenticated as parts: `["ab", "c"]` is not `["a", "bc"]`.
    ///
    /// **Errors**: [`CryptoError::Seal`] for more than 126 parts, the limit of RFC 5297, section 7.
    pub fn seal(&self, associated: &[&[u8]], name: &[u8]) -> Result<Vec<u8>> {
        let sealed = self.cipher().encrypt(associated, name);
        sealed.map_err(|_| CryptoError::Seal)
    }

    /// Decrypts a sealed name.
    ///
    /// **Errors**: [`CryptoError::NotAuthentic`].
    pub fn open(&self, associated: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>> {
        let split = sealed.split_first_chunk::<OVERHEAD_BYTES>();
        let (iv, ciphertext) = split.ok_or(CryptoError::NotAuthentic)?;
        let mut name = ciphertext.to_vec();
        self.cipher()
            .decrypt_inout_detached(associated, name.as_mut_slice().into(), iv.into())
            .map_err(|_| CryptoError::NotAuthentic)?;
        Ok(name)
    }

    /// The cipher of one call. Its methods want it for themselves alone: one that all calls share
    /// would stand behind a lock for as long as each of them takes.
    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(self.0.expose().into())
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::ZeroizeOnDrop;

    fn key() -> SecretKey<KEY_BYTES> {
        let bytes: Vec<u8> = (0..64).collect();
        SecretKey::from_slice(&bytes).unwrap()
    }

    /// Does not compile where a feature that zeroes keys is off.
    #[test]
    fn keys_are_zeroed_on_drop() {
        fn zeroed<T: ZeroizeOnDrop>() {}
        zeroed::<Aes256Siv>();
        zeroed::<aes::Aes256>();
    }

    #[test]
    fn every_changed_bit_is_found() {
        let key = NameKey::new(&key());
        let sealed = key.seal(&[b"secret/dev"], b"database").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                key.open(&[b"secret/dev"], &changed),
                Err(CryptoError::NotAuthentic)
            );
        }
        for len in 0..sealed.len() {
            assert_eq!(
                key.open(&[b"secret/dev"], &sealed[..len]),
                Err(CryptoError::NotAuthentic)
            );
        }
        assert!(key.open(&[b"secret/de", b"v"], &sealed).is_err());
        assert!(key.open(&[], &sealed).is_err());
    }

    #[test]
    fn parts_beyond_the_limit_are_refused() {
        let key = NameKey::new(&key());
        let many = |parts: usize| vec![b"x".as_slice(); parts];
        let sealed = key.seal(&many(126), b"name").unwrap();
        assert_eq!(key.open(&many(126), &sealed).unwrap(), b"name");
        assert_eq!(key.seal(&many(127), b"name"), Err(CryptoError::Seal));
        assert_eq!(
            key.open(&many(127), &sealed),
            Err(CryptoError::NotAuthentic)
        );
    }
}
