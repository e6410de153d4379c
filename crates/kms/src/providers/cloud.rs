//! [`Cloud`]: the errors that the key services of all clouds have.

use crate::{Cause, KeyId, KmsError, Provider, Result};
use std::time::Duration;

/// A cloud, as its errors name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cloud {
    /// The name of its provider.
    pub(super) provider: &'static str,
    /// Its own name.
    pub(super) name: &'static str,
}

/// How long an answer asks to wait, where its header says so in seconds.
pub(super) fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.parse().ok().map(Duration::from_secs)
}

impl Cloud {
    /// The error of an answer that makes no sense.
    pub(super) fn bad(self, reason: impl Into<String>) -> KmsError {
        KmsError::BadAnswer {
            provider: self.provider,
            reason: reason.into(),
        }
    }

    /// The error of what may pass.
    pub(super) fn unavailable(self, reason: String, source: Option<Cause>) -> KmsError {
        KmsError::Unavailable {
            provider: self.provider,
            reason,
            source,
        }
    }

    /// The error of a rotation of a key that is named with a version: it would go on to encrypt under
    /// that one, and be rotated again and again.
    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(super) fn pinned(self, key: &KeyId) -> KmsError {
        KmsError::Refused {
            provider: self.provider,
            reason: format!(
                "`{key}` names a version, and a rotation makes another one; leave the version out"
            ),
        }
    }

    /// The error of a key that is to be made, and is named with a version.
    #[cfg(any(feature = "azure", feature = "gcp"))]
    pub(super) fn pinned_new(self, key: &KeyId) -> KmsError {
        KmsError::Refused {
            provider: self.provider,
            reason: format!("`{key}` names a version, and a new key has none yet; leave it out"),
        }
    }

    /// Whether there is no key of this name, so that one may be made.
    ///
    /// **Errors**: [`KmsError::KeyExists`]; those of [`Provider::describe`], where it is not known.
    pub(super) async fn check_vacant(self, provider: &dyn Provider, key: &KeyId) -> Result<()> {
        match provider.describe(key).await {
            Ok(_) | Err(KmsError::KeyDisabled { .. }) => {
                Err(KmsError::key_exists(self.provider, key))
            }
            Err(KmsError::KeyNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn timed_out(self, after: Duration) -> KmsError {
        KmsError::Timeout {
            provider: self.provider,
            after,
        }
    }

    /// The error of an answer without a code of this cloud: of a proxy on the way, or of something else
    /// altogether.
    pub(super) fn without_code(self, status: u16, retry_after: Option<Duration>) -> KmsError {
        let reason = self.reason_without_code(status);
        match status {
            429 => KmsError::Throttled {
                provider: self.provider,
                retry_after,
            },
            500..=599 => self.unavailable(reason, None),
            _ => self.bad(reason),
        }
    }

    /// What such an answer is told of.
    pub(super) fn reason_without_code(self, status: u16) -> String {
        format!("status {status} without a code of {}", self.name)
    }
}
