//! [`Record`]: what the storage holds of a data key.
//!
//! # Format, version 2
//!
//! ```text
//! mark      4    "SKDK"
//! version   u8   2
//! id        u16 length, UTF-8
//! wrapped   the rest: a ciphertext of `secretum-kms`
//! ```
//!
//! Numbers are big-endian. Version 1 is the ciphertext alone: the name of a record is a digest, so such
//! a record does not tell its identifier, and gets it when it is asked for by it.

use super::check_id;
use secretum_kms::{Ciphertext, FormatError};

const MARK: &[u8; 4] = b"SKDK";
const VERSION: u8 = 2;

/// Why a record of the storage is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Wrapped(#[from] FormatError),
    #[error("it is cut off")]
    Truncated,
    #[error(
        "it has the format version {found}, and this program reads up to {VERSION}; use a newer program"
    )]
    Newer { found: u8 },
    #[error("its identifier cannot be one")]
    Id,
    #[error("it is that of another identifier")]
    OtherId,
}

/// A wrapped data key, and its identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// `None` in records of version 1.
    pub(crate) id: Option<String>,
    pub(crate) wrapped: Ciphertext,
}

impl Record {
    /// The record of an identifier.
    pub(crate) fn new(id: &str, wrapped: Ciphertext) -> Self {
        Self {
            id: Some(id.to_owned()),
            wrapped,
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some(rest) = bytes.strip_prefix(MARK) else {
            let wrapped = Ciphertext::from_bytes(bytes)?;
            return Ok(Self { id: None, wrapped });
        };
        let (version, rest) = rest.split_first().ok_or(RecordError::Truncated)?;
        if *version != VERSION {
            return Err(RecordError::Newer { found: *version });
        }
        let (length, rest) = rest.split_first_chunk().ok_or(RecordError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, wrapped) = rest
            .split_at_checked(length)
            .ok_or(RecordError::Truncated)?;
        let id = std::str::from_utf8(id).map_err(|_| RecordError::Id)?;
        check_id(id).map_err(|_| RecordError::Id)?;
        Ok(Self::new(id, Ciphertext::from_bytes(wrapped)?))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let wrapped = self.wrapped.to_bytes();
        let Some(id) = &self.id else {
            return wrapped;
        };
        let mut out = MARK.to_vec();
        out.push(VERSION);
        // Identifiers have 1,024 bytes at most.
        let length = u16::try_from(id.len()).unwrap_or(u16::MAX);
        out.extend(length.to_be_bytes());
        out.extend(id.as_bytes());
        out.extend(wrapped);
        out
    }

    /// Whether it may be that of this identifier.
    pub(crate) fn check(self, id: &str) -> Result<Self, RecordError> {
        match self.id.as_deref().is_none_or(|own| own == id) {
            true => Ok(self),
            false => Err(RecordError::OtherId),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DATA_KEY_ID_BYTES_MAX;
    use super::*;
    use proptest::prelude::*;
    use secretum_kms::{KeyId, KeyVersion, Wrapped};

    fn wrapped() -> Ciphertext {
        let wrapped = Wrapped {
            key: KeyId::new("default").unwrap(),
            version: KeyVersion::from(1),
            bytes: vec![7; 40],
        };
        Ciphertext::native("local", wrapped).unwrap()
    }

    #[test]
    fn both_versions_are_read_as_they_were_written() {
        let old = wrapped().to_bytes();
        let read = Record::from_bytes(&old).unwrap();
        assert_eq!((read.id.as_deref(), read.to_bytes()), (None, old));
        for id in ["volume-1", "ä", &"i".repeat(DATA_KEY_ID_BYTES_MAX)] {
            let record = Record::new(id, wrapped());
            let read = Record::from_bytes(&record.to_bytes()).unwrap();
            assert_eq!(read, record);
            assert!(read.clone().check(id).is_ok());
            assert_eq!(read.check("another"), Err(RecordError::OtherId));
        }
    }

    #[test]
    fn each_fault_is_told_apart() {
        let whole = Record::new("volume-1", wrapped()).to_bytes();
        for end in 4..whole.len() {
            assert!(Record::from_bytes(&whole[..end]).is_err(), "{end}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            Record::from_bytes(&bytes).unwrap_err()
        };
        assert_eq!(with(4, 3), RecordError::Newer { found: 3 });
        assert_eq!(with(5, 0xff), RecordError::Truncated);
        assert_eq!(with(7, 0xff), RecordError::Id);
        assert_eq!(with(7, b'\n'), RecordError::Id);
        assert!(matches!(with(0, b'x'), RecordError::Wrapped(_)));
        let long = Record::new(&"i".repeat(DATA_KEY_ID_BYTES_MAX + 1), wrapped());
        assert_eq!(Record::from_bytes(&long.to_bytes()), Err(RecordError::Id));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::from_bytes(&bytes);
            let _ = Record::from_bytes(&[MARK.as_slice(), &[VERSION], &bytes].concat());
        }
    }
}
