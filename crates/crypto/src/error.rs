//! What can go wrong in this crate.

/// Result of a cryptographic operation.
pub type Result<T> = std::result::Result<T, CryptoError>;

/// A cryptographic operation that did not succeed.
///
/// No variant carries a key, a plaintext or a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The random number generator gave nothing.
    #[error("the random number generator failed")]
    Random,
    /// A key has the wrong length.
    #[error("a key of {expected} bytes is needed, not one of {actual}")]
    KeyLength {
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The library refused a key of the right length.
    #[error("the cryptography library refused the key")]
    KeyRefused,
    /// Encryption failed; only inputs beyond the cipher's limits do that.
    #[error("encryption failed")]
    Seal,
    /// The ciphertext, its associated data or its key is not the one that was sealed.
    #[error("the ciphertext is not authentic under this key and associated data")]
    NotAuthentic,
    /// A signature does not belong to this message and key.
    #[error("the signature is not valid for this message and key")]
    BadSignature,
    /// More output asked of a key derivation than it can give.
    #[error("a key derivation gives at most {limit} bytes, not {asked}")]
    OutputLength {
        /// Bytes the derivation can give.
        limit: usize,
        /// Bytes asked for.
        asked: usize,
    },
    /// More bytes came than there may be.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The most there may be.
        limit: usize,
    },
    /// The number of shares or the threshold is out of range.
    #[error(
        "{shares} shares with a threshold of {threshold} cannot be made: both are 2 to 255, and the threshold is not above the shares"
    )]
    ShareNumbers {
        /// Shares asked for.
        shares: usize,
        /// Threshold asked for.
        threshold: usize,
    },
    /// There is nothing to share.
    #[error("an empty secret cannot be shared")]
    EmptySecret,
    /// Fewer shares than any threshold allows.
    #[error("at least two shares are needed to combine")]
    TooFewShares,
    /// More shares than a byte can number.
    #[error("at most 255 shares can be combined")]
    TooManyShares,
    /// A share is too short to hold a byte and its coordinate.
    #[error("a share has at least two bytes")]
    ShareTooShort,
    /// The shares differ in length, so that they are not of one secret.
    #[error("the shares differ in length")]
    ShareLengths,
    /// A share names the coordinate 0, where the secret itself stands.
    #[error("a share has the coordinate 0")]
    ShareCoordinate,
    /// The same share was given twice.
    #[error("a share was given twice")]
    DuplicateShare,
    /// An OpenPGP key that nothing can be encrypted for.
    #[error("the PGP key cannot be used: {0}")]
    PgpKey(&'static str),
    /// A text is no RFC 3339 time.
    #[error("`{0}` is not a time in the form of RFC 3339, such as 2026-01-02T15:04:05Z")]
    Time(String),
}
