//! [`Fault`]: why a request was refused, as a caller may know it.

use secretum_storage::StorageError;
use std::borrow::Cow;

/// What a rate limit allows a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateFacts {
    /// How many requests at once.
    pub limit: u64,
    /// How many of them are left.
    pub remaining: u64,
    /// When there is room again, in seconds; 0 where there is.
    pub wait_seconds: u64,
    /// Whether the caller is to be told.
    pub shows: bool,
}

/// Why a request was refused. The text of every variant but [`Fault::Internal`] and
/// [`Fault::Storage`] is meant for the caller.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The request is wrong in itself.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The caller may not do this.
    #[error("permission denied")]
    Denied,
    /// The caller may not do this, and what is missing.
    #[error("{0}")]
    DeniedBecause(Cow<'static, str>),
    /// The token is unknown, expired or used up.
    #[error("bad token")]
    BadToken,
    /// There is nothing at this path.
    #[error("not found")]
    NotFound,
    /// There is nothing at this path, and why.
    #[error("{0}")]
    NotFoundBecause(Cow<'static, str>),
    /// The path does not take this verb.
    #[error("unsupported operation")]
    Unsupported,
    /// The caller asked more than a quota allows.
    #[error("request path \"{path}\": rate limit quota exceeded")]
    TooMany {
        /// The path.
        path: String,
        /// The quota, and when to come again.
        facts: RateFacts,
    },
    /// There are as many leases as a quota allows.
    #[error("lease count quota exceeded")]
    TooManyLeases,
    /// The body is not of the media type that the verb needs.
    #[error("{0}")]
    MediaType(Cow<'static, str>),
    /// The body, or what it asks for, is too large.
    #[error("{0}")]
    TooLarge(Cow<'static, str>),
    /// The vault is sealed.
    #[error("Vault is sealed")]
    Sealed,
    /// The server cannot do this now.
    #[error("{0}")]
    Unavailable(Cow<'static, str>),
    /// No audit device took the record of the request.
    #[error("the request could not be recorded by any audit device and was refused")]
    Unrecorded,
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A fault of the server; the caller gets a generic text.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Fault {
    /// A [`Fault::Invalid`] with this text.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(text.into())
    }

    /// A [`Fault::Internal`] with the text of an error.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<std::convert::Infallible> for Fault {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
