//! Requests, answers, and what errors mean.

use super::NAME;
use crate::{Cause, KmsError, Result};
use secretum_client::ClientError;
use secretum_crypto::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;

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
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
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

/// Reads an answer.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| KmsError::BadAnswer {
        provider: NAME,
        // The place only: the text of the error may repeat what is secret.
        reason: format!("it does not fit at column {}", error.column()),
    })
}

/// The data of an answer.
pub(super) fn data<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let envelope: Envelope<T> = read(body)?;
    envelope.data.ok_or_else(|| KmsError::BadAnswer {
        provider: NAME,
        reason: "it has no data".to_owned(),
    })
}

/// The error of a path that nothing answers at.
pub(super) fn no_engine() -> KmsError {
    KmsError::Refused {
        provider: NAME,
        reason:
            "nothing answers at this path; enable a transit engine, or name where it is mounted"
                .to_owned(),
    }
}

/// Whether the server says that something is not there.
pub(super) fn is_absence(error: &ClientError) -> bool {
    matches!(error, ClientError::Api(api) if api.status == 404 && api.errors.is_some())
}

/// Servers set what they say in lines; here it becomes part of one.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// What an error of the client means.
pub(super) fn fault(error: ClientError) -> KmsError {
    let provider = NAME;
    let reason = one_line(&error.to_string());
    match error {
        ClientError::Api(api) => {
            let said = api.errors.as_ref();
            let said = said.map(|errors| one_line(&errors.join("; ")));
            match (api.status, said) {
                (403, Some(reason)) => KmsError::AccessDenied { provider, reason },
                (429, _) => KmsError::Throttled {
                    provider,
                    retry_after: api.retry_after,
                },
                (412 | 472 | 473 | 500..=599, _) => KmsError::Unavailable {
                    provider,
                    reason,
                    source: None,
                },
                (_, Some(reason)) => KmsError::Refused { provider, reason },
                (status, None) => KmsError::BadAnswer {
                    provider,
                    reason: format!("status {status} without a reason"),
                },
            }
        }
        error @ ClientError::Transport { .. } => KmsError::Unavailable {
            provider,
            reason,
            source: Some(Cause::new(error)),
        },
        ClientError::AnswerTooLarge { .. }
        | ClientError::Decode { .. }
        | ClientError::Empty { .. } => KmsError::BadAnswer { provider, reason },
        _ => KmsError::Refused { provider, reason },
    }
}
