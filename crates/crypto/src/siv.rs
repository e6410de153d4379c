//! Deterministic authenticated encryption of names: AES-256-SIV.
//!
//! Names are sealed on every request, so both expanded keys and what S2V starts from are kept; the
//! `aes-siv` crate expands its keys at each call, which takes twice as long. The tests hold the two
//! against each other.
//!
//! **Source**: RFC 5297.

use crate::{CryptoError, Result, SecretKey, constant_time_eq};
use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipherCore};
use ctr::{CtrCore, flavors::Ctr128BE};
use std::fmt;
use zeroize::Zeroize;

/// Bytes that a sealed name is longer than the name.
pub const OVERHEAD_BYTES: usize = 16;

/// Bytes of a key: one half authenticates, the other encrypts.
pub const KEY_BYTES: usize = 64;

/// The most parts of associated data that S2V takes beside the name (RFC 5297, section 7).
const ASSOCIATED_PARTS_MAX: usize = 126;

/// The bits that the counter leaves out (RFC 5297, section 2.5).
const COUNTER_MASK: u128 = !((1 << 63) | (1 << 31));

/// A key that seals names: the same name under the same associated data gives the same ciphertext,
/// and that is all that an onlooker learns, but for its length.
pub struct NameKey {
    authenticate: Aes256Enc,
    encrypt: Aes256Enc,
    subkeys: Subkeys,
}

/// What CMAC and S2V need at every call and never changes.
struct Subkeys {
    /// The subkey of CMAC for a last block that is full.
    full: u128,
    /// The subkey of CMAC for a last block that is not.
    partial: u128,
    /// CMAC of the zero block, from which S2V starts.
    start: u128,
}

impl Drop for Subkeys {
    fn drop(&mut self) {
        self.full.zeroize();
        self.partial.zeroize();
        self.start.zeroize();
    }
}

impl NameKey {
    /// Prepares the key.
    pub fn new(key: &SecretKey<KEY_BYTES>) -> Self {
        let (mut authenticate, mut encrypt) = ([0; 32], [0; 32]);
        authenticate
            .iter_mut()
            .chain(&mut encrypt)
            .zip(key.expose())
            .for_each(|(to, from)| {
                *to = *from;
            });
        let mut prepared = Self {
            authenticate: Aes256Enc::new(&authenticate.into()),
            encrypt: Aes256Enc::new(&encrypt.into()),
            subkeys: Subkeys {
                full: 0,
                partial: 0,
                start: 0,
            },
        };
        authenticate.zeroize();
        encrypt.zeroize();
        prepared.subkeys.full = double(prepared.block(0));
        prepared.subkeys.partial = double(prepared.subkeys.full);
        prepared.subkeys.start = prepared.cmac(&[0; 16]);
        prepared
    }

    /// Encrypts a name: `synthetic IV ‖ ciphertext`, [`OVERHEAD_BYTES`] longer than the name.
    ///
    /// The parts of associated data are authenticated as parts: `["ab", "c"]` is not `["a", "bc"]`.
    /// More than 126 of them are joined to one, each behind its length, since S2V takes no more.
    pub fn seal(&self, associated: &[&[u8]], name: &[u8]) -> Vec<u8> {
        let iv = self.s2v(associated, name);
        let mut sealed = Vec::with_capacity(name.len().saturating_add(OVERHEAD_BYTES));
        sealed.extend_from_slice(&iv.to_be_bytes());
        sealed.extend_from_slice(name);
        if let Some(ciphertext) = sealed.get_mut(OVERHEAD_BYTES..) {
            self.apply_keystream(iv, ciphertext);
        }
        sealed
    }

