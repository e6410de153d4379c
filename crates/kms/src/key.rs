//! Keys: their identifiers, their versions, and what is told about them.

use crate::KmsError;
use secretum_crypto::Timestamp;
use std::fmt;
use std::str::FromStr;

/// The most bytes of a key's identifier, which is enough for the name of any cloud's resource.
pub const KEY_ID_BYTES_MAX: usize = 2048;

/// The most bytes of a key version.
pub const KEY_VERSION_BYTES_MAX: usize = 255;

/// The most keys that one page of a listing holds.
pub const KEYS_PAGE_MAX: usize = 1000;

/// The identifier of a key, as its provider understands it: a name, an ARN, a resource path.
///
/// **Shape**: 1 to [`KEY_ID_BYTES_MAX`] bytes of UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The identifier that this text is.
    ///
    /// **Errors**: [`KmsError::KeyId`] where it is empty, too long, or holds control characters.
    pub fn new(id: impl Into<String>) -> Result<Self, KmsError> {
        let id = id.into();
        let reason = if id.is_empty() {
            "it is empty"
        } else if id.len() > KEY_ID_BYTES_MAX {
            "it is too long"
        } else if id.chars().any(char::is_control) {
            "it holds control characters"
        } else {
            return Ok(Self(id));
        };
        let id = id.chars().filter(|c| !c.is_control()).take(80).collect();
        Err(KmsError::KeyId { id, reason })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = KmsError;

    fn from_str(text: &str) -> Result<Self, KmsError> {
        Self::new(text)
    }
}

/// The version of a key, as its provider tells it; empty where a provider tells none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct KeyVersion(String);

impl KeyVersion {
    /// The version that this text is; `None` where it is too long or holds control characters.
    pub fn new(version: impl Into<String>) -> Option<Self> {
        let version = version.into();
        let fits = version.len() <= KEY_VERSION_BYTES_MAX && !version.chars().any(char::is_control);
        fits.then_some(Self(version))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for KeyVersion {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is told about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its identifier.
    pub key: KeyId,
    /// The version that encrypts now.
    pub version: KeyVersion,
    /// Whether it encrypts now.
    pub enabled: bool,
    /// When that version was made, where the provider tells.
    pub rotated_at: Option<Timestamp>,
}

/// A page of keys, in the provider's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// The keys, at most as many as were asked for.
    pub keys: Vec<KeyId>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

#[cfg(feature = "config")]
impl KeyPage {
    /// The page behind `after` of keys that are sorted.
    pub(crate) fn of_sorted<'a>(
        keys: impl Iterator<Item = &'a KeyId>,
        after: Option<&KeyId>,
        limit: usize,
    ) -> Self {
        let limit = limit.min(KEYS_PAGE_MAX);
        let behind = keys.filter(|key| after.is_none_or(|after| *key > after));
        let mut keys: Vec<KeyId> = behind.take(limit.saturating_add(1)).cloned().collect();
        let more = keys.len() > limit;
        keys.truncate(limit);
        Self { keys, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_limits() {
        assert!(KeyId::new("a".repeat(KEY_ID_BYTES_MAX)).is_ok());
        for refused in ["", "a\nb", &"a".repeat(KEY_ID_BYTES_MAX + 1)] {
            let error = KeyId::new(refused).unwrap_err();
            assert!(matches!(error, KmsError::KeyId { .. }) && !error.to_string().contains('\n'));
        }
        assert!(KeyVersion::new("").is_some());
        assert!(KeyVersion::new("1".repeat(KEY_VERSION_BYTES_MAX)).is_some());
        assert!(KeyVersion::new("1".repeat(KEY_VERSION_BYTES_MAX + 1)).is_none());
        assert!(KeyVersion::new("1\0").is_none());
    }

    #[cfg(feature = "config")]
    #[test]
    fn pages_follow_each_other() {
        let keys: Vec<KeyId> = ["a", "b", "c"].map(|id| KeyId::new(id).unwrap()).to_vec();
        let first = KeyPage::of_sorted(keys.iter(), None, 2);
        assert_eq!((first.keys.as_slice(), first.more), (&keys[..2], true));
        let second = KeyPage::of_sorted(keys.iter(), first.keys.last(), 2);
        assert_eq!((second.keys.as_slice(), second.more), (&keys[2..], false));
    }
}
