//! [`Fault`]: what an error of the service, or of the way to it, means.

use super::super::cloud::{Cloud, retry_after};
use super::NAME;
use crate::error::{causes, shown};
use crate::tls::https_fault;
use crate::{Cause, KeyId, KmsError};
use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
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
            let wait = retry_after(headers.get("retry-after"));
            let meta = said.err().meta();
            let words = shown(meta.message().unwrap_or("it says no more"));
            of_service(meta.code(), status, words, wait)
        }
        SdkError::TimeoutError(_) => timed_out,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timed_out,
        // An answer that was cut is one of a service, or of a way to it, in trouble.
        SdkError::ResponseError(_) if !is_io(&error) => {
            Fault::Other(CLOUD.bad("it is none of AWS KMS"))
        }
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
    if let Some(fault) = https_fault(NAME, &error) {
        return fault;
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
        Some(_) if let Some(outage) = outage(&error) => outage,
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

/// What may pass where credentials are given out; it says nothing of who asks for them.
fn outage(error: &(dyn Error + 'static)) -> Option<KmsError> {
    causes(error).find_map(|cause| {
        of_giver::<AssumeRoleError>(cause)
            .or_else(|| of_giver::<AssumeRoleWithWebIdentityError>(cause))
            .or_else(|| of_giver::<GetRoleCredentialsError>(cause))
            .or_else(|| match cause.downcast_ref()? {
                ImdsError::ErrorResponse(said) => {
                    of_status(said.response().status().as_u16(), None, None)
                }
                _ => None,
            })
    })
}

/// The same of one service, by the error of its operation.
fn of_giver<E>(cause: &(dyn Error + 'static)) -> Option<KmsError>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match cause.downcast_ref::<SdkError<E, HttpResponse>>()? {
        SdkError::ServiceError(said) => {
            let (status, headers) = (said.raw().status().as_u16(), said.raw().headers());
            let wait = retry_after(headers.get("retry-after"));
            of_status(status, said.err().code(), wait)
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => Some(CLOUD.unavailable(
            "what gives out its credentials does not answer".to_owned(),
            None,
        )),
        _ => None,
    }
}

fn of_status(status: u16, code: Option<&str>, retry_after: Option<Duration>) -> Option<KmsError> {
    match (status, code) {
        (429, _) | (_, Some("Throttling" | "ThrottlingException" | "TooManyRequestsException")) => {
            Some(KmsError::Throttled {
                provider: NAME,
                retry_after,
            })
        }
        (408 | 500..=599, _) | (_, Some("IDPCommunicationError")) => {
            let reason = format!("what gives out its credentials answers with status {status}");
            Some(CLOUD.unavailable(reason, None))
        }
        _ => None,
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