    /// Decrypts a sealed name.
    ///
    /// **Errors**: [`CryptoError::NotAuthentic`].
    pub fn open(&self, associated: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>> {
        let split = sealed.split_first_chunk::<OVERHEAD_BYTES>();
        let (iv, ciphertext) = split.ok_or(CryptoError::NotAuthentic)?;
        let mut name = ciphertext.to_vec();
        self.apply_keystream(u128::from_be_bytes(*iv), &mut name);
        if constant_time_eq(&self.s2v(associated, &name).to_be_bytes(), iv) {
            return Ok(name);
        }
        name.zeroize();
        Err(CryptoError::NotAuthentic)
    }

    /// The synthetic IV (RFC 5297, section 2.4).
    fn s2v(&self, associated: &[&[u8]], name: &[u8]) -> u128 {
        if associated.len() > ASSOCIATED_PARTS_MAX {
            return self.s2v(&[&joined(associated)], name);
        }
        let add = |sum, part: &&[u8]| double(sum) ^ self.cmac(part);
        let sum = associated.iter().fold(self.subkeys.start, add);
        match name.split_last_chunk::<16>() {
            Some((head, last)) => self.cmac_of(head, u128::from_be_bytes(*last) ^ sum),
            None => self.cmac(&(double(sum) ^ padded(name)).to_be_bytes()),
        }
    }

    /// CMAC (NIST SP 800-38B) of a message.
    fn cmac(&self, message: &[u8]) -> u128 {
        // The last block may be full: whole blocks are those that something follows.
        let whole = message.len().saturating_sub(1) / 16 * 16;
        let (head, tail) = message.split_at(whole);
        let last = match tail.first_chunk::<16>() {
            Some(full) => u128::from_be_bytes(*full) ^ self.subkeys.full,
            None => padded(tail) ^ self.subkeys.partial,
        };
        self.block(self.chain(0, head) ^ last)
    }

    /// CMAC of a message of which the last 16 bytes, and nothing else, are given apart.
    fn cmac_of(&self, head: &[u8], last: u128) -> u128 {
        let (blocks, rest) = head.split_at(head.len() / 16 * 16);
        let state = self.chain(0, blocks);
        if rest.is_empty() {
            return self.block(state ^ last ^ self.subkeys.full);
        }
        let shift = rest.len() * 8;
        let straddling = unpadded(rest) | (last >> shift);
        let tail = (last << (128 - shift)) | (1 << (127 - shift));
        self.block(self.block(state ^ straddling) ^ tail ^ self.subkeys.partial)
    }

    /// The chaining value after these whole blocks.
    fn chain(&self, state: u128, blocks: &[u8]) -> u128 {
        let (blocks, _) = blocks.as_chunks::<16>();
        blocks.iter().fold(state, |state, block| {
            self.block(state ^ u128::from_be_bytes(*block))
        })
    }

    /// One block under the key that authenticates.
    fn block(&self, block: u128) -> u128 {
        let mut block = block.to_be_bytes().into();
        self.authenticate.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    fn apply_keystream(&self, iv: u128, text: &mut [u8]) {
        let counter = (iv & COUNTER_MASK).to_be_bytes().into();
        let keystream = CtrCore::<&Aes256Enc, Ctr128BE>::inner_iv_init(&self.encrypt, &counter);
        keystream.apply_keystream_partial(text.into());
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(..)")
    }
}

/// The product with x in GF(2^128); the time taken does not depend on the block.
fn double(block: u128) -> u128 {
    (block << 1) ^ (0x87 & (block >> 127).wrapping_neg())
}

/// A block of fewer than 16 bytes, from the left, the rest zeros.
fn unpadded(bytes: &[u8]) -> u128 {
    let mut block = [0; 16];
    for (to, from) in block.iter_mut().zip(bytes) {
        *to = *from;
    }
    u128::from_be_bytes(block)
}

/// A block of fewer than 16 bytes, then a one bit, then zeros.
fn padded(bytes: &[u8]) -> u128 {
    let mut block = [0; 16];
    for (to, from) in block.iter_mut().zip(bytes.iter().chain([&0x80])) {
        *to = *from;
    }
    u128::from_be_bytes(block)
}

/// The parts as one, each behind its length.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes_siv::siv::Aes256Siv;
    use proptest::prelude::*;

    fn key() -> SecretKey<KEY_BYTES> {
        let bytes: Vec<u8> = (0..64).collect();
        SecretKey::from_slice(&bytes).unwrap()
    }

    proptest! {
        /// What the `aes-siv` crate gives, we give.
        #[test]
        fn is_the_crates(
            bytes in prop::collection::vec(any::<u8>(), 64),
            associated in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..6),
            name in prop::collection::vec(any::<u8>(), 0..70),
        ) {
            let parts: Vec<&[u8]> = associated.iter().map(Vec::as_slice).collect();
            let mut reference = Aes256Siv::new(bytes.as_slice().try_into().unwrap());
            let ours = NameKey::new(&SecretKey::from_slice(&bytes).unwrap());
            let sealed = ours.seal(&parts, &name);
            prop_assert_eq!(&sealed, &reference.encrypt(&parts, &name).unwrap());
            prop_assert_eq!(ours.open(&parts, &sealed).unwrap(), name);
        }
    }

    #[test]
    fn every_changed_bit_is_found() {
        let key = NameKey::new(&key());
        let sealed = key.seal(&[b"secret/dev"], b"database");
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
    fn parts_beyond_the_limit_of_s2v_count() {
        let key = NameKey::new(&key());
        let many = |parts: usize| vec![b"x".as_slice(); parts];
        let at_limit = Aes256Siv::new(super::tests::key().expose().into())
            .encrypt(many(126), b"name")
            .unwrap();
        assert_eq!(key.seal(&many(126), b"name"), at_limit);
        let (one_more, two_more) = (key.seal(&many(127), b"name"), key.seal(&many(128), b"name"));
        assert_ne!(one_more, two_more);
        assert_eq!(key.open(&many(127), &one_more).unwrap(), b"name");
        assert!(key.open(&many(128), &one_more).is_err());
    }
}
