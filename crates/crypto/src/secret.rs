//! Types that hold secrets: zeroed on drop, never printed, compared in constant time.
//!
//! None is `Clone`: a copy is made by [`SecretBytes::duplicate`] and its like, so that a reader sees
//! each. `Debug` prints the type's name and nothing of the value.

use crate::{CryptoError, Result, Rng};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::io::{self, Read, Write};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing, optimization_barrier};

/// A secret of any length.
pub struct SecretBytes(Vec<u8>);

impl Drop for SecretBytes {
    fn drop(&mut self) {
        // What stands behind its end was a secret too, as long as it was longer.
        self.0.resize(self.0.capacity(), 0);
        erase(&mut self.0);
    }
}

/// Zeroes bytes as fast as the machine can: byte by byte, a large plaintext takes as long as its
/// decryption.
fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}

impl SecretBytes {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The secret itself; what is done with it from here on is the caller's care.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of the secret.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second copy in memory.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Hands the bytes out as a plain vector, which nobody zeroes any more.
    pub fn into_exposed(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretBytes {}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// What `write` writes, in memory that is zeroed. It is asked twice and writes the same: first for the
/// length, for a buffer that grows leaves copies behind.
///
/// **Errors**: those of `write`.
pub fn written<E>(
    write: impl Fn(&mut dyn Write) -> std::result::Result<(), E>,
) -> std::result::Result<Zeroizing<Vec<u8>>, E> {
    let mut length = Length(0);
    write(&mut length)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    write(&mut *bytes)?;
    Ok(bytes)
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that come piece by piece, up to a limit. Where there is no more room for them they move to a larger
/// one, and the old is zeroed: a plain vector that grows leaves copies behind.
pub struct SecretBuffer {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
}

/// Room of a buffer for which nobody knows how much will come.
const BUFFER_BYTES_MIN: usize = 4096;

/// The most room that is made for what is only announced.
const BUFFER_BYTES_ANNOUNCED: usize = 1 << 20;

impl SecretBuffer {
    /// An empty one for at most `limit` bytes, with room for as many as are expected.
    pub fn new(expected: Option<u64>, limit: usize) -> Self {
        let room = expected.map_or(0, |length| usize::try_from(length).unwrap_or(limit));
        let room = room.min(limit).min(BUFFER_BYTES_ANNOUNCED);
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(room)),
            limit,
        }
    }

    /// All that a reader gives.
    ///
    /// **Errors**: the reader's; [`io::ErrorKind::FileTooLarge`] where that is more than `limit` bytes.
    pub fn read(
        mut reader: impl Read,
        expected: Option<u64>,
        limit: usize,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut buffer = Self::new(expected, limit);
        let mut piece = Zeroizing::new([0; BUFFER_BYTES_MIN]);
        loop {
            let length = match reader.read(piece.as_mut_slice()) {
                Ok(0) => return Ok(buffer.into_bytes()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = piece.get(..length).unwrap_or_default();
            let kept = buffer.push(read);
            kept.map_err(|error| io::Error::new(io::ErrorKind::FileTooLarge, error))?;
        }
    }

    /// Adds a piece.
    ///
    /// **Errors**: [`CryptoError::TooLarge`], and it is as it was.
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        let length = self.bytes.len().saturating_add(piece.len());
        if length > self.limit {
            return Err(CryptoError::TooLarge { limit: self.limit });
        }
        if length > self.bytes.capacity() {
            let room = length.max(self.bytes.capacity().saturating_mul(2));
            let room = room.max(BUFFER_BYTES_MIN).min(self.limit);
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// What came.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuffer(..)")
    }
}

/// A secret that is text: a token, a password.
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the text over; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself; what is done with it from here on is the caller's care.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second copy in memory.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Hands the text out as a plain string, which nobody zeroes any more.
    pub fn into_exposed(mut self) -> String {
        std::mem::take(&mut *self.0)
    }
}

impl PartialEq for SecretString {
    fn eq(&self, other: &Self) -> bool {
        self.expose()
            .as_bytes()
            .ct_eq(other.expose().as_bytes())
            .into()
    }
}

impl Eq for SecretString {}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A key of `N` bytes.
///
/// The bytes stand in one place on the heap: moving the key leaves no copy behind.
pub struct SecretKey<const N: usize>(Box<[u8; N]>);

/// A key of 256 bits.
pub type Key256 = SecretKey<32>;

impl<const N: usize> SecretKey<N> {
    /// A fresh key.
    ///
    /// **Errors**: [`CryptoError::Random`].
    pub fn random(rng: &dyn Rng) -> Result<Self> {
        let mut key = Self(Box::new([0; N]));
        rng.fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The key that these bytes are.
    ///
    /// **Errors**: [`CryptoError::KeyLength`] unless there are `N` of them.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != N {
            return Err(CryptoError::KeyLength {
                expected: N,
                actual: bytes.len(),
            });
        }
        let mut key = Self(Box::new([0; N]));
        key.0.copy_from_slice(bytes);
        Ok(key)
    }

    /// The key itself; what is done with it from here on is the caller's care.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A second copy in memory.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<const N: usize> Drop for SecretKey<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> PartialEq for SecretKey<N> {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl<const N: usize> Eq for SecretKey<N> {}

impl<const N: usize> fmt::Debug for SecretKey<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey<{N}>(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    #[test]
    fn what_is_written_has_its_room_from_the_start() {
        let text = ["a \"secret\"", "of", "many parts"].repeat(100);
        let bytes = written(|to| serde_json::to_writer(to, &text)).unwrap();
        assert_eq!(*bytes, serde_json::to_vec(&text).unwrap());
        assert_eq!(bytes.capacity(), bytes.len());
        assert!(written(|_| Err::<(), _>("no")).is_err());
    }

    #[test]
    fn pieces_come_up_to_the_limit_and_the_vector_does_not_grow() {
        for expected in [None, Some(0), Some(3), Some(10_000), Some(u64::MAX)] {
            let mut buffer = SecretBuffer::new(expected, 10_000);
            let (mut whole, mut place) = (Vec::new(), std::ptr::null());
            for number in 0..100_u8 {
                let had_room = buffer.bytes.capacity() - buffer.bytes.len() >= 100;
                buffer.push(&[number; 100]).unwrap();
                whole.extend([number; 100]);
                // Bytes stay where they are, or were copied from what is zeroed.
                assert!(!had_room || place == buffer.bytes.as_ptr() || number == 0);
                place = buffer.bytes.as_ptr();
            }
            let refused = buffer.push(b"x").unwrap_err();
            assert_eq!(refused, CryptoError::TooLarge { limit: 10_000 });
            assert_eq!(buffer.bytes.capacity(), 10_000);
            assert_eq!(*buffer.into_bytes(), whole);
        }
    }

    #[test]
    fn a_reader_is_read_to_its_end_or_to_the_limit() {
        let bytes = vec![7; 3 * BUFFER_BYTES_MIN + 1];
        let read = |limit| SecretBuffer::read(bytes.as_slice(), None, limit);
        assert_eq!(*read(bytes.len()).unwrap(), bytes);
        let refused = read(bytes.len() - 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert!(refused.to_string().contains("12288 bytes"), "{refused}");
        let endless = SecretBuffer::read(io::repeat(1), Some(u64::MAX), 10);
        assert_eq!(endless.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let bytes = SecretBytes::new(b"planted".to_vec());
        let text = SecretString::new("planted".to_owned());
        let key = Key256::from_slice(&[0x41; 32]).unwrap();
        assert_eq!(
            format!("{bytes:?} {text:?} {key:?}"),
            "SecretBytes(..) SecretString(..) SecretKey<32>(..)"
        );
    }

    #[test]
    fn every_byte_is_zeroed_wherever_it_stands() {
        for length in 0..100 {
            for begin in 0..=length {
                let mut bytes = vec![0xff; length];
                erase(&mut bytes[begin..]);
                let kept = bytes.iter().filter(|byte| **byte == 0xff).count();
                assert_eq!(kept, begin, "{length}");
                assert!(bytes[begin..].iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn equality_sees_value_and_length() {
        let secret = SecretBytes::new(vec![1, 2, 3]);
        assert_eq!(secret, secret.duplicate());
        assert_ne!(secret, SecretBytes::new(vec![1, 2]));
        assert_ne!(secret, SecretBytes::new(vec![1, 2, 4]));
    }

    #[test]
    fn a_key_has_its_length() {
        assert_eq!(
            Key256::from_slice(&[0; 31]).unwrap_err(),
            CryptoError::KeyLength {
                expected: 32,
                actual: 31
            }
        );
        let key = Key256::random(&SystemRng).unwrap();
        assert_ne!(key, Key256::random(&SystemRng).unwrap());
        assert_eq!(key, Key256::from_slice(key.expose()).unwrap());
    }

    #[test]
    fn a_secret_string_reads_from_json() {
        let secret: SecretString = serde_json::from_str("\"s.abc\"").unwrap();
        assert_eq!(secret.expose(), "s.abc");
        assert_eq!(secret.into_exposed(), "s.abc");
    }
}
