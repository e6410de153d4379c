//! [`Fields`], [`Answer`] and [`Refusal`]: what goes to a `kms-service` and what comes back, in memory
//! that is zeroed.

use super::{NAME, missing, plaintext};
use secretum_crypto::written;
use secretum_kms::{Ciphertext, EncryptionContext, KeyId, KmsError, Result, SecretBytes};
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// A body of named fields.
#[derive(Default)]
pub(super) struct Fields<'a>(Vec<(&'static str, Value<'a>)>);

enum Value<'a> {
    Text(&'a str),
    Pairs(&'a EncryptionContext),
    True,
}

impl<'a> Fields<'a> {
    pub(super) fn text(self, name: &'static str, text: &'a str) -> Self {
        self.with(name, Value::Text(text))
    }

    pub(super) fn context(self, name: &'static str, context: &'a EncryptionContext) -> Self {
        self.with(name, Value::Pairs(context))
    }

    pub(super) fn switch(self, name: &'static str) -> Self {
        self.with(name, Value::True)
    }

    fn with(mut self, name: &'static str, value: Value<'a>) -> Self {
        self.0.push((name, value));
        self
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Writing texts into memory cannot fail.
        written(|to| serde_json::to_writer(to, self)).unwrap_or_default()
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            match value {
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Pairs(context) => {
                    let pairs: BTreeMap<_, _> = context.pairs().collect();
                    map.serialize_entry(name, &pairs)?;
                }
                Value::True => map.serialize_entry(name, &true)?,
            }
        }
        map.end()
    }
}

/// What an operation gave.
#[derive(serde::Deserialize)]
pub(super) struct Answer {
    plaintext: Option<Zeroizing<String>>,
    ciphertext: Option<String>,
    key_id: Option<String>,
    key_version: Option<String>,
    #[serde(default)]
    pub(super) enabled: bool,
}

impl Answer {
    pub(super) fn plaintext(&self) -> Result<SecretBytes> {
        let text = self.plaintext.as_ref();
        plaintext(text.ok_or_else(|| missing("plaintext"))?)
    }

    pub(super) fn ciphertext(&self) -> Result<Ciphertext> {
        let text = self.ciphertext.as_ref();
        let text = text.ok_or_else(|| missing("ciphertext"))?;
        Ciphertext::from_base64(text).map_err(|_| missing("ciphertext"))
    }

    pub(super) fn key_id(&self) -> Result<KeyId> {
        let text = self.key_id.clone();
        KeyId::new(text.ok_or_else(|| missing("key_id"))?)
    }

    pub(super) fn key_version(&self) -> Result<&str> {
        let text = self.key_version.as_deref();
        text.ok_or_else(|| missing("key_version"))
    }
}

/// A refusal, as the service words it.
#[derive(serde::Deserialize)]
pub(super) struct Refusal {
    error: Refused,
}

#[derive(serde::Deserialize)]
struct Refused {
    code: String,
    message: String,
}

impl Refusal {
    pub(super) fn error(
        self,
        status: u16,
        retry_after: Option<Duration>,
        key: Option<&KeyId>,
    ) -> KmsError {
        let provider = NAME;
        let reason: String = (self.error.message.chars())
            .filter(|c| !c.is_control())
            .take(1000)
            .collect();
        match (status, self.error.code.as_str(), key) {
            (_, "not_authentic", Some(key)) => KmsError::NotAuthentic { key: key.clone() },
            (401, _, _) => KmsError::Credentials {
                provider,
                reason: format!(
                    "{reason}; a token goes into KMS_SERVICE_TOKEN or the file that -token-file names"
                ),
            },
            (403, _, _) => KmsError::AccessDenied { provider, reason },
            (429, _, _) => KmsError::Throttled {
                provider,
                retry_after,
            },
            (503 | 504, _, _) => KmsError::Unavailable {
                provider,
                reason,
                source: None,
            },
            _ => KmsError::Refused { provider, reason },
        }
    }
}

/// Reads JSON. The parser's own words may show what is secret, and are left out.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| no_json())
}

pub(super) fn no_json() -> KmsError {
    KmsError::BadAnswer {
        provider: NAME,
        reason: "it is not the JSON of a kms-service".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_what_it_says() {
        let key = KeyId::new("k").unwrap();
        let error = |status, code: &str, key| {
            let error = Refused {
                code: code.to_owned(),
                message: "why\x1b[2J".to_owned(),
            };
            Refusal { error }.error(status, None, key)
        };
        let told = error(400, "other_key", None).to_string();
        assert_eq!(told, "kms-service refused the request: why[2J");
        let wrong = error(400, "not_authentic", Some(&key));
        assert!(matches!(wrong, KmsError::NotAuthentic { .. }));
        assert!(error(503, "overloaded", None).is_transient());
        assert!(error(429, "rate_limited", None).is_transient());
        assert!(!error(500, "file", None).is_transient());
    }

    #[test]
    fn bodies_are_json_in_their_own_memory() {
        let context = EncryptionContext::of([("env", "\"prod\"")]).unwrap();
        let fields = Fields::default()
            .text("plaintext", "aGk=")
            .context("context", &context)
            .switch("without_plaintext");
        assert_eq!(
            std::str::from_utf8(&fields.to_json()).unwrap(),
            r#"{"plaintext":"aGk=","context":{"env":"\"prod\""},"without_plaintext":true}"#
        );
    }
}
