//! [`EncryptionContext`]: what a ciphertext belongs to.
//!
//! # Canonical bytes
//!
//! What is authenticated with a ciphertext. The same pairs give the same bytes, in whatever order they
//! were given, and other pairs give others: each text stands behind its length.
//!
//! ```text
//! version  u8   1
//! count    u16  pairs that follow
//! a pair, sorted by the bytes of its key:
//!   key    u16 length, UTF-8
//!   value  u16 length, UTF-8
//! ```
//!
//! Numbers are big-endian.

use crate::KmsError;
use crate::codec::{FormatError, Reader, Thing, put_u16};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The most pairs of a context.
pub const CONTEXT_ENTRIES_MAX: usize = 64;

/// The most bytes of a key.
pub const CONTEXT_KEY_BYTES_MAX: usize = 256;

/// The most bytes of a value.
pub const CONTEXT_VALUE_BYTES_MAX: usize = 4096;

/// The most canonical bytes of a context, which is what the cloud services take.
pub const CONTEXT_BYTES_MAX: usize = 8192;

const VERSION: u8 = 1;

/// Pairs of texts that a ciphertext is bound to: it opens with the same pairs only.
///
/// They are no secret. Audit records show their keys.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct EncryptionContext {
    pairs: BTreeMap<String, String>,
}

impl EncryptionContext {
    /// The context without pairs.
    pub const NONE: Self = Self {
        pairs: BTreeMap::new(),
    };

    /// A context without pairs.
    pub fn new() -> Self {
        Self::NONE
    }

    /// The context of these pairs.
    ///
    /// **Errors**: [`KmsError::Context`] where a key is empty or given twice, or a limit is passed.
    pub fn of<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, KmsError> {
        let mut context = Self::new();
        for (key, value) in pairs {
            context.insert(key.into(), value.into())?;
        }
        let bytes = context.canonical_bytes().len();
        if bytes > CONTEXT_BYTES_MAX {
            return Err(refused(format!(
                "it has {bytes} bytes, more than {CONTEXT_BYTES_MAX}"
            )));
        }
        Ok(context)
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pairs, sorted by key.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs.keys().map(String::as_str)
    }

    /// The bytes that are authenticated.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        // INVARIANT: `insert` keeps the count and the lengths far below what two bytes hold.
        let count = u16::try_from(self.pairs.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        for (key, value) in &self.pairs {
            put_u16(&mut out, key.as_bytes());
            put_u16(&mut out, value.as_bytes());
        }
        out
    }

    /// Reads canonical bytes. Bytes that are not canonical are refused, so that one context has one
    /// form.
    ///
    /// **Errors**: [`KmsError::Format`], and [`KmsError::Context`] where a limit is passed.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Result<Self, KmsError> {
        if bytes.len() > CONTEXT_BYTES_MAX {
            return Err(KmsError::Format(FormatError::TooLarge {
                what: Thing::Context,
                limit: CONTEXT_BYTES_MAX,
            }));
        }
        let mut reader = Reader::open(Thing::Context, bytes, &[], VERSION)?;
        let count = reader.u16()?;
        let mut context = Self::new();
        for _ in 0..count {
            let length = reader.u16()?;
            let key = reader.text(length)?;
            let length = reader.u16()?;
            let value = reader.text(length)?;
            let last = context.pairs.last_key_value();
            if last.is_some_and(|(last, _)| key <= last.as_str()) {
                return Err(reader.malformed("its keys are not sorted").into());
            }
            context.insert(key.to_owned(), value.to_owned())?;
        }
        reader.end()?;
        Ok(context)
    }

    fn insert(&mut self, key: String, value: String) -> Result<(), KmsError> {
        let fault = if key.is_empty() {
            Some("a key in it is empty".to_owned())
        } else if key.len() > CONTEXT_KEY_BYTES_MAX {
            Some(format!("a key has more than {CONTEXT_KEY_BYTES_MAX} bytes"))
        } else if value.len() > CONTEXT_VALUE_BYTES_MAX {
            Some(format!(
                "the value of `{key}` has more than {CONTEXT_VALUE_BYTES_MAX} bytes"
            ))
        } else if self.pairs.contains_key(&key) {
            Some(format!("the key `{key}` is given twice"))
        } else if self.pairs.len() >= CONTEXT_ENTRIES_MAX {
            Some(format!("it has more than {CONTEXT_ENTRIES_MAX} pairs"))
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(refused(fault));
        }
        self.pairs.insert(key, value);
        Ok(())
    }
}

fn refused(reason: String) -> KmsError {
    KmsError::Context { reason }
}

/// Reads `env=prod,service=api`; spaces around a pair and its parts do not count. An empty text is
/// the empty context.
impl FromStr for EncryptionContext {
    type Err = KmsError;

