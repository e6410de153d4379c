//! [`TransitError`]: why the transit engine refused.

use secretum_engine::Fault;

// Fixed texts stay fixed on the way: an audit record shows them in the clear.
const NO_KEY: &str = "encryption key not found";
const NO_VERSION: &str = "the key has no such version";
const TOO_OLD: &str = "ciphertext or signature version is disallowed by policy (too old)";
const TOO_NEW: &str = "invalid ciphertext: version is too new";
const NOT_AUTHENTIC: &str = "cipher: message authentication failed";
const NO_CONTEXT: &str = "missing 'context' for key derivation; the key was created using a derived \
                          key, which means additional, per-request information must be included in \
                          order to perform operations with the key";
const NO_CIPHERTEXT: &str = "invalid ciphertext: it must be `vault:v`, a version, `:` and base64";
const TOO_SHORT: &str = "invalid ciphertext length";

/// Why the transit engine refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransitError {
    /// There is no such key.
    #[error("{}", NO_KEY)]
    NoKey,
    /// The version that was asked for was never there, or is gone.
    #[error("{}", NO_VERSION)]
    NoVersion,
    /// The key's settings forbid so old a version.
    #[error("{}", TOO_OLD)]
    TooOld,
    /// The ciphertext names a version that the key does not have yet.
    #[error("{}", TOO_NEW)]
    TooNew,
    /// The ciphertext, its associated data or its context was changed, or is of another key.
    #[error("{}", NOT_AUTHENTIC)]
    NotAuthentic,
    /// A derived key was asked without a context.
    #[error("{}", NO_CONTEXT)]
    NoContext,
    /// The ciphertext is of another form.
    #[error("{}", NO_CIPHERTEXT)]
    NoCiphertext,
    /// The ciphertext is cut.
    #[error("{}", TOO_SHORT)]
    TooShort,
    /// A request that is wrong in itself, and how.
    #[error("{0}")]
    Invalid(&'static str),
    /// Anything below.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<TransitError> for Fault {
    fn from(error: TransitError) -> Self {
        Self::invalid(match error {
            TransitError::NoKey => NO_KEY,
            TransitError::NoVersion => NO_VERSION,
            TransitError::TooOld => TOO_OLD,
            TransitError::TooNew => TOO_NEW,
            TransitError::NotAuthentic => NOT_AUTHENTIC,
            TransitError::NoContext => NO_CONTEXT,
            TransitError::NoCiphertext => NO_CIPHERTEXT,
            TransitError::TooShort => TOO_SHORT,
            TransitError::Invalid(text) => text,
            TransitError::Fault(fault) => return fault,
        })
    }
}
