//! [`Ciphertext`]: bytes that say how to open them.
//!
//! # Format, version 1
//!
//! ```text
//! mark      4    "SKMS"
//! version   u8   1
//! form      u8   1 native, 2 sealed
//! provider  u8 length, ASCII a-z 0-9 -
//! key id    u16 length, UTF-8
//! key version    u8 length, UTF-8; empty where the provider tells none
//! wrapped   u32 length: what the provider gave
//! and, in the sealed form only:
//! nonce     12
//! sealed    u32 length: AES-256-GCM of the plaintext, with its tag
//! ```
//!
//! Numbers are big-endian, and nothing stands behind the end.
//!
//! In the native form `wrapped` is the plaintext as the provider encrypted it, bound to the context by
//! the provider itself. In the sealed form it is a data key that the provider wrapped; the plaintext
//! is encrypted under that key, and everything from the mark to `wrapped`, and then the canonical
//! bytes of the context, are its associated data. Where the provider binds no context, it wrapped the
//! data key behind a mark of eight bytes and the SHA-256 of the context's canonical bytes: so it cannot
//! be passed off as a native ciphertext's plaintext.

use crate::codec::{FormatError, Reader, Thing, put_u8, put_u16, put_u32};
use crate::{KeyId, KeyVersion, Wrapped};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::aead::NONCE_BYTES;
use std::fmt;

/// The most bytes of a ciphertext: the largest plaintext, and room for all that stands before it.
pub const CIPHERTEXT_BYTES_MAX: usize = crate::PLAINTEXT_BYTES_MAX + (1 << 20);

const MARK: &[u8; 4] = b"SKMS";
const VERSION: u8 = 1;
const NATIVE: u8 = 1;
const SEALED: u8 = 2;
const PROVIDER_BYTES_MAX: usize = 32;

/// How the plaintext is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The provider encrypted it.
    Native,
    /// It is encrypted under a data key that the provider wrapped.
    Sealed,
}

/// An encrypted plaintext, and what it takes to open it: provider, key, key version.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ciphertext {
    provider: String,
    wrapped: Wrapped,
    sealed: Option<Sealed>,
}

/// The plaintext under a data key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sealed {
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) bytes: Vec<u8>,
}

impl Ciphertext {
    /// The ciphertext that a provider gave, in its own form: an age file, a text of Vault's transit
    /// engine. What stands in such files can be opened so.
    ///
    /// **Errors**: [`FormatError::Malformed`] for a name that is no provider's.
    pub fn native(provider: &str, wrapped: Wrapped) -> Result<Self, FormatError> {
        if !is_provider(provider) {
            return Err(FormatError::Malformed {
                what: Thing::Ciphertext,
                reason: "it names no provider",
            });
        }
        Ok(Self {
            provider: provider.to_owned(),
            wrapped,
            sealed: None,
        })
    }

    /// The same, with the plaintext beside the wrapped data key.
    pub(crate) fn with_sealed(self, sealed: Sealed) -> Self {
        Self {
            sealed: Some(sealed),
            ..self
        }
    }

    /// The name of the provider that made it.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The key that it was made under.
    pub fn key(&self) -> &KeyId {
        &self.wrapped.key
    }

    /// The version of that key.
    pub fn key_version(&self) -> &KeyVersion {
        &self.wrapped.version
    }

    /// How the plaintext is held.
    pub fn form(&self) -> Form {
        match self.sealed {
            Some(_) => Form::Sealed,
            None => Form::Native,
        }
    }

    /// What the provider gave: in the native form the whole plaintext in the provider's own form, in
    /// the sealed form the wrapped data key.
    pub fn wrapped(&self) -> &Wrapped {
        &self.wrapped
    }

    pub(crate) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_ref()
    }

    /// Everything up to the wrapped bytes, as it is authenticated in the sealed form.
    pub(crate) fn header(&self, form: Form) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.wrapped.bytes.len());
        out.extend_from_slice(MARK);
        out.push(VERSION);
        out.push(match form {
            Form::Native => NATIVE,
            Form::Sealed => SEALED,
        });
        put_u8(&mut out, self.provider.as_bytes());
        put_u16(&mut out, self.wrapped.key.as_str().as_bytes());
        put_u8(&mut out, self.wrapped.version.as_str().as_bytes());
        put_u32(&mut out, &self.wrapped.bytes);
        out
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header(self.form());
        if let Some(sealed) = &self.sealed {
            out.reserve_exact(NONCE_BYTES + 4 + sealed.bytes.len());
            out.extend_from_slice(&sealed.nonce);
            put_u32(&mut out, &sealed.bytes);
        }
        out
    }

    /// Reads its bytes.
    ///
    /// **Errors**: [`FormatError`], another one for each way in which they can be wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let what = Thing::Ciphertext;
        if bytes.len() > CIPHERTEXT_BYTES_MAX {
            let limit = CIPHERTEXT_BYTES_MAX;
            return Err(FormatError::TooLarge { what, limit });
        }
        let mut reader = Reader::open(what, bytes, MARK, VERSION)?;
        let form = reader.u8()?;
        if form != NATIVE && form != SEALED {
            return Err(reader.malformed("its form is neither native nor sealed"));
        }
        let length = reader.u8()?;
        let provider = reader.text(usize::from(length))?;
        let length = reader.u16()?;
        let key = KeyId::new(reader.text(length)?)
            .map_err(|_| reader.malformed("its key has no valid identifier"))?;
        let length = reader.u8()?;
        let version = KeyVersion::new(reader.text(usize::from(length))?)
            .ok_or_else(|| reader.malformed("its key has no valid version"))?;
        let length = reader.u32()?;
        let bytes = reader.take(length)?.to_vec();
        let wrapped = Wrapped {
            key,
            version,
            bytes,
        };
        let mut ciphertext = Self::native(provider, wrapped)?;
        if form == SEALED {
            let nonce = reader.array()?;
            let length = reader.u32()?;
            let bytes = reader.take(length)?.to_vec();
            ciphertext = ciphertext.with_sealed(Sealed { nonce, bytes });
        }
        reader.end()?;
        Ok(ciphertext)
    }

    /// Its bytes in base64, for what takes text only.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.to_bytes())
    }

    /// Reads its bytes from base64; spaces and line breaks around them do not count.
    ///
    /// **Errors**: as [`Self::from_bytes`]; what is no base64 is foreign.
    pub fn from_base64(text: &str) -> Result<Self, FormatError> {
        let what = Thing::Ciphertext;
        let limit = CIPHERTEXT_BYTES_MAX;
        if text.len() > limit.saturating_mul(2) {
            return Err(FormatError::TooLarge { what, limit });
        }
        let bytes = STANDARD.decode(text.trim());
        Self::from_bytes(&bytes.map_err(|_| FormatError::Foreign { what })?)
    }
}

