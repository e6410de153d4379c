//! Randomness, as a parameter: the system's, or a seeded one for tests.

use crate::{CryptoError, Result, SecretBytes, SecretString, sha256};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// A source of random bytes.
pub trait Rng: Send + Sync + fmt::Debug {
    /// Fills the whole buffer.
    ///
    /// **Errors**: [`CryptoError::Random`], and then the buffer must not be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<()>;
}

/// A source of random bytes that many share.
pub type RngRef = Arc<dyn Rng>;

/// The operating system's generator, as the cryptography library reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| CryptoError::Random)
    }
}

/// A generator that gives the same bytes for the same seed. **For tests only.**
///
/// Each call takes the blocks `SHA-256(seed ‖ counter)` that nobody took before.
#[derive(Debug)]
pub struct TestRng {
    seed: u64,
    counter: AtomicU64,
}

impl TestRng {
    /// A generator that starts at this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            counter: AtomicU64::new(0),
        }
    }
}

impl Rng for TestRng {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        for chunk in buffer.chunks_mut(32) {
            let mut input = [0; 16];
            let (seed, counter) = input.split_at_mut(8);
            seed.copy_from_slice(&self.seed.to_be_bytes());
            counter.copy_from_slice(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            for (byte, random) in chunk.iter_mut().zip(sha256(&input)) {
                *byte = random;
            }
        }
        Ok(())
    }
}

/// So many random bytes, for what is no secret: nonces, salts, identifiers.
///
/// **Errors**: [`CryptoError::Random`].
pub fn random_bytes<const N: usize>(rng: &dyn Rng) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rng.fill(&mut bytes)?;
    Ok(bytes)
}

/// A random secret of `len` bytes.
///
/// **Errors**: [`CryptoError::Random`].
pub fn random_secret(rng: &dyn Rng, len: usize) -> Result<SecretBytes> {
    let mut bytes = Zeroizing::new(vec![0; len]);
    rng.fill(&mut bytes)?;
    Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A random text of `len` characters of `0-9A-Za-z`, each as likely as any other.
///
/// **Errors**: [`CryptoError::Random`].
pub fn random_base62(rng: &dyn Rng, len: usize) -> Result<SecretString> {
    let mut text = Zeroizing::new(String::with_capacity(len));
    let mut pool = Zeroizing::new([0; 64]);
    while text.len() < len {
        rng.fill(pool.as_mut_slice())?;
        let missing = len - text.len();
        // 248 is the largest multiple of 62 in a byte: the bytes above would favour some characters.
        let fair = pool.iter().filter(|byte| **byte < 248);
        let characters = fair.filter_map(|byte| BASE62.get(usize::from(byte % 62)));
        text.extend(characters.map(|byte| char::from(*byte)).take(missing));
    }
    Ok(SecretString::new(std::mem::take(&mut *text)))
}

/// A random UUID (version 4) in its text form.
///
/// **Source**: RFC 9562, section 5.4.
///
/// **Errors**: [`CryptoError::Random`].
pub fn random_uuid(rng: &dyn Rng) -> Result<String> {
    let random = u128::from_be_bytes(random_bytes::<16>(rng)?);
    let version = (random & !(0xf << 76)) | (0x4 << 76);
    let variant = (version & !(0x3 << 62)) | (0x2 << 62);
    Ok(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        variant >> 96,
        (variant >> 80) & 0xffff,
        (variant >> 64) & 0xffff,
        (variant >> 48) & 0xffff,
        variant & 0xffff_ffff_ffff
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_seed_gives_the_same_bytes_again() {
        let (one, two) = (TestRng::new(7), TestRng::new(7));
        let first: [u8; 40] = random_bytes(&one).unwrap();
        assert_eq!(first, random_bytes(&two).unwrap());
        assert_ne!(first, random_bytes(&two).unwrap());
        assert_ne!(first, random_bytes(&TestRng::new(8)).unwrap());
    }

    #[test]
    fn base62_has_every_character_equally() {
        let text = random_base62(&TestRng::new(1), 62_000).unwrap();
        assert_eq!(text.len(), 62_000);
        let mut counts: HashMap<char, u32> = HashMap::new();
        for character in text.expose().chars() {
            *counts.entry(character).or_default() += 1;
        }
        assert_eq!(counts.len(), 62);
        // 1,000 of each are expected; the standard deviation is 31.
        assert!(
            counts.values().all(|count| (830..1170).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn base62_of_any_length() {
        for len in [0, 1, 24, 63, 64, 65, 200] {
            assert_eq!(random_base62(&SystemRng, len).unwrap().len(), len);
        }
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        let uuid = random_uuid(&SystemRng).unwrap();
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
        assert_ne!(uuid, random_uuid(&SystemRng).unwrap());
    }

    #[test]
    fn a_secret_has_its_length() {
        assert_eq!(random_secret(&SystemRng, 33).unwrap().len(), 33);
    }
}
