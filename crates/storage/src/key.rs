//! [`Key`]: where a value stands.

use crate::{Result, StorageError};

/// The longest key, in bytes (an index limit of PostgreSQL).
pub const KEY_BYTES_MAX: usize = 2_000;

/// The place of a value: up to [`KEY_BYTES_MAX`] bytes, ordered bytewise, `/` between components.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<[u8]>);

impl Key {
    /// Takes bytes as a key.
    ///
    /// **Errors**: [`StorageError::KeyTooLong`] above [`KEY_BYTES_MAX`].
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() > KEY_BYTES_MAX {
            return Err(StorageError::KeyTooLong { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// This key with `suffix` behind it.
    ///
    /// **Errors**: [`StorageError::KeyTooLong`] where the whole is above [`KEY_BYTES_MAX`].
    pub fn join(&self, suffix: impl AsRef<[u8]>) -> Result<Self> {
        Self::new([&self.0, suffix.as_ref()].concat())
    }

    /// What stands behind `prefix`; `None` where the key is not below it.
    pub fn strip_prefix(&self, prefix: &Self) -> Option<&[u8]> {
        self.0.strip_prefix(&*prefix.0)
    }

    /// The same as text; empty where the key is not below it.
    pub fn name_behind(&self, prefix: &Self) -> String {
        String::from_utf8_lossy(self.strip_prefix(prefix).unwrap_or_default()).into_owned()
    }
}

/// Keys order as their bytes do, so that a map of keys is searched by bytes.
impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&str> for Key {
    type Error = StorageError;

    fn try_from(text: &str) -> Result<Self> {
        Self::new(text.as_bytes())
    }
}

impl TryFrom<String> for Key {
    type Error = StorageError;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text.into_bytes())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}
