//! [`KmsOperation`]: what a caller asks for.

use std::fmt;

/// One of the operations of a key management service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KmsOperation {
    /// Encrypting a plaintext.
    Encrypt,
    /// Decrypting a ciphertext.
    Decrypt,
    /// Making a data key.
    GenerateDataKey,
    /// Making a data key that only its wrapped form is told of.
    GenerateDataKeyWithoutPlaintext,
    /// Opening a wrapped data key.
    DecryptDataKey,
    /// Encrypting anew under another key or context.
    ReEncrypt,
    /// Adding a version to a key.
    RotateKey,
    /// Making a key.
    CreateKey,
    /// Describing a key.
    KeyInfo,
    /// Listing keys.
    ListKeys,
    /// Asking whether the service serves.
    HealthCheck,
}

impl KmsOperation {
    /// Every operation.
    pub const ALL: [Self; 11] = [
        Self::Encrypt,
        Self::Decrypt,
        Self::GenerateDataKey,
        Self::GenerateDataKeyWithoutPlaintext,
        Self::DecryptDataKey,
        Self::ReEncrypt,
        Self::RotateKey,
        Self::CreateKey,
        Self::KeyInfo,
        Self::ListKeys,
        Self::HealthCheck,
    ];

    /// Its name in metrics and audit records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::GenerateDataKey => "generate_data_key",
            Self::GenerateDataKeyWithoutPlaintext => "generate_data_key_without_plaintext",
            Self::DecryptDataKey => "decrypt_data_key",
            Self::ReEncrypt => "re_encrypt",
            Self::RotateKey => "rotate_key",
            Self::CreateKey => "create_key",
            Self::KeyInfo => "key_info",
            Self::ListKeys => "list_keys",
            Self::HealthCheck => "health_check",
        }
    }

    /// Whether doing it twice does no harm. A second rotation would add a second version, and of a key that is
    /// made twice it is not told who made it.
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Self::RotateKey | Self::CreateKey)
    }
}

impl fmt::Display for KmsOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::GenerateDataKey => "generate a data key",
            Self::GenerateDataKeyWithoutPlaintext => "generate a wrapped data key",
            Self::DecryptDataKey => "decrypt a data key",
            Self::ReEncrypt => "re-encrypt",
            Self::RotateKey => "rotate a key",
            Self::CreateKey => "make a key",
            Self::KeyInfo => "describe a key",
            Self::ListKeys => "list its keys",
            Self::HealthCheck => "check its health",
        })
    }
}
