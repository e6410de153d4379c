//! Ed25519 signatures.
//!
//! **Source**: RFC 8032.

use crate::{CryptoError, Key256, Result, Rng};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use std::fmt;

/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A key that signs.
pub struct SigningKey {
    seed: Key256,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A fresh key.
    ///
    /// **Errors**: [`CryptoError::Random`], [`CryptoError::KeyRefused`].
    pub fn generate(rng: &dyn Rng) -> Result<Self> {
        Self::from_seed(Key256::random(rng)?)
    }

    /// The key that grows from this seed; the same again from the same.
    ///
    /// **Errors**: [`CryptoError::KeyRefused`] when the library has no memory for it.
    pub fn from_seed(seed: Key256) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose().as_slice());
        Ok(Self {
            pair: pair.map_err(|_| CryptoError::KeyRefused)?,
            seed,
        })
    }

    /// The seed, to keep the key by.
    pub fn seed(&self) -> &Key256 {
        &self.seed
    }

    /// The public half, which anyone may have.
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        // INVARIANT: a public key of this curve is 32 bytes.
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        bytes
    }

    /// The signature of this message.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        // INVARIANT: a signature of this curve is 64 bytes.
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        bytes
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Whether this signature of this message was made with the private half of this key.
///
/// **Errors**: [`CryptoError::KeyRefused`] for bytes that are no public key,
/// [`CryptoError::BadSignature`].
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
    let key = ParsedPublicKey::new(&ED25519, public_key).map_err(|_| CryptoError::KeyRefused)?;
    key.verify_sig(message, signature)
        .map_err(|_| CryptoError::BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn the_example_of_the_standard() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let key = SigningKey::from_seed(Key256::from_slice(&hex::decode(seed).unwrap()).unwrap());
        let key = key.unwrap();
        assert_eq!(
            hex::encode(key.public_key()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert_eq!(
            hex::encode(key.sign(&[0x72])),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }

    #[test]
    fn a_signature_belongs_to_message_and_key() {
        let key = SigningKey::generate(&SystemRng).unwrap();
        let again = SigningKey::from_seed(key.seed().duplicate()).unwrap();
        let signature = key.sign(b"head");
        assert_eq!(verify(&again.public_key(), b"head", &signature), Ok(()));
        assert_eq!(
            verify(&key.public_key(), b"heat", &signature),
            Err(CryptoError::BadSignature)
        );
        let other = SigningKey::generate(&SystemRng).unwrap();
        assert_eq!(
            verify(&other.public_key(), b"head", &signature),
            Err(CryptoError::BadSignature)
        );
        assert_eq!(
            verify(&[1, 2, 3], b"head", &signature),
            Err(CryptoError::KeyRefused)
        );
    }
}
