//! [`Sealed`]: the bytes that are kept of what was encrypted.
//!
//! ```text
//! way     u8   1 the server encrypted it, bound to its associated data
//!              2 the server encrypted a data key, 3 by RSA-OAEP
//! nonce   u8 length, as the server gave it; may be empty
//! tag     u8 length, as the server gave it; may be empty
//! data    u16 length in way 2 and 3, in way 1 all that follows
//! and in way 2 and 3:
//! nonce   12
//! sealed  all that follows: AES-256-GCM of the plaintext under the data key, with its tag
//! ```
//!
//! The associated data, of the server's or of this library's encryption, are `"secretum-kms kmip 1"`, the
//! key's name behind its length in two bytes, and the canonical bytes of the context. KMIP has them from
//! version 1.4 on, and RSA has none: so there are the ways 2 and 3.

use crate::codec::{put_u8, put_u16};
use crate::{EncryptionContext, KeyId};
use secretum_crypto::aead::NONCE_BYTES;

const AAD_LABEL: &[u8] = b"secretum-kms kmip 1";

const BOUND: u8 = 1;
const UNDER_AES: u8 = 2;
const UNDER_RSA: u8 = 3;

/// What a server gave when it encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Encrypted {
    pub(super) nonce: Vec<u8>,
    pub(super) tag: Vec<u8>,
    pub(super) data: Vec<u8>,
}

/// How the plaintext is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sealed {
    /// The server encrypted it.
    Bound(Encrypted),
    /// It is under a data key, which the server encrypted.
    UnderDataKey {
        data_key: Encrypted,
        by_rsa: bool,
        nonce: [u8; NONCE_BYTES],
        bytes: Vec<u8>,
    },
}

impl Sealed {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Bound(encrypted) => {
                out.push(BOUND);
                put_u8(&mut out, &encrypted.nonce);
                put_u8(&mut out, &encrypted.tag);
                out.extend_from_slice(&encrypted.data);
            }
            Self::UnderDataKey {
                data_key,
                by_rsa,
                nonce,
                bytes,
            } => {
                out.push(if *by_rsa { UNDER_RSA } else { UNDER_AES });
                put_u8(&mut out, &data_key.nonce);
                put_u8(&mut out, &data_key.tag);
                put_u16(&mut out, &data_key.data);
                out.extend_from_slice(nonce);
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// `None` where they are no such bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (way, mut rest) = bytes.split_first()?;
        let nonce = take_u8(&mut rest)?;
        let tag = take_u8(&mut rest)?;
        if *way == BOUND {
            let data = rest.to_vec();
            return Some(Self::Bound(Encrypted { nonce, tag, data }));
        }
        let by_rsa = match *way {
            UNDER_AES => false,
            UNDER_RSA => true,
            _ => return None,
        };
        let (length, behind) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (data, behind) = behind.split_at_checked(length)?;
        let data = data.to_vec();
        let (inner, sealed) = behind.split_first_chunk()?;
        Some(Self::UnderDataKey {
            data_key: Encrypted { nonce, tag, data },
            by_rsa,
            nonce: *inner,
            bytes: sealed.to_vec(),
        })
    }
}

fn take_u8(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, behind) = rest.split_first()?;
    let (taken, behind) = behind.split_at_checked(usize::from(*length))?;
    *rest = behind;
    Some(taken.to_vec())
}

/// What a ciphertext is bound to. Never empty, so what the server bound to nothing is told from it.
pub(super) fn associated_data(key: &KeyId, context: &EncryptionContext) -> Vec<u8> {
    let mut aad = AAD_LABEL.to_vec();
    put_u16(&mut aad, key.as_str().as_bytes());
    aad.extend_from_slice(&context.canonical_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_documented() {
        let encrypted = Encrypted {
            nonce: b"n".to_vec(),
            tag: b"tt".to_vec(),
            data: b"ddd".to_vec(),
        };
        let bound = Sealed::Bound(encrypted.clone());
        assert_eq!(bound.to_bytes(), b"\x01\x01n\x02ttddd");
        let under = |by_rsa| Sealed::UnderDataKey {
            data_key: encrypted.clone(),
            by_rsa,
            nonce: [b'N'; NONCE_BYTES],
            bytes: b"sealed".to_vec(),
        };
        let bytes = under(false).to_bytes();
        assert_eq!(bytes, b"\x02\x01n\x02tt\0\x03dddNNNNNNNNNNNNsealed");
        assert_eq!(under(true).to_bytes()[0], 3);
        for sealed in [bound, under(false), under(true)] {
            let bytes = sealed.to_bytes();
            assert_eq!(Sealed::from_bytes(&bytes), Some(sealed));
        }
        for cut in 0..bytes.len() - b"sealed".len() {
            assert_eq!(Sealed::from_bytes(&bytes[..cut]), None);
        }
        for bytes in [&b""[..], b"\x00\x00\x00", b"\x04\x00\x00", b"\x01\x09n"] {
            assert_eq!(Sealed::from_bytes(bytes), None);
        }
    }
}
