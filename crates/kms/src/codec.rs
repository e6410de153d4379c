//! The bytes of what this library writes: lengths before contents, big-endian, read with care.

use std::fmt;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// They begin with something else.
    #[error("these bytes are no {what} of this library; see where they come from")]
    Foreign {
        /// What was expected.
        what: Thing,
    },
    /// They end too early.
    #[error("the {what} is cut off; fetch it again from where it is whole")]
    Truncated {
        /// What was expected.
        what: Thing,
    },
    /// A later version of this library wrote them.
    #[error(
        "the {what} has the format version {found}, and this program reads up to {newest}; use a newer program"
    )]
    Newer {
        /// What was expected.
        what: Thing,
        /// Its version.
        found: u8,
        /// The newest version that is read.
        newest: u8,
    },
    /// A part of them cannot be.
    #[error("the {what} is damaged: {reason}")]
    Malformed {
        /// What was expected.
        what: Thing,
        /// What is wrong.
        reason: &'static str,
    },
    /// They are more than any of their kind.
    #[error("the {what} is larger than {limit} bytes")]
    TooLarge {
        /// What was expected.
        what: Thing,
        /// The most.
        limit: usize,
    },
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thing {
    /// A [`crate::Ciphertext`].
    Ciphertext,
    /// The canonical bytes of a [`crate::EncryptionContext`].
    Context,
    /// An envelope.
    Envelope,
    /// An encrypted stream.
    Stream,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ciphertext => "ciphertext",
            Self::Context => "encryption context",
            Self::Envelope => "envelope",
            Self::Stream => "encrypted stream",
        })
    }
}

/// Takes parts off the front of bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    what: Thing,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the mark and the version that everything of ours begins with.
    pub(crate) fn open(
        what: Thing,
        bytes: &'a [u8],
        mark: &[u8],
        newest: u8,
    ) -> Result<Self, FormatError> {
        let common = bytes.len().min(mark.len());
        if bytes.get(..common) != mark.get(..common) {
            return Err(FormatError::Foreign { what });
        }
        let mut reader = Self { what, rest: bytes };
        reader.take(mark.len())?;
        match reader.u8()? {
            0 => Err(reader.malformed("its version is 0")),
            found if found > newest => Err(FormatError::Newer {
                what,
                found,
                newest,
            }),
            _ => Ok(reader),
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let what = self.what;
        let split = self.rest.split_at_checked(count);
        let (taken, rest) = split.ok_or(FormatError::Truncated { what })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let what = self.what;
        let split = self.rest.split_first_chunk::<N>();
        let (taken, rest) = split.ok_or(FormatError::Truncated { what })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<usize, FormatError> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    pub(crate) fn u32(&mut self) -> Result<usize, FormatError> {
        let number = u32::from_be_bytes(self.array()?);
        usize::try_from(number).map_err(|_| self.malformed("a length is too large"))
    }

    /// A text of so many bytes.
    pub(crate) fn text(&mut self, count: usize) -> Result<&'a str, FormatError> {
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a text in it is not UTF-8"))
    }

    /// Nothing stands behind what was read.
    pub(crate) fn end(&self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("something stands behind its end"))
        }
    }

    pub(crate) fn malformed(&self, reason: &'static str) -> FormatError {
        FormatError::Malformed {
            what: self.what,
            reason,
        }
    }
}

/// Puts bytes behind their length in one byte. What is longer is refused where it is made.
pub(crate) fn put_u8(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u8::MAX));
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// Puts bytes behind their length in two bytes. What is longer is refused where it is made.
pub(crate) fn put_u16(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX));
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Puts bytes behind their length in four bytes. What is longer is refused where it is made.
pub(crate) fn put_u32(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(u32::try_from(bytes.len()).is_ok());
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}
