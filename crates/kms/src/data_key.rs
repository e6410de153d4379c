//! Data keys: what they are asked for by, and what comes of it.

use crate::{Ciphertext, KmsError};
use secretum_crypto::SecretBytes;
use std::fmt;
use std::str::FromStr;

/// The most bytes of a data key.
pub const DATA_KEY_BYTES_MAX: usize = 1024;

/// The kind of a data key: its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataKeySpec(usize);

impl DataKeySpec {
    /// A key of AES-128.
    pub const AES_128: Self = Self(16);

    /// A key of AES-256.
    pub const AES_256: Self = Self(32);

    /// So many bytes.
    ///
    /// **Errors**: [`KmsError::DataKeySpec`] for none, and for more than [`DATA_KEY_BYTES_MAX`].
    pub fn bytes(count: usize) -> Result<Self, KmsError> {
        if (1..=DATA_KEY_BYTES_MAX).contains(&count) {
            Ok(Self(count))
        } else {
            Err(refused(&count.to_string()))
        }
    }

    /// Bytes of the key.
    pub fn len(self) -> usize {
        self.0
    }

    /// Never: a data key has a byte at least.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn refused(spec: &str) -> KmsError {
    KmsError::DataKeySpec {
        spec: spec.chars().filter(|c| !c.is_control()).take(40).collect(),
        limit: DATA_KEY_BYTES_MAX,
    }
}

/// Reads `AES_128`, `AES_256`, or a number of bytes.
impl FromStr for DataKeySpec {
    type Err = KmsError;

    fn from_str(text: &str) -> Result<Self, KmsError> {
        match text {
            "AES_128" => Ok(Self::AES_128),
            "AES_256" => Ok(Self::AES_256),
            number => match number.parse() {
                Ok(count) => Self::bytes(count),
                Err(_) => Err(refused(text)),
            },
        }
    }
}

impl fmt::Display for DataKeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AES_128 => f.write_str("AES_128"),
            Self::AES_256 => f.write_str("AES_256"),
            Self(count) => write!(f, "{count}"),
        }
    }
}

/// A data key: to encrypt with, and wrapped, to be kept beside what it encrypted.
#[derive(Debug)]
pub struct DataEncryptionKey {
    /// The key itself.
    pub plaintext: SecretBytes,
    /// The key as the provider wrapped it, bound to its context.
    pub wrapped: Ciphertext,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_and_printed() {
        for (text, bytes) in [("AES_128", 16), ("AES_256", 32), ("1", 1), ("1024", 1024)] {
            let spec: DataKeySpec = text.parse().unwrap();
            assert_eq!((spec.len(), spec.to_string().as_str()), (bytes, text));
        }
        for text in [
            "",
            "0",
            "1025",
            "-1",
            "aes_256",
            "AES_192",
            "99999999999999999999",
        ] {
            let error = text.parse::<DataKeySpec>().unwrap_err();
            assert!(matches!(error, KmsError::DataKeySpec { .. }), "{text}");
        }
    }
}
