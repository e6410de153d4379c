//! [`KmsError`]: what can go wrong, and what to do about it.

use crate::{FormatError, KeyId, KeyVersion, KmsOperation};
use secretum_crypto::CryptoError;
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What an error came from, shared so that one failure can be told to many waiting callers.
#[derive(Clone)]
pub struct Cause(Arc<dyn StdError + Send + Sync>);

impl Cause {
    /// Keeps an error as the cause of another.
    pub fn new(error: impl StdError + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// An operation that did not succeed. None of its texts carries a key or a plaintext.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// Bytes that are no ciphertext, envelope or stream of this library.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A ciphertext that another provider made.
    #[error(
        "the ciphertext was made by the provider `{found}`, and `{configured}` is configured; decrypt it with `{found}`"
    )]
    OtherProvider {
        /// Who made it.
        found: String,
        /// Who was asked.
        configured: &'static str,
    },
    /// There is no such key.
    #[error("{provider} has no key `{key}`; create it, or name one that is there")]
    KeyNotFound {
        /// Who was asked.
        provider: &'static str,
        /// The key.
        key: KeyId,
    },
    /// The key is there, and the version that the ciphertext names is not.
    #[error(
        "{provider} has no version `{version}` of the key `{key}`; restore that version to open what was encrypted under it"
    )]
    KeyVersionNotFound {
        /// Who was asked.
        provider: &'static str,
        /// The key.
        key: KeyId,
        /// The version that is missing.
        version: KeyVersion,
    },
    /// A key that is to be made is there.
    #[error("{provider} has a key `{key}` already; choose another name")]
    KeyExists {
        /// Who was asked.
        provider: &'static str,
        /// The key.
        key: KeyId,
    },
    /// The key is not there, and the provider makes none.
    #[error("{provider} has no key `{key}`, and keys are not made there from here; make it there")]
    NotMade {
        /// Who was asked.
        provider: &'static str,
        /// The key.
        key: KeyId,
    },
    /// A version of a key is kept in a form that cannot be used.
    #[error(
        "the version `{version}` of the key `{key}` that {provider} keeps cannot be used: {reason}"
    )]
    KeyRecord {
        /// Who keeps it.
        provider: &'static str,
        /// The key.
        key: KeyId,
        /// The version.
        version: KeyVersion,
        /// What is wrong with it, and how to mend it.
        reason: &'static str,
    },
    /// The key is disabled, or waits for its deletion.
    #[error("the key `{key}` of {provider} is disabled; enable it, or use another one")]
    KeyDisabled {
        /// Who was asked.
        provider: &'static str,
        /// The key.
        key: KeyId,
    },
    /// The key is of another region than the one that is asked.
    #[error(
        "the key `{key}` is one of the region `{found}`, and the configured region is `{configured}`; have a service of `{found}` do it"
    )]
    OtherRegion {
        /// The key.
        key: KeyId,
        /// Its region.
        found: String,
        /// The region that is asked.
        configured: String,
    },
    /// A text that is no identifier of a key.
    #[error("`{id}` is not the identifier of a key: {reason}")]
    KeyId {
        /// What was given.
        id: String,
        /// Why it is none.
        reason: &'static str,
    },
    /// An encryption context that cannot be used.
    #[error("the encryption context cannot be used: {reason}")]
    Context {
        /// Why not.
        reason: String,
    },
    /// A data key of a kind that is not made.
    #[error(
        "`{spec}` is not a kind of data key; use AES_128, AES_256, or a number of bytes from 1 to {limit}"
    )]
    DataKeySpec {
        /// What was asked for.
        spec: String,
        /// The most bytes.
        limit: usize,
    },
    /// The ciphertext did not open.
    #[error(
        "the ciphertext does not open under the key `{key}`: it was changed, or the encryption context is not the one that it was made with"
    )]
    NotAuthentic {
        /// The key that was tried.
        key: KeyId,
    },
    /// More plaintext than one call takes.
    #[error(
        "{bytes} bytes are more than the {limit} that one call encrypts; encrypt them as an envelope or as a stream"
    )]
    PlaintextTooLarge {
        /// What was given.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// The service knows the caller, and does not permit this.
    #[error("{provider} does not permit this: {reason}; give the caller's role the right to do it")]
    AccessDenied {
        /// Who refused.
        provider: &'static str,
        /// What it said.
        reason: String,
    },
    /// The service does not accept the credentials.
    #[error("{provider} does not accept the credentials: {reason}; renew them")]
    Credentials {
        /// Who refused.
        provider: &'static str,
        /// What it said.
        reason: String,
    },
    /// The service does not prove who it is.
    #[error("{provider} does not prove who it is: {reason}")]
    Untrusted {
        /// Who was asked.
        provider: &'static str,
        /// What is wrong with its certificate, and how to mend it.
        reason: String,
    },
    /// A credential or a private key that is needed is not configured.
    #[error("{provider} needs {what} for this; {remedy}")]
    NotConfigured {
        /// Who needs it.
        provider: &'static str,
        /// What is missing.
        what: &'static str,
        /// How to set it.
        remedy: &'static str,
    },
    /// The service asks for fewer requests.
    #[error("{provider} limits the rate of requests; send fewer, or raise the limit there")]
    Throttled {
        /// Who limits.
        provider: &'static str,
        /// How long it asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// No answer within the time limit.
    #[error(
        "{provider} did not answer within {} ms; see whether it can be reached, or raise the time limit",
        .after.as_millis()
    )]
    Timeout {
        /// Who was asked.
        provider: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The service was not reached, or says that it cannot serve now.
    #[error("{provider} cannot be reached: {reason}; see whether it runs and is unsealed")]
    Unavailable {
        /// Who was asked.
        provider: &'static str,
        /// What was seen.
        reason: String,
        /// What it came from.
        #[source]
        source: Option<Cause>,
    },
    /// The service answered something that makes no sense.
    #[error(
        "{provider} gave an answer that cannot be used: {reason}; see whether its address names a key service"
    )]
    BadAnswer {
        /// Who answered.
        provider: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The service refused the request for another reason.
    #[error("{provider} refused the request: {reason}")]
    Refused {
        /// Who refused.
        provider: &'static str,
        /// What it said.
        reason: String,
    },
    /// The provider cannot do this.
    #[error("{provider} cannot {operation}: {instead}")]
    Unsupported {
        /// Who cannot.
        provider: &'static str,
        /// What it cannot do.
        operation: KmsOperation,
        /// What to do instead.
        instead: &'static str,
    },
    /// The circuit breaker keeps requests from a service that fails.
    #[error(
        "{provider} failed too often and is given a rest; it is tried again in {} ms",
        .retry_in.as_millis()
    )]
    CircuitOpen {
        /// Who failed.
        provider: &'static str,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The configured rate limit is used up.
    #[error(
        "the configured rate limit is used up; try again in {} ms, or raise it",
        .retry_in.as_millis()
    )]
    RateLimited {
        /// When there is room again.
        retry_in: Duration,
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Cause,
    },
    /// A file with keys that another process is changing. Nothing was done.
    #[error(
        "another process is changing `{}`, and was waited for for {} s; nothing was done: try again when it is through",
        path.display(), .after.as_secs()
    )]
    FileLocked {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// A file that holds something else than it should.
    #[error("`{}` cannot be used: {reason}", path.display())]
    FileContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file with a key or a token that others may read.
    #[error(
        "`{}` holds a secret and has the mode {mode:04o}; make it yours alone: chmod 600 {}",
        path.display(),
        path.display()
    )]
    FileRights {
        /// The file.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
    /// Reading or writing a stream failed.
    #[error("cannot {action} the stream: {source}")]
    Stream {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Cause,
    },
    /// The task that did it broke off. It may be done all the same.
    #[error("{what} broke off, by a fault of this program or because it ends: {source}")]
    Interrupted {
        /// What broke off.
        what: &'static str,
        /// How.
        #[source]
        source: Cause,
    },
    /// The operation is done, and no audit sink took its record; the result is withheld.
    #[error("the audit record was not taken, so the result is withheld: {reason}")]
    Audit {
        /// What the sink said.
        reason: String,
    },
    /// The cryptography library refused.
    #[error("cryptography failed: {0}")]
    Crypto(#[from] CryptoError),
}

impl KmsError {
    /// Whether the same request may succeed when it is sent again a little later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Unavailable { .. } | Self::Throttled { .. }
        )
    }

    /// Whether it tells that the key service is in trouble, not that a request was wrong.
    ///
    /// A refusal is an answer of a service in good health. So is a request to slow down.
    pub fn is_service_fault(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Unavailable { .. }
                | Self::BadAnswer { .. }
                | Self::Untrusted { .. }
        )
    }

    /// How long the service asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A word for it that never changes, for metrics and audit records.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Format(_) => "format",
            Self::OtherProvider { .. } => "other_provider",
            Self::KeyNotFound { .. } => "key_not_found",
            Self::KeyVersionNotFound { .. } => "key_version_not_found",
            Self::KeyExists { .. } => "key_exists",
            Self::NotMade { .. } => "not_made",
            Self::KeyRecord { .. } => "key_record",
            Self::KeyDisabled { .. } => "key_disabled",
            Self::OtherRegion { .. } => "other_region",
            Self::KeyId { .. } => "key_id",
            Self::Context { .. } => "context",
            Self::DataKeySpec { .. } => "data_key_spec",
            Self::NotAuthentic { .. } => "not_authentic",
            Self::PlaintextTooLarge { .. } => "plaintext_too_large",
            Self::AccessDenied { .. } => "access_denied",
            Self::Credentials { .. } => "credentials",
            Self::Untrusted { .. } => "untrusted",
            Self::NotConfigured { .. } => "not_configured",
            Self::Throttled { .. } => "throttled",
            Self::Timeout { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Refused { .. } => "refused",
            Self::Unsupported { .. } => "unsupported",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::RateLimited { .. } => "rate_limited",
            Self::File { .. } => "file",
            Self::FileLocked { .. } => "file_locked",
            Self::FileContent { .. } => "file_content",
            Self::FileRights { .. } => "file_rights",
            Self::Stream { .. } => "stream",
            Self::Interrupted { .. } => "interrupted",
            Self::Audit { .. } => "audit",
            Self::Crypto(_) => "crypto",
        }
    }

    /// A [`Self::KeyExists`].
    #[cfg(any(
        feature = "aws",
        feature = "azure",
        feature = "cosmian",
        feature = "gcp",
        feature = "kmip",
        feature = "local",
        feature = "vault"
    ))]
    pub(crate) fn key_exists(provider: &'static str, key: &KeyId) -> Self {
        let key = key.clone();
        Self::KeyExists { provider, key }
    }

    /// A [`Self::File`] of this file.
    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File {
            action,
            path,
            source: Cause::new(error),
        }
    }
}

