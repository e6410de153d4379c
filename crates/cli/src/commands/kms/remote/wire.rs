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

/// What a request is about, for what is said of it.
#[derive(Clone, Copy, Default)]
pub(super) struct About<'a> {
    key: Option<&'a KeyId>,
    ciphertext: Option<&'a Ciphertext>,
}

impl<'a> About<'a> {
    pub(super) fn key(key: &'a KeyId) -> Self {
        Self {
            key: Some(key),
            ciphertext: None,
        }
    }

    pub(super) fn ciphertext(ciphertext: &'a Ciphertext) -> Self {
        Self {
            key: Some(ciphertext.key()),
            ciphertext: Some(ciphertext),
        }
    }

    /// A ciphertext that goes to a key: where that is another one, a refusal says of which of the two it
    /// speaks, and its code does not.
    pub(super) fn both(ciphertext: &'a Ciphertext, new_key: &KeyId) -> Self {
        let of_ciphertext = Self::ciphertext(ciphertext);
        Self {
            key: of_ciphertext.key.filter(|key| *key == new_key),
            ..of_ciphertext
        }
    }

    /// The error of the library that this code is the kind of.
    fn error(self, code: &str) -> Option<KmsError> {
        let provider = NAME;
        let key = || self.key.cloned();
        match code {
            "key_not_found" => key().map(|key| KmsError::KeyNotFound { provider, key }),
            "key_disabled" => key().map(|key| KmsError::KeyDisabled { provider, key }),
            _ => self
                .ciphertext
                .and_then(|ciphertext| of_ciphertext(code, ciphertext)),
        }
    }
}

fn of_ciphertext(code: &str, ciphertext: &Ciphertext) -> Option<KmsError> {
    let key = ciphertext.key().clone();
    Some(match code {
        "not_authentic" => KmsError::NotAuthentic { key },
        "key_version_not_found" => KmsError::KeyVersionNotFound {
            provider: NAME,
            key,
            version: ciphertext.key_version().clone(),
        },
        "other_provider" => KmsError::OtherProvider {
            found: ciphertext.provider().to_owned(),
            configured: NAME,
        },
        _ => return None,
    })
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
        about: About<'_>,
    ) -> KmsError {
        if let Some(error) = about.error(&self.error.code) {
            return error;
        }
        let provider = NAME;
        let reason: String = (self.error.message.chars())
            .filter(|c| !c.is_control())
            .take(1000)
            .collect();
        match status {
            401 => KmsError::Credentials {
                provider,
                reason: format!(
                    "{reason}; a token goes into KMS_SERVICE_TOKEN or the file that -token-file names"
                ),
            },
            403 => KmsError::AccessDenied { provider, reason },
            429 => KmsError::Throttled {
                provider,
                retry_after,
            },
            503 | 504 => KmsError::Unavailable {
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
    use secretum_kms::{KeyVersion, Wrapped};

    fn refused(status: u16, code: &str, about: About<'_>) -> KmsError {
        let error = Refused {
            code: code.to_owned(),
            message: "why\x1b[2J".to_owned(),
        };
        Refusal { error }.error(status, None, about)
    }

    fn ciphertext(key: &KeyId) -> Ciphertext {
        let wrapped = Wrapped {
            key: key.clone(),
            version: KeyVersion::default(),
            bytes: b"x".to_vec(),
        };
        Ciphertext::native("vault", wrapped).unwrap()
    }

    #[test]
    fn a_refusal_keeps_what_it_says() {
        let error = |status, code: &str| refused(status, code, About::default());
        let told = error(400, "other_key").to_string();
        assert_eq!(told, "kms-service refused the request: why[2J");
        assert!(error(503, "overloaded").is_transient());
        assert!(error(503, "file_locked").is_transient());
        assert!(error(429, "rate_limited").is_transient());
        assert!(!error(500, "file").is_transient());
    }

    #[test]
    fn what_the_service_says_of_a_key_keeps_its_kind() {
        let (key, other) = (KeyId::new("k").unwrap(), KeyId::new("other").unwrap());
        let ciphertext = ciphertext(&key);
        let kind = |status, code: &str, about| refused(status, code, about).kind();
        for (status, code) in [(404, "key_not_found"), (409, "key_disabled")] {
            assert_eq!(kind(status, code, About::key(&key)), code);
            assert_eq!(kind(status, code, About::ciphertext(&ciphertext)), code);
            assert_eq!(kind(status, code, About::both(&ciphertext, &key)), code);
            // Of which key, the message alone says.
            let about = About::both(&ciphertext, &other);
            assert_eq!(kind(status, code, about), "refused");
        }
        for (status, code) in [
            (400, "not_authentic"),
            (404, "key_version_not_found"),
            (400, "other_provider"),
        ] {
            assert_eq!(kind(status, code, About::both(&ciphertext, &other)), code);
            assert_eq!(kind(status, code, About::key(&key)), "refused");
        }
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
