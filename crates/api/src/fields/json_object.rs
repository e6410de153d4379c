//! [`JsonObject`]: an object on the wire, as its author wrote it.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// A JSON object, kept as text: no number of it changes, and no key moves.
#[derive(Clone, serde::Serialize)]
#[serde(transparent)]
pub struct JsonObject(Box<RawValue>);

super::schema!(JsonObject, "Object", {
    "type": "object",
    "additionalProperties": true,
    "description": "A JSON object"
});

impl JsonObject {
    /// Takes JSON text that a parser accepted.
    ///
    /// **Errors**: a sentence where it is no object.
    pub fn new(raw: Box<RawValue>) -> Result<Self, &'static str> {
        if raw.get().starts_with('{') {
            Ok(Self(raw))
        } else {
            Err("a JSON object is needed")
        }
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The text, as JSON.
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.get()
            .trim_start_matches('{')
            .trim_start()
            .starts_with('}')
    }
}

/// It may hold a secret: nothing of it is shown.
impl std::fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonObject(..)")
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Box::<RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays() {
        let text = r#"{"z":12345678901234567890123,"a":1.10}"#;
        let object: JsonObject = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
        assert!(!object.is_empty());
        assert!(
            serde_json::from_str::<JsonObject>("{ }")
                .unwrap()
                .is_empty()
        );
        assert!(serde_json::from_str::<JsonObject>("[1]").is_err());
    }
}
