//! [`StreamSeal`]: encrypting a stream.

use super::head::{SALT_BYTES, StreamHead};
use super::{CHUNK_BYTES, CHUNKS_MAX, Chunks, chunk_key, nonce, too_large};
use crate::{Cause, DataKeySpec, EncryptionContext, KeyId, KeyManagementService, KmsError, Result};
use secretum_crypto::aead::TAG_BYTES;
use secretum_crypto::{Aead, SystemRng, random_bytes};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// A stream that is about to be encrypted.
#[derive(Debug)]
pub struct StreamSeal {
    head: StreamHead,
    key: Aead,
    pub(super) chunks_max: u64,
}

impl StreamSeal {
    /// Asks the service for a data key.
    ///
    /// **Errors**: whatever the service refuses with.
    pub async fn begin(
        kms: &dyn KeyManagementService,
        key: &KeyId,
        context: &EncryptionContext,
    ) -> Result<Self> {
        let made = kms
            .generate_data_key(key, DataKeySpec::AES_256, context)
            .await?;
        let salt: [u8; SALT_BYTES] = random_bytes(&SystemRng)?;
        Ok(Self {
            key: chunk_key(&made.plaintext, &salt)?,
            head: StreamHead {
                wrapped_key: made.wrapped,
                salt,
            },
            chunks_max: CHUNKS_MAX,
        })
    }

    /// The head that will be written.
    pub fn head(&self) -> &StreamHead {
        &self.head
    }

    /// Encrypts all that the reader gives; tells the bytes read so far after each chunk. Gives the
    /// bytes of plaintext.
    ///
    /// **Errors**: [`KmsError::Stream`], and [`KmsError::Format`] beyond [`CHUNKS_MAX`]; what was
    /// written then is no stream.
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
        writer.write_all(&self.head.to_bytes()).map_err(failed)?;
        let mut chunks = Chunks::new(reader, CHUNK_BYTES);
        let mut buffer = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + TAG_BYTES + 1));
        let mut bytes = 0;
        for number in 0..self.chunks_max {
            let last = chunks.next(&mut buffer)?;
            bytes += u64::try_from(buffer.len()).unwrap_or(u64::MAX);
            self.key
                .seal_in_place_append(nonce(number, last), b"", &mut buffer, 0)?;
            writer.write_all(&buffer).map_err(failed)?;
            progress(bytes);
            if last {
                writer.flush().map_err(failed)?;
                return Ok(bytes);
            }
        }
        Err(too_large())
    }
}
