//! Files with keys, for who keeps one beside those of the providers.

use crate::Result;
use crate::providers::files::{self, Rights};
use secretum_crypto::SecretString;
use std::path::Path;

/// Reads a file that holds private keys or a token, in text.
///
/// **Errors**: [`crate::KmsError::File`]; [`crate::KmsError::FileRights`] where others than its owner may
/// use it; [`crate::KmsError::FileContent`] where it is too large or no text.
pub fn read(path: &Path) -> Result<SecretString> {
    files::read_private(path)
}

/// Writes such a file, mode 0600, which is on the disk when this returns.
///
/// **Errors**: [`crate::KmsError::File`], also where there is one already.
pub fn create(path: &Path, text: &SecretString) -> Result<()> {
    files::create(path, text.expose(), Rights::Private)
}