fn is_provider(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PROVIDER_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ciphertext")
            .field("provider", &self.provider)
            .field("key", &self.wrapped.key.as_str())
            .field("key_version", &self.wrapped.version.as_str())
            .field("form", &self.form())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native() -> Ciphertext {
        let wrapped = Wrapped {
            key: KeyId::new("k").unwrap(),
            version: KeyVersion::from(3),
            bytes: b"xyz".to_vec(),
        };
        Ciphertext::native("local", wrapped).unwrap()
    }

    fn sealed() -> Ciphertext {
        native().with_sealed(Sealed {
            nonce: [7; 12],
            bytes: b"0123456789abcdef".to_vec(),
        })
    }

    fn what() -> Thing {
        Thing::Ciphertext
    }

    #[test]
    fn bytes_are_as_documented() {
        let bytes = native().to_bytes();
        assert_eq!(bytes, b"SKMS\x01\x01\x05local\0\x01k\x013\0\0\0\x03xyz");
        let bytes = sealed().to_bytes();
        assert!(bytes.starts_with(b"SKMS\x01\x02\x05local"));
        assert!(bytes.ends_with(b"\x07\0\0\0\x100123456789abcdef"));
        for ciphertext in [native(), sealed()] {
            let bytes = ciphertext.to_bytes();
            assert_eq!(Ciphertext::from_bytes(&bytes).unwrap(), ciphertext);
            let text = format!("\n{}\n", ciphertext.to_base64());
            assert_eq!(Ciphertext::from_base64(&text).unwrap(), ciphertext);
        }
    }

    #[test]
    fn each_fault_has_its_error() {
        for bytes in [native().to_bytes(), sealed().to_bytes()] {
            for cut in 0..bytes.len() {
                let refused = Ciphertext::from_bytes(&bytes[..cut]);
                assert_eq!(refused, Err(FormatError::Truncated { what: what() }));
            }
            let behind = [bytes.as_slice(), b"x"].concat();
            assert!(matches!(
                Ciphertext::from_bytes(&behind),
                Err(FormatError::Malformed { .. })
            ));
            let mut newer = bytes;
            newer[4] = 2;
            let wanted = FormatError::Newer {
                what: what(),
                found: 2,
                newest: 1,
            };
            assert_eq!(Ciphertext::from_bytes(&newer), Err(wanted));
        }
        let foreign = FormatError::Foreign { what: what() };
        for bytes in [&b"age-encryption.org/v1\n"[..], b"vault:v1:xyz", b"SKMT"] {
            assert_eq!(Ciphertext::from_bytes(bytes), Err(foreign.clone()));
        }
        assert_eq!(Ciphertext::from_base64("vault:v1"), Err(foreign));
    }

    #[test]
    fn what_cannot_be_is_malformed() {
        for bytes in [
            &b"SKMS\x00\x01\x05local\0\x01k\x013\0\0\0\x03xyz"[..],
            b"SKMS\x01\x03\x05local\0\x01k\x013\0\0\0\x03xyz",
            b"SKMS\x01\x01\x00\0\x01k\x013\0\0\0\x03xyz",
            b"SKMS\x01\x01\x05LOCAL\0\x01k\x013\0\0\0\x03xyz",
            b"SKMS\x01\x01\x05local\0\0\x013\0\0\0\x03xyz",
            b"SKMS\x01\x01\x05local\0\x01k\x01\n\0\0\0\x03xyz",
            b"SKMS\x01\x01\x05local\0\x01\xff\x013\0\0\0\x03xyz",
        ] {
            let refused = Ciphertext::from_bytes(bytes);
            assert!(matches!(refused, Err(FormatError::Malformed { .. })));
        }
    }

    #[test]
    fn the_size_has_its_limit() {
        let long = vec![b'S'; CIPHERTEXT_BYTES_MAX + 1];
        let refused = Ciphertext::from_bytes(&long);
        assert!(matches!(refused, Err(FormatError::TooLarge { .. })));
        let text = "A".repeat(2 * CIPHERTEXT_BYTES_MAX + 1);
        let refused = Ciphertext::from_base64(&text);
        assert!(matches!(refused, Err(FormatError::TooLarge { .. })));
    }
}
