//! Files of any size, in constant memory.
//!
//! # Format, version 1
//!
//! ```text
//! mark      4    "SKST"
//! version   u8   1
//! wrapped   u32 length: the data key, a Ciphertext
//! salt      32
//! chunks    each AES-256-GCM of 65,536 bytes of plaintext, with its tag; the last one may be shorter,
//!           and is empty only where the whole plaintext is
//! ```
//!
//! Numbers are big-endian. The key of the chunks is HKDF-SHA256 of the data key with the salt and the
//! info `"secretum-kms stream 1"`: no two streams share one, even where they share a data key. The
//! nonce of a chunk is its number in eleven bytes, and one byte that is 1 for the last chunk and else
//! 0. There is no associated data.
//!
//! So a chunk opens in its place only, and a stream that was cut, at the edge of a chunk too, or
//! lengthened, is told. The context is bound by the wrapped key, which opens with it only; wrapping the
//! key anew changes the head and leaves the chunks.
//!
//! # Use
//!
//! [`StreamSeal::begin`] and [`StreamOpen::begin`] talk to the service, once. What they give is run on
//! any reader and writer, outside of the asynchronous runtime.

mod head;
mod open;
mod seal;

pub use self::head::StreamHead;
pub use self::open::StreamOpen;
pub use self::seal::StreamSeal;

use crate::codec::{FormatError, Thing};
use crate::{Cause, KmsError, Result};
use secretum_crypto::aead::NONCE_BYTES;
use secretum_crypto::{Aead, Key256, SecretBytes, hkdf_sha256};
use std::io::Read;

/// Bytes of plaintext in a chunk.
pub const CHUNK_BYTES: usize = 64 << 10;

/// The most chunks of a stream, 256 TiB of plaintext: what one key of AES-GCM may encrypt.
pub const CHUNKS_MAX: u64 = 1 << 32;

const INFO: &[u8] = b"secretum-kms stream 1";

/// The key of a stream's chunks.
fn chunk_key(data_key: &SecretBytes, salt: &[u8]) -> Result<Aead> {
    let key = hkdf_sha256(data_key.expose(), salt, INFO, 32)?;
    Ok(Aead::aes_256_gcm(&Key256::from_slice(key.expose())?)?)
}

/// The nonce of a chunk.
fn nonce(number: u64, last: bool) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    for (place, byte) in nonce.iter_mut().skip(3).zip(number.to_be_bytes()) {
        *place = byte;
    }
    if let Some(flag) = nonce.last_mut() {
        *flag = u8::from(last);
    }
    nonce
}

/// The error of a stream with more than [`CHUNKS_MAX`] chunks.
fn too_large() -> KmsError {
    let chunks = usize::try_from(CHUNKS_MAX).unwrap_or(usize::MAX);
    KmsError::Format(FormatError::TooLarge {
        what: Thing::Stream,
        limit: chunks.saturating_mul(CHUNK_BYTES),
    })
}

/// Reads chunks of a size, and knows of each whether it is the last: it reads one byte ahead.
struct Chunks<R> {
    reader: R,
    size: usize,
    ahead: Option<u8>,
}

impl<R: Read> Chunks<R> {
    fn new(reader: R, size: usize) -> Self {
        Self {
            reader,
            size,
            ahead: None,
        }
    }

    /// Puts the next chunk into the buffer; whether it is the last.
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        buffer.clear();
        buffer.extend(self.ahead.take());
        let wanted = self.size + 1 - buffer.len();
        // A length that does not fit is far beyond the size of a chunk.
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        (&mut self.reader)
            .take(wanted)
            .read_to_end(buffer)
            .map_err(|error| KmsError::Stream {
                action: "read",
                source: Cause::new(error),
            })?;
        if buffer.len() > self.size {
            self.ahead = buffer.pop();
        }
        Ok(self.ahead.is_none())
    }
}

#[cfg(feature = "local")]
#[cfg(test)]
mod tests;