    fn from_str(text: &str) -> Result<Self, KmsError> {
        if text.trim().is_empty() {
            return Ok(Self::new());
        }
        let pairs: Result<Vec<(&str, &str)>, KmsError> = text
            .split(',')
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) => Ok((key.trim(), value.trim())),
                None => Err(refused(format!(
                    "`{}` is no pair; write it as key=value,key=value",
                    pair.trim()
                ))),
            })
            .collect();
        Self::of(pairs?)
    }
}

/// Shows the keys alone: values are no secret, and yet nobody's business in a log.
impl fmt::Debug for EncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionContext")?;
        f.debug_list().entries(self.pairs.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::of(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn canonical_bytes_are_as_documented() {
        let bytes = context(&[("b", "2"), ("a", "")]).canonical_bytes();
        assert_eq!(bytes, b"\x01\0\x02\0\x01a\0\0\0\x01b\0\x012");
        assert_eq!(EncryptionContext::new().canonical_bytes(), b"\x01\0\0");
    }

    #[test]
    fn texts_are_read() {
        let wanted = context(&[("env", "prod"), ("service", "api=1")]);
        let read: EncryptionContext = "service=api=1, env = prod".parse().unwrap();
        assert_eq!(read, wanted);
        assert!(" ".parse::<EncryptionContext>().unwrap().is_empty());
        for refused in ["env", "=x", "a=1,a=2", "a=1,,b=2", ","] {
            let error = refused.parse::<EncryptionContext>().unwrap_err();
            assert!(matches!(error, KmsError::Context { .. }), "{refused}");
        }
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let pairs = |count: usize| (0..count).map(|n| (format!("k{n}"), "v"));
        assert!(EncryptionContext::of(pairs(CONTEXT_ENTRIES_MAX)).is_ok());
        assert!(EncryptionContext::of(pairs(CONTEXT_ENTRIES_MAX + 1)).is_err());
        let key = |bytes: usize| EncryptionContext::of([("k".repeat(bytes), "v")]);
        assert!(key(CONTEXT_KEY_BYTES_MAX).is_ok() && key(CONTEXT_KEY_BYTES_MAX + 1).is_err());
        let value = |bytes: usize| EncryptionContext::of([("k", "v".repeat(bytes))]);
        assert!(value(CONTEXT_VALUE_BYTES_MAX).is_ok());
        assert!(value(CONTEXT_VALUE_BYTES_MAX + 1).is_err());
        // 3 bytes ahead of the pairs, and 5 beside the values of each.
        let two = |bytes: usize| {
            EncryptionContext::of([("a", "v".repeat(4096)), ("b", "v".repeat(bytes))])
        };
        let edge = CONTEXT_BYTES_MAX - 3 - 5 - 5 - 4096;
        let whole = two(edge).unwrap().canonical_bytes();
        assert_eq!(whole.len(), CONTEXT_BYTES_MAX);
        assert!(EncryptionContext::from_canonical_bytes(&whole).is_ok());
        assert!(two(edge + 1).is_err());
    }

    #[test]
    fn bytes_that_are_not_canonical_are_refused() {
        let good = context(&[("a", "1"), ("b", "2")]).canonical_bytes();
        for cut in 0..good.len() {
            let refused = EncryptionContext::from_canonical_bytes(&good[..cut]);
            let truncated = FormatError::Truncated {
                what: Thing::Context,
            };
            assert!(matches!(refused, Err(KmsError::Format(error)) if error == truncated));
        }
        for bad in [
            &b"\x02\0\0"[..],
            b"\x00\0\0",
            b"\x01\0\0\0",
            b"\x01\0\x02\0\x01b\0\0\0\x01a\0\0",
            b"\x01\0\x02\0\x01a\0\0\0\x01a\0\0",
            b"\x01\0\x01\0\x01\xff\0\0",
        ] {
            assert!(EncryptionContext::from_canonical_bytes(bad).is_err());
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", context(&[("env", "planted")]));
        assert!(shown.contains("env") && !shown.contains("planted"));
    }

    proptest! {
        #[test]
        fn other_pairs_give_other_bytes(
            one in proptest::collection::btree_map("[a-c=,]{1,3}", "[a-c=,]{0,3}", 0..4),
            other in proptest::collection::btree_map("[a-c=,]{1,3}", "[a-c=,]{0,3}", 0..4),
        ) {
            let bytes = EncryptionContext::of(one.clone()).unwrap().canonical_bytes();
            let others = EncryptionContext::of(other.clone()).unwrap().canonical_bytes();
            prop_assert_eq!(bytes == others, one == other);
            let back = EncryptionContext::from_canonical_bytes(&bytes).unwrap();
            prop_assert_eq!(back.canonical_bytes(), bytes);
        }
    }
}
