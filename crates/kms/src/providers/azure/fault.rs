//! [`Fault`]: what an error of the service, or of the way to it, means.

use super::super::cloud::{self, Cloud};
use super::NAME;
use crate::error::{causes, shown};
use crate::tls::fault_of;
use crate::{Cause, KeyId, KeyVersion, KmsError};
use azure_core::Error as AzureError;
use azure_core::error::ErrorKind;
use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use serde::Deserialize;
use std::time::Duration;

/// How errors name it.
pub(super) const CLOUD: Cloud = Cloud {
    provider: NAME,
    name: "Azure",
};

/// An error, whose key and operation only the caller knows.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such key, or no such version of it.
    NotFound,
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
            Self::Disabled => KmsError::KeyDisabled { provider, key },
            Self::Invalid(reason) => KmsError::Refused { provider, reason },
            Self::Other(error) => error,
        }
    }

    /// The error of a decryption with this version of a key.
    pub(super) fn of_decryption(self, key: &KeyId, version: &KeyVersion) -> KmsError {
        match self {
            Self::Invalid(_) => KmsError::NotAuthentic { key: key.clone() },
            Self::NotFound if !version.as_str().is_empty() => KmsError::KeyVersionNotFound {
                provider: NAME,
                key: key.clone(),
                version: version.clone(),
            },
            fault => fault.of_key(key),
        }
    }

    /// The error of an operation that names no key.
    pub(super) fn without_key(self) -> KmsError {
        match self {
            Self::Other(error) => error,
            Self::Invalid(reason) => KmsError::Refused {
                provider: NAME,
                reason,
            },
            fault => CLOUD.bad(format!(
                "it speaks of a key, and none was named ({fault:?})"
            )),
        }
    }
}

/// What a refusal of the service holds.
#[derive(Deserialize)]
struct Refusal {
    error: Told,
}

#[derive(Deserialize)]
struct Told {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    code: String,
}

pub(super) fn fault(error: AzureError, timeout: Duration) -> Fault {
    // What could not be fetched to prove who asks has an answer in it, too: not the vault's.
    let credential = causes(&error).any(|cause| {
        let azure = cause.downcast_ref::<AzureError>();
        azure.is_some_and(|azure| matches!(azure.kind(), ErrorKind::Credential))
    });
    match error.kind() {
        ErrorKind::HttpResponse {
            status,
            raw_response,
            ..
        } if !credential => of_service(u16::from(*status), raw_response.as_deref()),
        ErrorKind::DataConversion if !credential => {
            Fault::Other(CLOUD.bad("it is none of Key Vault"))
        }
        _ => Fault::Other(of_way(error, credential, timeout)),
    }
}

/// What the service itself said.
fn of_service(status: u16, answer: Option<&RawResponse>) -> Fault {
    let provider = NAME;
    let retry_after = answer.and_then(retry_after);
    let body = answer.map(|answer| answer.body().as_ref());
    let told = body.and_then(|body| serde_json::from_slice::<Refusal>(body).ok());
    let Some(Refusal { error: told }) = told else {
        return Fault::Other(without_code(status, retry_after));
    };
    let inner = told.innererror.map(|inner| inner.code);
    let code = inner.as_deref().unwrap_or(told.code.as_str());
    let reason = format!("{}: {}", shown(code), shown(&told.message));
    Fault::Other(match (status, code) {
        (_, "KeyDisabled" | "KeyNotYetValid" | "KeyExpired") => return Fault::Disabled,
        (404, _) => return Fault::NotFound,
        (400, _) => return Fault::Invalid(reason),
        (401, _) => KmsError::Credentials { provider, reason },
        (403, _) => KmsError::AccessDenied { provider, reason },
        (429, _) => KmsError::Throttled {
            provider,
            retry_after,
        },
        (500..=599, _) => CLOUD.unavailable(reason, None),
        _ => KmsError::Refused { provider, reason },
    })
}

fn retry_after(answer: &RawResponse) -> Option<Duration> {
    let name = HeaderName::from_static("retry-after");
    cloud::retry_after(answer.headers().get_optional_str(&name))
}

/// The error of an answer without a code: where it refuses, credentials may be what it misses.
fn without_code(status: u16, retry_after: Option<Duration>) -> KmsError {
    match status {
        401 => KmsError::Credentials {
            provider: NAME,
            reason: CLOUD.reason_without_code(status),
        },
        _ => CLOUD.without_code(status, retry_after),
    }
}

/// What went wrong before an answer: credentials, TLS, the network.
fn of_way(error: AzureError, credential: bool, timeout: Duration) -> KmsError {
    if let Some(fault) = fault_of(NAME, &error) {
        return fault;
    }
    let of_network = causes(&error).find_map(|cause| cause.downcast_ref::<reqwest::Error>());
    if of_network.is_some_and(reqwest::Error::is_timeout) {
        return CLOUD.timed_out(timeout);
    }
    if let Some(fault) = of_authority(&error).filter(|_| credential) {
        return fault;
    }
    let unreached = of_network.is_some();
    let innermost = causes(&error).last().map(ToString::to_string);
    let reason = shown(&innermost.unwrap_or_default());
    if credential && !unreached {
        return KmsError::Credentials {
            provider: NAME,
            reason,
        };
    }
    match error.kind() {
        ErrorKind::Connection | ErrorKind::Io => CLOUD.unavailable(reason, Some(Cause::new(error))),
        _ if unreached => CLOUD.unavailable(reason, Some(Cause::new(error))),
        _ => KmsError::Refused {
            provider: NAME,
            reason,
        },
    }
}

/// What may pass where tokens are given out; it says nothing of the credentials.
fn of_authority(error: &AzureError) -> Option<KmsError> {
    let mut azure = causes(error).filter_map(|cause| cause.downcast_ref::<AzureError>());
    let (status, answer) = azure.find_map(|cause| match cause.kind() {
        ErrorKind::HttpResponse {
            status,
            raw_response,
            ..
        } => Some((u16::from(*status), raw_response.as_deref())),
        _ => None,
    })?;
    match status {
        429 => Some(KmsError::Throttled {
            provider: NAME,
            retry_after: answer.and_then(retry_after),
        }),
        408 | 500..=599 => {
            let reason = format!("what gives out its tokens answers with status {status}");
            Some(CLOUD.unavailable(reason, None))
        }
        _ => None,
    }
}
