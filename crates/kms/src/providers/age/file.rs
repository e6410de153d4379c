//! The age format, by the crate `age`.

use super::NAME;
use crate::{Cause, KmsError, Result};
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor};
use secretum_crypto::SecretBytes;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Why an age file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// None of the private keys is among those it is for.
    NoKey,
    /// It was changed, or is no age file.
    Damaged,
}

/// Encrypts to these recipients.
pub(super) fn seal<'a>(
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
    plaintext: &[u8],
    armor: bool,
) -> Result<Vec<u8>> {
    let refused = |reason: String| KmsError::Refused {
        provider: NAME,
        reason,
    };
    let encryptor = match Encryptor::with_recipients(recipients) {
        Ok(encryptor) => encryptor,
        Err(error) => return Err(refused(error.to_string())),
    };
    let format = if armor {
        Format::AsciiArmor
    } else {
        Format::Binary
    };
    let mut out = Vec::with_capacity(plaintext.len() + 512);
    let written = ArmoredWriter::wrap_output(&mut out, format).and_then(|armored| {
        let mut writer = encryptor.wrap_output(armored)?;
        writer.write_all(plaintext)?;
        writer.finish()?.finish().map(drop)
    });
    match written {
        Ok(()) => Ok(out),
        Err(error) => Err(KmsError::Stream {
            action: "write",
            source: Cause::new(error),
        }),
    }
}

/// Decrypts with whichever of these keys it is for; armored or not. All of it, or nothing.
pub(super) fn open<'a>(
    identities: impl Iterator<Item = &'a dyn age::Identity>,
    bytes: &[u8],
) -> std::result::Result<SecretBytes, Fault> {
    let input = ArmoredReader::new(without_leading_space(bytes));
    let decryptor = Decryptor::new(input).map_err(|_| Fault::Damaged)?;
    let mut reader = match decryptor.decrypt(identities) {
        Ok(reader) => reader,
        Err(DecryptError::NoMatchingKeys) => return Err(Fault::NoKey),
        Err(_) => return Err(Fault::Damaged),
    };
    // The plaintext is shorter than the file: no growing, which would leave copies behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader
        .read_to_end(&mut plaintext)
        .map_err(|_| Fault::Damaged)?;
    Ok(SecretBytes::new(std::mem::take(&mut *plaintext)))
}

/// Armor may have spaces and empty lines before it, which the crate does not skip. A binary file has
/// nothing before it.
fn without_leading_space(bytes: &[u8]) -> &[u8] {
    let trimmed = bytes.trim_ascii_start();
    if trimmed.starts_with(b"-----BEGIN AGE") {
        trimmed
    } else {
        bytes
    }
}
