//! [`Fields`]: what a body says, taken field by field.
//!
//! The parser's own texts show values, and a value may be a plaintext; so what is wrong is said here.

use super::error::ApiError;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secretum_crypto::SecretBytes;
use secretum_kms::{Ciphertext, DataKeySpec, EncryptionContext, KeyId};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The most fields that are looked at; more are more than any operation has.
const FIELDS_MAX: usize = 16;

/// Names and values of a body, which stay in the body's own memory.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(A::Error::custom("too many fields"));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A text that stays where it is, unless it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// Reads a body; its fields are to be these, each once.
    pub(super) fn read(body: &'a [u8], known: &[&str]) -> Result<Self, ApiError> {
        let fields: Self = serde_json::from_slice(body).map_err(|error| {
            let message = format!(
                "the body is no JSON object, at line {} column {}; send an object with {}",
                error.line(),
                error.column(),
                known.join(", ")
            );
            ApiError::bad("body_not_json", message)
        })?;
        for (index, (name, _)) in fields.0.iter().enumerate() {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            if !known.contains(&name.as_ref()) {
                let known = known.join(", ");
                let message = format!("there is no field `{shown}` here; there are {known}");
                return Err(ApiError::bad("unknown_field", message));
            }
            if fields
                .0
                .iter()
                .skip(index + 1)
                .any(|(other, _)| other == name)
            {
                let message = format!("the field `{shown}` is there twice; leave one of them out");
                return Err(ApiError::bad("duplicate_field", message));
            }
        }
        Ok(fields)
    }

    /// The JSON of a field; `null` is as good as nothing.
    fn find(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(own, _)| own == name)?;
        Some(value.get()).filter(|value| *value != "null")
    }

    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, ApiError> {
        let Some(json) = self.find(name) else {
            return Ok(None);
        };
        match serde_json::from_str::<Text<'a>>(json) {
            Ok(Text(text)) => Ok(Some(text)),
            Err(_) => Err(wrong_type(name, "a text")),
        }
    }

    fn needed(&self, name: &'static str) -> Result<Cow<'a, str>, ApiError> {
        let missing = || {
            ApiError::bad(
                "missing_field",
                format!("the field `{name}` is missing; add it"),
            )
        };
        self.text(name)?.ok_or_else(missing)
    }

    /// A plaintext in base64.
    pub(super) fn plaintext(&self) -> Result<SecretBytes, ApiError> {
        let text = self.needed("plaintext")?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
        let decoded = BASE64.decode_vec(text.as_bytes(), &mut bytes);
        if let Cow::Owned(mut copy) = text {
            copy.zeroize();
        }
        match decoded {
            Ok(()) => Ok(SecretBytes::new(std::mem::take(&mut *bytes))),
            Err(_) => Err(ApiError::bad(
                "plaintext_not_base64",
                "`plaintext` is no base64; encode it with the standard alphabet",
            )),
        }
    }

    /// A ciphertext of this service.
    pub(super) fn ciphertext(&self) -> Result<Ciphertext, ApiError> {
        let text = self.needed("ciphertext")?;
        let bytes = BASE64.decode(text.trim().as_bytes()).map_err(|_| {
            ApiError::bad(
                "ciphertext_not_base64",
                "`ciphertext` is no base64; send it as it was given out",
            )
        })?;
        Ok(Ciphertext::from_bytes(&bytes)?)
    }

    /// The identifier of a key, where there is one.
    pub(super) fn key(&self, name: &str) -> Result<Option<KeyId>, ApiError> {
        let text = self.text(name)?;
        Ok(text.map(|text| KeyId::new(text.into_owned())).transpose()?)
    }

    /// A context: `"env=prod,service=api"`, or an object of texts; `None` where the field is missing.
    pub(super) fn context(&self, name: &str) -> Result<Option<EncryptionContext>, ApiError> {
        let Some(json) = self.find(name) else {
            return Ok(None);
        };
        if json.starts_with('"') {
            let text = self.text(name)?.unwrap_or_default();
            return Ok(Some(text.parse()?));
        }
        let pairs: Pairs = serde_json::from_str(json).map_err(|_| {
            wrong_type(name, "an object of texts, or a text as key=value,key=value")
        })?;
        Ok(Some(EncryptionContext::of(pairs.0)?))
    }

    /// The kind of a data key: a text, or a number of bytes. `AES_256` where there is none.
    pub(super) fn key_spec(&self) -> Result<DataKeySpec, ApiError> {
        let Some(json) = self.find("key_spec") else {
            return Ok(DataKeySpec::AES_256);
        };
        if json.starts_with('"') {
            let text = self.text("key_spec")?.unwrap_or_default();
            return Ok(text.parse()?);
        }
        Ok(json.parse()?)
    }

    /// Yes or no; no where it is missing.
    pub(super) fn switch(&self, name: &str) -> Result<bool, ApiError> {
        match self.find(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }
}

fn wrong_type(name: &str, wanted: &str) -> ApiError {
    ApiError::bad("wrong_type", format!("`{name}` is to be {wanted}"))
}

/// The pairs of an object, those given twice included.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[
        "plaintext",
        "context",
        "key_spec",
        "ciphertext",
        "key_id",
        "flag",
    ];

    fn code<T>(outcome: Result<T, ApiError>) -> &'static str {
        outcome.map(|_| ()).unwrap_err().code
    }

    fn read(body: &str) -> Fields<'_> {
        Fields::read(body.as_bytes(), KNOWN).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn bodies_that_are_not_objects_are_refused_without_their_text() {
        for body in [
            "",
            "\"planted\"",
            "[1]",
            "{\"plaintext\":\"planted",
            "{} x",
            "\u{1}",
        ] {
            let error = Fields::read(body.as_bytes(), KNOWN)
                .map(|_| ())
                .unwrap_err();
            assert_eq!(error.code, "body_not_json", "{body}");
            assert!(!error.message.contains("planted"));
        }
        assert_eq!(code(Fields::read(b"{\"plain\":1}", KNOWN)), "unknown_field");
        let twice = br#"{"flag":true,"flag":true}"#;
        assert_eq!(code(Fields::read(twice, KNOWN)), "duplicate_field");
    }

    #[test]
    fn plaintexts_are_base64_with_or_without_padding_and_escapes() {
        for (json, wanted) in [
            (r#"{"plaintext":"aGk="}"#, &b"hi"[..]),
            (r#"{"plaintext":"aGk"}"#, b"hi"),
            (r#"{"plaintext":""}"#, b""),
            (r#"{"plaintext":"\/\/8="}"#, b"\xff\xff"),
        ] {
            assert_eq!(read(json).plaintext().unwrap().expose(), wanted, "{json}");
        }
        assert_eq!(code(read("{}").plaintext()), "missing_field");
        assert_eq!(
            code(read(r#"{"plaintext":null}"#).plaintext()),
            "missing_field"
        );
        assert_eq!(code(read(r#"{"plaintext":5}"#).plaintext()), "wrong_type");
        assert_eq!(
            code(read(r#"{"plaintext":"a b"}"#).plaintext()),
            "plaintext_not_base64"
        );
    }

    #[test]
    fn a_context_is_a_text_or_an_object() {
        let text = read(r#"{"context":"env=prod,service=api"}"#)
            .context("context")
            .unwrap();
        let object = r#"{"context":{"service":"api","env":"prod"}}"#;
        assert_eq!(text, read(object).context("context").unwrap());
        assert_eq!(read("{}").context("context").unwrap(), None);
        for (body, wanted) in [
            (r#"{"context":"env"}"#, "context"),
            (r#"{"context":{"a":"1","a":"2"}}"#, "context"),
            (r#"{"context":{"a":1}}"#, "wrong_type"),
            (r#"{"context":[]}"#, "wrong_type"),
        ] {
            assert_eq!(code(read(body).context("context")), wanted, "{body}");
        }
    }

    #[test]
    fn kinds_of_data_keys_are_names_or_numbers() {
        for (body, bytes) in [
            ("{}", 32),
            (r#"{"key_spec":"AES_128"}"#, 16),
            (r#"{"key_spec":64}"#, 64),
            (r#"{"key_spec":"64"}"#, 64),
        ] {
            assert_eq!(read(body).key_spec().unwrap().len(), bytes);
        }
        for body in [
            r#"{"key_spec":0}"#,
            r#"{"key_spec":"DES"}"#,
            r#"{"key_spec":{}}"#,
        ] {
            assert_eq!(code(read(body).key_spec()), "data_key_spec");
        }
        assert_eq!(code(read(r#"{"flag":1}"#).switch("flag")), "wrong_type");
    }
}
