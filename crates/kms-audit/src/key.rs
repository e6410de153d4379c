//! The key that signs the heads of logs, in a file.

use secretum_crypto::{SecretBytes, SecretString, SystemRng, random_secret};
use secretum_kms::{KmsError, Result, key_file};
use std::path::Path;

/// Its bytes.
const KEY_BYTES: usize = 32;

/// The key, which is made where there is no file.
///
/// **Errors**: as of [`read`], and where it cannot be made.
pub(crate) fn read_or_make(path: &Path) -> Result<SecretBytes> {
    if !path.exists() {
        let key = random_secret(&SystemRng, KEY_BYTES)?;
        let made = key_file::create(path, &SecretString::new(hex::encode(key.expose())));
        // Of two that make it at once, one is first.
        if let Err(error) = made
            && !path.exists()
        {
            return Err(error);
        }
    }
    read(path)
}

/// **Errors**: those of [`key_file::read`]; [`KmsError::FileContent`].
pub(crate) fn read(path: &Path) -> Result<SecretBytes> {
    let text = key_file::read(path)?;
    let key = hex::decode(text.expose().trim()).map(SecretBytes::new).ok();
    let key = key.filter(|key| key.expose().len() == KEY_BYTES);
    key.ok_or_else(|| KmsError::FileContent {
        path: path.to_owned(),
        reason: format!(
            "it is to be {KEY_BYTES} bytes in hex digits; name a file that is not there, and it is made"
        ),
    })
}
