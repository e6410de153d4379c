//! [`StreamOpen`]: decrypting a stream.

use super::head::StreamHead;
use super::{CHUNK_BYTES, CHUNKS_MAX, Chunks, chunk_key, nonce, too_large};
use crate::codec::{FormatError, Thing};
use crate::{Cause, EncryptionContext, KeyManagementService, KmsError, Result};
use secretum_crypto::Aead;
use secretum_crypto::aead::TAG_BYTES;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// A stream that is about to be decrypted.
#[derive(Debug)]
pub struct StreamOpen {
    not_authentic: KmsError,
    key: Aead,
    pub(super) chunks_max: u64,
}

impl StreamOpen {
    /// Has the service open the data key of this head.
    ///
    /// **Errors**: whatever the service refuses with.
    pub async fn begin(
        kms: &dyn KeyManagementService,
        head: &StreamHead,
        context: &EncryptionContext,
    ) -> Result<Self> {
        let data_key = kms.decrypt_data_key(&head.wrapped_key, context).await?;
        Ok(Self {
            key: chunk_key(&data_key, &head.salt)?,
            not_authentic: KmsError::NotAuthentic {
                key: head.wrapped_key.key().clone(),
            },
            chunks_max: CHUNKS_MAX,
        })
    }

    /// Decrypts the chunks behind the head; tells the bytes written so far after each. Gives the bytes
    /// of plaintext.
    ///
    /// What is written was authentic, and is the beginning of the plaintext. It is all of it where this
    /// returns `Ok`, and must be thrown away where it does not.
    ///
    /// **Errors**: [`KmsError::NotAuthentic`] where a chunk was changed or moved,
    /// [`KmsError::Format`] where the stream was cut or something stands behind it, and
    /// [`KmsError::Stream`].
    pub fn run(
        self,
        reader: impl Read,
        mut writer: impl Write,
        mut progress: impl FnMut(u64),
    ) -> Result<u64> {
        let failed = |error| KmsError::Stream {
            action: "write",
            source: Cause::new(error),
        };
        let mut chunks = Chunks::new(reader, CHUNK_BYTES + TAG_BYTES);
        let mut buffer = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES + 1);
        let mut plaintext = Zeroizing::new(vec![0; CHUNK_BYTES]);
        let mut bytes = 0;
        for number in 0..self.chunks_max {
            let last = chunks.next(&mut buffer)?;
            let length = buffer.len().checked_sub(TAG_BYTES);
            let room = length.and_then(|length| plaintext.get_mut(..length));
            let plaintext = room.ok_or(truncated())?;
            let empty = plaintext.is_empty() && number > 0;
            let opened = self
                .key
                .open_into(nonce(number, last), b"", &buffer, plaintext);
            if opened.is_err() || empty {
                return Err(self.fault(number, last, &buffer));
            }
            writer.write_all(plaintext).map_err(failed)?;
            bytes += u64::try_from(plaintext.len()).unwrap_or(u64::MAX);
            progress(bytes);
            if last {
                writer.flush().map_err(failed)?;
                return Ok(bytes);
            }
        }
        Err(too_large())
    }

    /// Why a chunk did not open: with the other mark of the last one it may.
    fn fault(self, number: u64, last: bool, buffer: &[u8]) -> KmsError {
        let opened = self.key.open(nonce(number, !last), b"", buffer);
        match opened.map(Zeroizing::new) {
            Ok(_) if last => truncated(),
            Ok(_) => KmsError::Format(FormatError::Malformed {
                what: Thing::Stream,
                reason: "something stands behind its end",
            }),
            // A short chunk is the last of a stream that was cut, or that somebody wrote.
            Err(_) if last && buffer.len() < CHUNK_BYTES + TAG_BYTES => {
                KmsError::Format(FormatError::Malformed {
                    what: Thing::Stream,
                    reason: "its last chunk was cut or changed",
                })
            }
            Err(_) => self.not_authentic,
        }
    }
}

fn truncated() -> KmsError {
    KmsError::Format(FormatError::Truncated {
        what: Thing::Stream,
    })
}
