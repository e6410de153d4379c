//! Requests, answers, and what errors mean: [`Dialect`].

use super::NAME;
use crate::error::is_no_http;
use crate::tls::fault_of;
use crate::{Cause, EncryptionContext, KmsError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_client::{ApiError, ClientError, Request};
use secretum_crypto::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// The most characters of what a server says that are shown.
#[cfg(feature = "rustyvault")]
const SAID_MAX: usize = 200;

#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    #[serde(default = "none")]
    pub(super) data: Option<T>,
    #[serde(default)]
    pub(super) auth: Option<Grant>,
}

fn none<T>() -> Option<T> {
    None
}

/// What a login or a renewal gives.
#[derive(Deserialize)]
pub(super) struct Grant {
    pub(super) client_token: SecretString,
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

#[derive(Deserialize)]
pub(super) struct LookedUp {
    #[serde(default)]
    pub(super) ttl: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

#[derive(Deserialize)]
pub(super) struct HealthAnswer {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) sealed: bool,
}

/// What an operation is asked with.
#[derive(Default, Serialize)]
pub(super) struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plaintext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ciphertext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bits: Option<usize>,
    /// The context's canonical bytes, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) associated_data: Option<String>,
}

impl Asked<'_> {
    pub(super) fn within(context: &EncryptionContext) -> Self {
        let data = || STANDARD.encode(context.canonical_bytes());
        Self {
            associated_data: (!context.is_empty()).then(data),
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Ciphertexts {
    pub(super) ciphertext: String,
}

#[derive(Deserialize)]
pub(super) struct Plaintext {
    pub(super) plaintext: SecretString,
}

#[derive(Deserialize)]
pub(super) struct DataKey {
    pub(super) plaintext: SecretString,
    pub(super) ciphertext: String,
}

#[derive(Deserialize)]
pub(crate) struct Keys {
    pub(crate) keys: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) latest_version: u64,
    #[serde(default)]
    pub(super) min_decryption_version: u64,
    #[serde(default)]
    pub(super) supports_encryption: bool,
    /// When each version was made: seconds since 1970 for keys that encrypt.
    #[serde(default)]
    pub(super) keys: HashMap<String, Value>,
}

/// Whose API it is. The texts of errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// That of HashiCorp Vault, which OpenBao and SecretumVault speak too.
    Vault,
    /// That of RustyVault: `error` where the others have `errors`, listings by the method LIST alone,
    /// nothing at `sys/health`, and no token renews itself.
    #[cfg(feature = "rustyvault")]
    RustyVault,
}

impl Dialect {
    /// The provider that speaks it.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Vault => NAME,
            #[cfg(feature = "rustyvault")]
            Self::RustyVault => crate::providers::rustyvault::NAME,
        }
    }

    /// Where the server says whether it serves, to whoever asks.
    pub(super) fn status_path(self) -> &'static str {
        match self {
            Self::Vault => "sys/health",
            #[cfg(feature = "rustyvault")]
            Self::RustyVault => "sys/seal-status",
        }
    }

    /// Whether a token is renewed by itself. Elsewhere its renewal would have it in a path, which
    /// servers log.
    pub(super) fn renews(self) -> bool {
        self == Self::Vault
    }

    /// A listing.
    pub(crate) fn list(self, path: String) -> Request {
        match self {
            Self::Vault => Request::list(path),
            #[cfg(feature = "rustyvault")]
            Self::RustyVault => Request::list_by_method(path),
        }
    }

    /// Reads an answer.
    pub(crate) fn read<T: DeserializeOwned>(self, body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(|error| {
            // The place only: the text of the error may repeat what is secret.
            self.bad_answer(format!("it does not fit at column {}", error.column()))
        })
    }

    /// The data of an answer.
    pub(crate) fn data<T: DeserializeOwned>(self, body: &[u8]) -> Result<T> {
        let envelope: Envelope<T> = self.read(body)?;
        let data = envelope.data;
        data.ok_or_else(|| self.bad_answer("it has no data".to_owned()))
    }

    pub(crate) fn bad_answer(self, reason: String) -> KmsError {
        KmsError::BadAnswer {
            provider: self.provider(),
            reason,
        }
    }

    /// The error of a path that nothing answers at.
    pub(crate) fn no_engine(self) -> KmsError {
        let reason =
            "nothing answers at this path; enable a transit engine, or name where it is mounted";
        KmsError::Refused {
            provider: self.provider(),
            reason: reason.to_owned(),
        }
    }

    /// Whether the server says that something is not there.
    pub(super) fn is_absence(self, error: &ClientError) -> bool {
        matches!(error, ClientError::Api(api) if api.status == 404 && self.said(api).is_some())
    }

    /// What the server says about its error, in one line; `None` where it speaks another language.
    fn said(self, api: &ApiError) -> Option<String> {
        if let Some(errors) = &api.errors {
            return Some(one_line(&errors.join("; ")));
        }
        match self {
            Self::Vault => None,
            #[cfg(feature = "rustyvault")]
            Self::RustyVault => said_alone(&api.raw),
        }
    }

    /// What an error of the client means.
    pub(crate) fn fault(self, error: ClientError) -> KmsError {
        let provider = self.provider();
        if let Some(fault) = fault_of(provider, &error) {
            return fault;
        }
        let reason = one_line(&error.to_string());
        if is_no_http(&error) {
            return self.bad_answer(reason);
        }
        match error {
            ClientError::Api(api) => self.refusal(&api, reason),
            error @ ClientError::Transport { .. } => KmsError::Unavailable {
                provider,
                reason,
                source: Some(Cause::new(error)),
            },
            ClientError::AnswerTooLarge { .. }
            | ClientError::Decode { .. }
            | ClientError::Empty { .. } => self.bad_answer(reason),
            _ => KmsError::Refused { provider, reason },
        }
    }

    /// What an answer means that is an error.
    fn refusal(self, api: &ApiError, shown: String) -> KmsError {
        let provider = self.provider();
        match (api.status, self.said(api)) {
            (403, Some(reason)) => KmsError::AccessDenied { provider, reason },
            (429, _) => KmsError::Throttled {
                provider,
                retry_after: api.retry_after,
            },
            (412 | 472 | 473 | 500..=599, _) => KmsError::Unavailable {
                provider,
                reason: shown,
                source: None,
            },
            (_, Some(reason)) => KmsError::Refused { provider, reason },
            (status, None) => self.bad_answer(format!("status {status} without a reason")),
        }
    }
}

/// What RustyVault says about its error: one text, or nothing at all.
#[cfg(feature = "rustyvault")]
fn said_alone(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    if body.is_empty() {
        return Some(String::new());
    }
    let said: Said = serde_json::from_str(body).ok()?;
    let shown: String = said.error.chars().take(SAID_MAX).collect();
    Some(one_line(&shown))
}

/// Servers set what they say in lines; here it becomes part of one.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
