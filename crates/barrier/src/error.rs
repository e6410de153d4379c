//! [`BarrierError`]: why the barrier refused.

use secretum_crypto::CryptoError;
use secretum_storage::StorageError;

/// Why the barrier refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// The keys are not in memory.
    #[error("Vault is sealed")]
    Sealed,
    /// There is no vault in this storage yet.
    #[error("Vault is not initialized")]
    NotInitialized,
    /// There is a vault in this storage already.
    #[error("Vault is already initialized")]
    AlreadyInitialized,
    /// The numbers of shares make no sense.
    #[error("{0}")]
    SealConfig(&'static str),
    /// A share has a form that no share of this vault has.
    #[error("a key share of this vault has {expected} bytes, not {actual}")]
    ShareLength {
        /// Bytes of a share.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The shares do not make the key of this vault.
    #[error("the key shares do not open this vault; all of them must be given again")]
    WrongShares,
    /// A record of the barrier itself cannot be read.
    #[error("`{key}` is damaged: restore the data directory from a backup")]
    Damaged {
        /// The record's key.
        key: &'static str,
    },
    /// A rotation setting out of its range.
    #[error("{0}")]
    RotationRange(&'static str),
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The cryptography library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}
