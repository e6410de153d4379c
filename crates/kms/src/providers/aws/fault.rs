//! [`Fault`]: what an error of the service, or of the way to it, means.

use super::super::cloud::Cloud;
use super::NAME;
use crate::error::{causes, shown};
use crate::tls::{rustls_fault, tls_error};
use crate::{Cause, KeyId, KmsError};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::time::Duration;

/// How errors name it.
pub(super) const CLOUD: Cloud = Cloud {
    provider: NAME,
    name: "AWS",
};

/// An error, whose key only the caller knows.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such key.
    NotFound,
    /// The key is out of use.
    Disabled,
    /// The ciphertext does not open.
    NotAuthentic,
    /// All others.
    Other(KmsError),
}

impl Fault {
    /// The error of an operation with this key.
    pub(super) fn of_key(self, key: &KeyId) -> KmsError {
        let (provider, key) = (NAME, key.clone());
        match self {
            Self::NotFound => KmsError::KeyNotFound { provider, key },
            Self::Disabled => KmsError::KeyDisabled { provider, key },
            Self::NotAuthentic => KmsError::NotAuthentic { key },
            Self::Other(error) => error,
        }
    }

    /// The error of an operation that names no key.
    pub(super) fn without_key(self) -> KmsError {
        match self {
            Self::Other(error) => error,
            fault => CLOUD.bad(format!(
                "it speaks of a key, and none was named ({fault:?})"
            )),
        }
    }
}

pub(super) fn fault<E>(error: SdkError<E, HttpResponse>, timeout: Duration) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let timed_out = Fault::Other(CLOUD.timed_out(timeout));
    match &error {
        SdkError::ServiceError(said) => {
            let (status, headers) = (said.raw().status().as_u16(), said.raw().headers());
            let seconds = headers
                .get("retry-after")
                .and_then(|text| text.parse().ok());
            let meta = said.err().meta();
            let words = shown(meta.message().unwrap_or("it says no more"));
            let wait = seconds.map(Duration::from_secs);
            of_service(meta.code(), status, words, wait)
        }
        SdkError::TimeoutError(_) => timed_out,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timed_out,
        SdkError::ResponseError(_) => Fault::Other(CLOUD.bad("it is none of AWS KMS")),
        _ => Fault::Other(of_way(error)),
    }
}

/// What the service itself said.
fn of_service(
    code: Option<&str>,
    status: u16,
    words: String,
    retry_after: Option<Duration>,
) -> Fault {
    let provider = NAME;
    let Some(code) = code else {
        return Fault::Other(CLOUD.without_code(status, retry_after));
    };
    let reason = format!("{}: {words}", shown(code));
    Fault::Other(match code {
        "NotFoundException" => return Fault::NotFound,
        "DisabledException" | "KMSInvalidStateException" => return Fault::Disabled,
        "InvalidCiphertextException" | "IncorrectKeyException" => return Fault::NotAuthentic,
        "AccessDeniedException" | "AccessDenied" | "OptInRequired" => {
            KmsError::AccessDenied { provider, reason }
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => KmsError::Credentials { provider, reason },
        "RequestLimitExceeded"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => KmsError::Throttled {
            provider,
            retry_after,
        },
        "DependencyTimeoutException"
        | "InternalFailure"
        | "InternalServerError"
        | "KMSInternalException"
        | "KeyUnavailableException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => CLOUD.unavailable(reason, None),
        _ if (500..=599).contains(&status) => CLOUD.unavailable(reason, None),
        _ => KmsError::Refused { provider, reason },
    })
}

/// What went wrong before an answer: credentials, TLS, the network.
fn of_way<E: Error + Send + Sync + 'static>(error: SdkError<E, HttpResponse>) -> KmsError {
    if let Some(fault) = rustls_fault(&error) {
        return tls_error(NAME, fault);
    }
    let reason = shown(&innermost(&error).to_string());
    match credentials_fault(&error) {
        Some(CredentialsError::CredentialsNotLoaded(_)) => KmsError::NotConfigured {
            provider: NAME,
            what: "credentials",
            remedy: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile, or give the \
                     machine a role",
        },
        Some(CredentialsError::ProviderTimedOut(_)) => CLOUD.unavailable(reason, None),
        // Who gives them out could not be reached.
        Some(_) if is_io(&error) => CLOUD.unavailable(reason, Some(Cause::new(error))),
        Some(_) => KmsError::Credentials {
            provider: NAME,
            reason,
        },
        None if matches!(error, SdkError::ConstructionFailure(_)) => KmsError::Refused {
            provider: NAME,
            reason,
        },
        None => CLOUD.unavailable(reason, Some(Cause::new(error))),
    }
}

fn credentials_fault<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn is_io(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<std::io::Error>())
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}
