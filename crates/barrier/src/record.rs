//! The form of an encrypted record: `version ‖ term ‖ nonce ‖ ciphertext ‖ tag`.
//!
//! The version is one byte, the term four (big-endian), the nonce twelve; AES-256-GCM. Its associated
//! data is version, term and the full storage key, so that no record can be moved.

use bytes::{Buf, Bytes, BytesMut};
use secretum_crypto::aead::{NONCE_BYTES, TAG_BYTES};
use secretum_crypto::{Aead, CryptoError, Result, Rng, random_bytes};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;

/// The term that a record was encrypted under; `None` where it is no record of a known version.
pub(crate) fn term(record: &[u8]) -> Option<u32> {
    match record.split_first_chunk::<HEADER_BYTES>()?.0 {
        [VERSION, term @ ..] => Some(u32::from_be_bytes(*term)),
        _ => None,
    }
}

/// Encrypts a value for a storage key.
pub(crate) fn seal(
    cipher: &Aead,
    term: u32,
    key: &[u8],
    value: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>> {
    let header = header(term);
    let nonce: [u8; NONCE_BYTES] = random_bytes(rng)?;
    let offset = HEADER_BYTES + NONCE_BYTES;
    let mut record = Vec::with_capacity(offset + value.len() + TAG_BYTES);
    record.extend_from_slice(&header);
    record.extend_from_slice(&nonce);
    record.extend_from_slice(value);
    cipher.seal_in_place_append(nonce, &[&header, key].concat(), &mut record, offset)?;
    Ok(record)
}

/// Decrypts the record of a storage key.
pub(crate) fn open(cipher: &Aead, key: &[u8], record: &[u8]) -> Result<Vec<u8>> {
    let (header, nonce, ciphertext) = parts(record).ok_or(CryptoError::NotAuthentic)?;
    cipher.open(*nonce, &[header, key].concat(), ciphertext)
}

/// The same, in its place where nobody else holds it.
pub(crate) fn open_in_place(cipher: &Aead, key: &[u8], record: Bytes) -> Result<Bytes> {
    let (header, nonce, _) = parts(&record).ok_or(CryptoError::NotAuthentic)?;
    let (nonce, associated) = (*nonce, [header, key].concat());
    let mut value = match record.try_into_mut() {
        Ok(own) => own,
        Err(shared) => BytesMut::from(&*shared),
    };
    value.advance(HEADER_BYTES + NONCE_BYTES);
    let length = cipher.open_in_place(nonce, &associated, &mut value)?;
    value.truncate(length);
    Ok(value.freeze())
}

/// Header, nonce, and ciphertext with its tag.
fn parts(record: &[u8]) -> Option<(&[u8], &[u8; NONCE_BYTES], &[u8])> {
    let (header, rest) = record.split_at_checked(HEADER_BYTES)?;
    let (nonce, ciphertext) = rest.split_first_chunk()?;
    Some((header, nonce, ciphertext))
}

fn header(term: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = term.to_be_bytes();
    [VERSION, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::{Key256, SystemRng, TestRng};

    fn cipher(seed: u64) -> Aead {
        Aead::aes_256_gcm(&Key256::random(&TestRng::new(seed)).unwrap()).unwrap()
    }

    #[test]
    fn a_record_opens_only_where_it_was_written() {
        let record = seal(&cipher(1), 7, b"mount/a", b"value", &SystemRng).unwrap();
        assert_eq!(term(&record), Some(7));
        assert_eq!(open(&cipher(1), b"mount/a", &record).unwrap(), b"value");
        // Its own, or shared: the record stays as it was then.
        let shared = Bytes::from(record.clone());
        for record in [Bytes::from(record.clone()), shared.clone()] {
            let opened = open_in_place(&cipher(1), b"mount/a", record);
            assert_eq!(opened.unwrap(), b"value".as_slice());
        }
        assert_eq!(shared, record);
        assert!(open(&cipher(1), b"mount/b", &record).is_err());
        assert!(open(&cipher(2), b"mount/a", &record).is_err());
    }

    /// Made by another implementation of AES-256-GCM, from the description at the head of this file.
    #[test]
    fn the_layout_is_fixed() {
        const KEY: [u8; 32] = [
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
            24, 25, 26, 27, 28, 29, 30, 31,
        ];
        const RECORD: [u8; 38] = *b"\x01\x00\x00\x00\x07\
            \x40\x41\x42\x43\x44\x45\x46\x47\x48\x49\x4a\x4b\
            \x94\xd8\xc2\x56\x43\
            \x2f\x8c\x8b\x67\x55\xac\xec\x89\x2f\xcc\xcc\xce\x06\xda\x7f\xb7";
        let cipher = Aead::aes_256_gcm(&Key256::from_slice(&KEY).unwrap()).unwrap();
        assert_eq!(term(&RECORD), Some(7));
        assert_eq!(open(&cipher, b"mount/a", &RECORD).unwrap(), b"value");
        let again = seal(&cipher, 7, b"mount/a", b"value", &SystemRng).unwrap();
        assert_eq!(again.len(), RECORD.len());
        assert_eq!(again[..HEADER_BYTES], RECORD[..HEADER_BYTES]);
    }

    #[test]
    fn every_bit_counts() {
        let record = seal(&cipher(1), 1, b"key", b"value", &SystemRng).unwrap();
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&cipher(1), b"key", &flipped).is_err(), "bit {bit}");
            assert!(open_in_place(&cipher(1), b"key", flipped.into()).is_err());
        }
        for cut in 0..record.len() {
            assert!(
                open(&cipher(1), b"key", &record[..cut]).is_err(),
                "cut at {cut}"
            );
        }
    }
}
