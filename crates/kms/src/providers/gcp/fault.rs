//! [`Fault`]: what an error of the service, or of the way to it, means.

use super::super::cloud::{self, Cloud};
use super::NAME;
use super::name::Resource;
use crate::error::{causes, shown};
use crate::tls::https_fault;
use crate::{Cause, KeyId, KeyVersion, KmsError};
use google_cloud_gax::error::rpc::{Code, Status};
use google_cloud_gax::error::{CredentialsError, Error as GcpError};
use std::time::Duration;

/// How errors name it.
pub(super) const CLOUD: Cloud = Cloud {
    provider: NAME,
    name: "Google Cloud",
};

/// An error, whose key and operation only the caller knows.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such key.
    NotFound,
    /// There is such a key already.
    Exists,
    /// The key, or its version, is out of use.
    Disabled,
    /// The service does not take what it was given. It says no more of a ciphertext that does not open.
    Invalid(String),
    /// All others.
    Other(KmsError),
}

impl Fault {
    /// The error of an operation with this key.
    pub(super) fn of_key(self, key: &KeyId) -> KmsError {
        let (provider, key) = (NAME, key.clone());
        match self {
            Self::NotFound => KmsError::KeyNotFound { provider, key },
            Self::Exists => KmsError::KeyExists { provider, key },
            Self::Disabled => KmsError::KeyDisabled { provider, key },
            Self::Invalid(reason) => KmsError::Refused { provider, reason },
            Self::Other(error) => error,
        }
    }

    /// The error of a look at a version, the one that a caller pinned or one that was made just now.
    pub(super) fn of_version(self, resource: &Resource) -> KmsError {
        let pinned = resource.version.as_deref().and_then(KeyVersion::new);
        match (self, pinned) {
            (Self::NotFound, Some(version)) => KmsError::KeyVersionNotFound {
                provider: NAME,
                key: resource.asked.clone(),
                version,
            },
            (fault, _) => fault.of_key(&resource.asked),
        }
    }

    /// The error of a decryption with this key, whose name was seen to be one.
    pub(super) fn of_decryption(self, key: &KeyId) -> KmsError {
        match self {
            Self::Invalid(_) => KmsError::NotAuthentic { key: key.clone() },
            fault => fault.of_key(key),
        }
    }

    /// The error of an operation on the key ring.
    pub(super) fn of_ring(self) -> KmsError {
        match self {
            Self::NotFound => KmsError::NotConfigured {
                provider: NAME,
                what: "a key ring that is there",
                remedy: "create it, or correct project, location and key_ring in [kms.gcp]",
            },
            Self::Other(error) => error,
            Self::Invalid(reason) => KmsError::Refused {
                provider: NAME,
                reason,
            },
            Self::Disabled | Self::Exists => CLOUD.bad("it speaks of a key, and none was named"),
        }
    }
}

/// The error of what is not as it was sent.
pub(super) fn damaged() -> KmsError {
    CLOUD.unavailable(
        "what it sent or got was damaged on the way".to_owned(),
        None,
    )
}

pub(super) fn fault(error: GcpError, timeout: Duration) -> Fault {
    let headers = error.http_headers();
    let retry_after =
        cloud::retry_after(headers.and_then(|headers| headers.get("retry-after")?.to_str().ok()));
    if let Some(status) = error.status() {
        return of_service(status, retry_after);
    }
    Fault::Other(match error.http_status_code() {
        Some(status @ 300..) => CLOUD.without_code(status, retry_after),
        _ if error.is_timeout() => CLOUD.timed_out(timeout),
        _ if error.is_deserialization() => CLOUD.bad("it is none of Cloud KMS"),
        _ => of_way(error),
    })
}

/// What the service itself said.
fn of_service(status: &Status, retry_after: Option<Duration>) -> Fault {
    let provider = NAME;
    let reason = format!("{}: {}", status.code.name(), shown(&status.message));
    Fault::Other(match status.code {
        Code::NotFound => return Fault::NotFound,
        Code::AlreadyExists => return Fault::Exists,
        Code::FailedPrecondition => return Fault::Disabled,
        Code::InvalidArgument | Code::OutOfRange => return Fault::Invalid(reason),
        Code::PermissionDenied => KmsError::AccessDenied { provider, reason },
        Code::Unauthenticated => KmsError::Credentials { provider, reason },
        Code::ResourceExhausted => KmsError::Throttled {
            provider,
            retry_after,
        },
        Code::Aborted
        | Code::Cancelled
        | Code::DataLoss
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Unavailable
        | Code::Unknown => CLOUD.unavailable(reason, None),
        _ => KmsError::Refused { provider, reason },
    })
}

/// What went wrong before an answer: credentials, TLS, the network.
fn of_way(error: GcpError) -> KmsError {
    if let Some(fault) = https_fault(NAME, &error) {
        return fault;
    }
    let innermost = causes(&error).last().map(ToString::to_string);
    let reason = shown(&innermost.unwrap_or_default());
    let credentials = causes(&error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
    match credentials.map(CredentialsError::is_transient) {
        // Where there are none, the machine is asked for them.
        Some(true) => CLOUD.unavailable(
            format!(
                "who gives out credentials did not ({reason}); outside of Google's cloud set \
                 GOOGLE_APPLICATION_CREDENTIALS, or write credentials_path in [kms.gcp]"
            ),
            Some(Cause::new(error)),
        ),
        Some(false) => KmsError::Credentials {
            provider: NAME,
            reason,
        },
        None => CLOUD.unavailable(reason, Some(Cause::new(error))),
    }
}
