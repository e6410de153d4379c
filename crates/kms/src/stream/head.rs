//! [`StreamHead`]: what stands before the chunks.

use crate::codec::{FormatError, Reader, Thing, put_u32};
use crate::envelope::check_wrapped_key;
use crate::{Cause, Ciphertext, EncryptionContext, KeyId, KeyManagementService, KmsError, Result};
use std::io::Read;

pub(super) const SALT_BYTES: usize = 32;

const MARK: &[u8; 4] = b"SKST";
const VERSION: u8 = 1;

/// Bytes up to the wrapped key.
const FRONT_BYTES: usize = 9;

/// The head of a stream: its data key, wrapped, and its salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    pub(super) wrapped_key: Ciphertext,
    pub(super) salt: [u8; SALT_BYTES],
}

impl StreamHead {
    /// The wrapped data key.
    pub fn wrapped_key(&self) -> &Ciphertext {
        &self.wrapped_key
    }

    /// Reads the head off the front of a stream, and not a byte more.
    ///
    /// **Errors**: [`KmsError::Format`], another one for each way in which it can be wrong, and
    /// [`KmsError::Stream`] where reading fails.
    pub fn read(mut reader: impl Read) -> Result<Self> {
        let what = Thing::Stream;
        let front = read_exactly(&mut reader, FRONT_BYTES)?;
        let mut parts = Reader::open(what, &front, MARK, VERSION)?;
        let length = parts.u32()?;
        check_wrapped_key(what, length)?;
        let rest = read_exactly(&mut reader, length + SALT_BYTES)?;
        let split = rest.split_last_chunk::<SALT_BYTES>();
        let whole = split.filter(|(wrapped_key, _)| wrapped_key.len() == length);
        let (wrapped_key, salt) = whole.ok_or(FormatError::Truncated { what })?;
        Ok(Self {
            wrapped_key: Ciphertext::from_bytes(wrapped_key)?,
            salt: *salt,
        })
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MARK.to_vec();
        out.push(VERSION);
        put_u32(&mut out, &self.wrapped_key.to_bytes());
        out.extend_from_slice(&self.salt);
        out
    }

    /// The head with its data key wrapped anew. It takes the place of the old one before the same
    /// chunks.
    ///
    /// **Errors**: whatever the service refuses with.
    pub async fn rewrap(
        &self,
        kms: &dyn KeyManagementService,
        context: &EncryptionContext,
        new_key: &KeyId,
        new_context: &EncryptionContext,
    ) -> Result<Self> {
        let wrapped_key = kms
            .re_encrypt(&self.wrapped_key, context, new_key, new_context)
            .await?;
        Ok(self.with_wrapped_key(wrapped_key))
    }

    /// The head with its data key as another service wrapped it.
    #[must_use]
    pub fn with_wrapped_key(&self, wrapped_key: Ciphertext) -> Self {
        Self {
            wrapped_key,
            salt: self.salt,
        }
    }
}

/// Reads so many bytes, or all there are.
fn read_exactly(reader: &mut impl Read, count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let wanted = u64::try_from(count).unwrap_or(u64::MAX);
    let read = reader.take(wanted).read_to_end(&mut bytes);
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(KmsError::Stream {
            action: "read",
            source: Cause::new(error),
        }),
    }
}
