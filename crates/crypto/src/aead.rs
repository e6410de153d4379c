//! Authenticated encryption: AES-GCM and ChaCha20-Poly1305.
//!
//! **Source**: NIST SP 800-38D, RFC 8439.

use crate::{CryptoError, Key256, Result};
use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use std::fmt;
use zeroize::Zeroize;

/// Bytes of a nonce. Under one key none may serve twice.
pub const NONCE_BYTES: usize = 12;

/// Bytes of a tag, which stands after the ciphertext.
pub const TAG_BYTES: usize = 16;

/// A cipher. Nonces and tags of all of them are as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AeadAlgorithm {
    /// AES-GCM with a key of 16 bytes.
    Aes128Gcm,
    /// AES-GCM with a key of 32 bytes.
    Aes256Gcm,
    /// ChaCha20-Poly1305, with a key of 32 bytes.
    ChaCha20Poly1305,
}

impl AeadAlgorithm {
    /// How long a key is, in bytes.
    pub fn key_bytes(self) -> usize {
        self.library().key_len()
    }

    fn library(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}

/// A key of a cipher, prepared once for many uses.
pub struct Aead(LessSafeKey);

impl Aead {
    /// Prepares a key of AES-256-GCM.
    ///
    /// **Errors**: [`CryptoError::KeyRefused`] when the library has no memory for it.
    pub fn aes_256_gcm(key: &Key256) -> Result<Self> {
        Self::new(AeadAlgorithm::Aes256Gcm, key.expose())
    }

    /// Prepares a key.
    ///
    /// **Errors**: [`CryptoError::KeyRefused`] when it is not as long as those of the cipher, or the
    /// library has no memory for it.
    pub fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Result<Self> {
        let key = UnboundKey::new(algorithm.library(), key);
        Ok(Self(LessSafeKey::new(
            key.map_err(|_| CryptoError::KeyRefused)?,
        )))
    }

    /// Encrypts, and gives `ciphertext ‖ tag`.
    ///
    /// **Errors**: [`CryptoError::Seal`] beyond the cipher's limit of 64 GiB.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(plaintext.len().saturating_add(TAG_BYTES));
        buffer.extend_from_slice(plaintext);
        self.seal_in_place_append(nonce, aad, &mut buffer, 0)?;
        Ok(buffer)
    }