/// The most characters of a server's own words that are shown.
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "cosmian",
    feature = "gcp",
    feature = "kmip"
))]
const SHOWN_MAX: usize = 200;

/// A server's own words: one line, not too long.
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "cosmian",
    feature = "gcp",
    feature = "kmip"
))]
pub(crate) fn shown(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(SHOWN_MAX).collect()
}

/// An error, what it came from, what that came from, and so on.
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "cosmian",
    feature = "gcp",
    feature = "vault"
))]
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// Whether what came as an answer is none of HTTP.
#[cfg(any(
    feature = "aws",
    feature = "cosmian",
    feature = "gcp",
    feature = "vault"
))]
pub(crate) fn is_no_http(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let cause = cause.downcast_ref::<hyper::Error>();
        cause.is_some_and(hyper::Error::is_parse)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_kept_and_shared() {
        let error = KmsError::Unavailable {
            provider: "vault",
            reason: "connection refused".to_owned(),
            source: Some(Cause::new(std::io::Error::other("deep"))),
        };
        let copy = error.clone();
        assert_eq!(copy.source().unwrap().to_string(), "deep");
        assert!(error.is_transient() && error.is_service_fault());
    }

    #[test]
    fn a_refusal_is_no_fault_of_the_service() {
        let key = KeyId::new("k").unwrap();
        for refused in [
            KmsError::NotAuthentic { key: key.clone() },
            KmsError::KeyNotFound { provider: "p", key },
            KmsError::AccessDenied {
                provider: "p",
                reason: String::new(),
            },
        ] {
            assert!(!refused.is_transient() && !refused.is_service_fault());
        }
    }
}
