//! HMAC-SHA256, the key derivation built on it, and comparison in constant time.
//!
//! **Source**: RFC 2104, RFC 5869.

use crate::digest::array;
use crate::{CryptoError, Result, SecretBytes};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The most that one derivation gives: 255 blocks of SHA-256.
pub const HKDF_OUTPUT_BYTES_MAX: usize = 255 * 32;

/// A key of HMAC-SHA256, prepared once for many uses.
#[derive(Clone)]
pub struct HmacKey(Key);

impl HmacKey {
    /// Prepares a key of any length.
    pub fn new(key: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, key))
    }

    /// The tag of this message.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        array(sign(&self.0, message).as_ref())
    }

    /// The tag of this message in lower-case hexadecimal.
    pub fn sign_hex(&self, message: &[u8]) -> String {
        hex::encode(self.sign(message))
    }

    /// Whether this is the whole tag of this message; takes the same time wherever they differ.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        verify(&self.0, message, tag).is_ok()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

struct OutputLength(usize);

impl KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives `out_len` bytes from the input key material.
///
/// An empty salt is the salt of zeros that the RFC names; `info` separates uses of one input.
///
/// **Errors**: [`CryptoError::OutputLength`] above [`HKDF_OUTPUT_BYTES_MAX`].
pub fn hkdf_sha256(ikm: &[u8], salt: &[u8], info: &[u8], out_len: usize) -> Result<SecretBytes> {
    let refused = || CryptoError::OutputLength {
        limit: HKDF_OUTPUT_BYTES_MAX,
        asked: out_len,
    };
    if out_len > HKDF_OUTPUT_BYTES_MAX {
        return Err(refused());
    }
    let mut out = Zeroizing::new(vec![0; out_len]);
    if out_len > 0 {
        let pseudorandom_key = Salt::new(HKDF_SHA256, salt).extract(ikm);
        let info = [info];
        let output = pseudorandom_key.expand(&info, OutputLength(out_len));
        output
            .and_then(|okm| okm.fill(&mut out))
            .map_err(|_| refused())?;
    }
    Ok(SecretBytes::new(std::mem::take(&mut *out)))
}

/// Whether the two are equal; the time taken tells only whether their lengths are.
pub fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_verifies_whole_only() {
        let key = HmacKey::new(b"key");
        let tag = key.sign(b"message");
        assert_eq!(key.sign_hex(b"message"), hex::encode(tag));
        assert!(key.verify(b"message", &tag));
        assert!(!key.verify(b"message", &tag[..31]));
        assert!(!key.verify(b"massage", &tag));
        assert!(!HmacKey::new(b"yek").verify(b"message", &tag));
    }

    #[test]
    fn derivation_has_its_limit() {
        assert_eq!(hkdf_sha256(b"k", b"", b"", 0).unwrap().len(), 0);
        let whole = hkdf_sha256(b"k", b"", b"", HKDF_OUTPUT_BYTES_MAX).unwrap();
        assert_eq!(whole.len(), HKDF_OUTPUT_BYTES_MAX);
        let refused = hkdf_sha256(b"k", b"", b"", HKDF_OUTPUT_BYTES_MAX + 1).unwrap_err();
        assert_eq!(
            refused,
            CryptoError::OutputLength {
                limit: 8160,
                asked: 8161
            }
        );
    }

    #[test]
    fn comparison_sees_value_and_length() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"ab"));
    }
}