    /// Encrypts what stands in the buffer from `plaintext_offset` on in its place, and appends the
    /// tag; what stands before stays as it is, and is not authenticated.
    ///
    /// **Errors**: [`CryptoError::Seal`] beyond the cipher's limit of 64 GiB, or when the offset is
    /// outside the buffer; the plaintext is then gone from the buffer.
    pub fn seal_in_place_append(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut Vec<u8>,
        plaintext_offset: usize,
    ) -> Result<()> {
        let Some(plaintext) = buffer.get_mut(plaintext_offset..) else {
            buffer.zeroize();
            return Err(CryptoError::Seal);
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), plaintext)
        {
            Ok(tag) => {
                buffer.extend_from_slice(tag.as_ref());
                Ok(())
            }
            Err(_) => {
                buffer.zeroize();
                Err(CryptoError::Seal)
            }
        }
    }

    /// Decrypts `ciphertext ‖ tag`.
    ///
    /// **Errors**: [`CryptoError::NotAuthentic`].
    pub fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        ciphertext_and_tag: &[u8],
    ) -> Result<Vec<u8>> {
        let len = ciphertext_and_tag.len().checked_sub(TAG_BYTES);
        let mut plaintext = vec![0; len.ok_or(CryptoError::NotAuthentic)?];
        self.open_into(nonce, aad, ciphertext_and_tag, &mut plaintext)?;
        Ok(plaintext)
    }

    /// Decrypts `ciphertext ‖ tag` in its place, and gives the length of the plaintext, which stands at
    /// the beginning of the buffer.
    ///
    /// **Errors**: [`CryptoError::NotAuthentic`]; the buffer then holds nothing.
    pub fn open_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(aad), buffer);
        match opened.map(|plaintext| plaintext.len()) {
            Ok(length) => Ok(length),
            Err(_) => {
                buffer.zeroize();
                Err(CryptoError::NotAuthentic)
            }
        }
    }

    /// Decrypts `ciphertext ‖ tag` into a buffer that is [`TAG_BYTES`] shorter; the ciphertext stays
    /// as it is.
    ///
    /// **Errors**: [`CryptoError::NotAuthentic`], and then the buffer holds zeros; also for a buffer
    /// of another length.
    pub fn open_into(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        ciphertext_and_tag: &[u8],
        plaintext: &mut [u8],
    ) -> Result<()> {
        let split = ciphertext_and_tag.split_at_checked(plaintext.len());
        let fits = split.filter(|(_, tag)| tag.len() == TAG_BYTES);
        let (ciphertext, tag) = fits.ok_or(CryptoError::NotAuthentic)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self
            .0
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext);
        opened.map_err(|_| {
            plaintext.zeroize();
            CryptoError::NotAuthentic
        })
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aead(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher() -> Aead {
        Aead::aes_256_gcm(&Key256::from_slice(&[7; 32]).unwrap()).unwrap()
    }

    #[test]
    fn in_place_is_what_seal_gives() {
        let mut record = b"header".to_vec();
        record.extend_from_slice(b"plaintext");
        cipher()
            .seal_in_place_append([1; 12], b"aad", &mut record, 6)
            .unwrap();
        assert_eq!(&record[..6], b"header");
        assert_eq!(
            &record[6..],
            cipher().seal([1; 12], b"aad", b"plaintext").unwrap()
        );
    }

    #[test]
    fn a_value_opens_in_its_place_or_nothing_is_left() {
        let mut sealed = cipher().seal([1; 12], b"aad", b"plaintext").unwrap();
        let mut changed = sealed.clone();
        changed[3] ^= 1;
        let opened = cipher().open_in_place([1; 12], b"aad", &mut sealed);
        assert_eq!(&sealed[..opened.unwrap()], b"plaintext");
        let refused = cipher().open_in_place([1; 12], b"aad", &mut changed);
        assert_eq!(refused, Err(CryptoError::NotAuthentic));
        assert!(changed.iter().all(|byte| *byte == 0));
        let refused = cipher().open_in_place([1; 12], b"aad", &mut [0; TAG_BYTES - 1]);
        assert_eq!(refused, Err(CryptoError::NotAuthentic));
    }

    #[test]
    fn an_offset_outside_leaves_no_plaintext() {
        let mut buffer = b"plaintext".to_vec();
        let refused = cipher().seal_in_place_append([1; 12], b"", &mut buffer, 10);
        assert_eq!(refused, Err(CryptoError::Seal));
        assert!(buffer.is_empty());
        let mut edge = b"plaintext".to_vec();
        cipher()
            .seal_in_place_append([1; 12], b"", &mut edge, 9)
            .unwrap();
        assert_eq!(edge.len(), 9 + TAG_BYTES);
    }

    #[test]
    fn a_buffer_of_another_length_is_refused() {
        let sealed = cipher().seal([1; 12], b"aad", b"plaintext").unwrap();
        for len in [0, 8, 10, 25] {
            let mut buffer = vec![0; len];
            let refused = cipher().open_into([1; 12], b"aad", &sealed, &mut buffer);
            assert_eq!(refused, Err(CryptoError::NotAuthentic));
        }
        let mut buffer = *b"something";
        cipher()
            .open_into([1; 12], b"aad", &sealed, &mut buffer)
            .unwrap();
        assert_eq!(&buffer, b"plaintext");
        let refused = cipher().open_into([2; 12], b"aad", &sealed, &mut buffer);
        assert_eq!((refused, buffer), (Err(CryptoError::NotAuthentic), [0; 9]));
    }

    #[test]
    fn every_changed_bit_is_found() {
        let sealed = cipher().seal([1; 12], b"aad", b"plaintext").unwrap();
        assert_eq!(
            cipher().open([1; 12], b"aad", &sealed).unwrap(),
            b"plaintext"
        );
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                cipher().open([1; 12], b"aad", &changed),
                Err(CryptoError::NotAuthentic)
            );
        }
        assert!(cipher().open([2; 12], b"aad", &sealed).is_err());
        assert!(cipher().open([1; 12], b"", &sealed).is_err());
        for len in 0..sealed.len() {
            assert!(cipher().open([1; 12], b"aad", &sealed[..len]).is_err());
        }
    }
}
