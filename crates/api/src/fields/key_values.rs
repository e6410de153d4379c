//! [`KeyValues`]: a map of strings on the wire.

use super::comma_list::Scalar;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;

/// A map of strings: read from a JSON object, a list of `k=v`, or one `k=v` string; written as an
/// object.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(transparent)]
pub struct KeyValues(pub BTreeMap<String, String>);

super::schema!(KeyValues, "KeyValues", {
    "type": ["object", "array", "string"],
    "additionalProperties": {"type": "string"},
    "items": {"type": "string"},
    "description": "An object of strings, or a list of key=value"
});

impl<'de> Deserialize<'de> for KeyValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapVisitor)
    }
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = KeyValues;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of strings, or a list of `key=value`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeyValues, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Scalar>()? {
            pairs.insert(key, value.0);
        }
        Ok(KeyValues(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<KeyValues, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(item) = items.next_element::<String>()? {
            let (key, value) = pair(&item)?;
            pairs.insert(key, value);
        }
        Ok(KeyValues(pairs))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeyValues, E> {
        if text.trim().is_empty() {
            return Ok(KeyValues::default());
        }
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(E::custom);
        }
        Ok(KeyValues(
            text.split(',').map(pair).collect::<Result<_, E>>()?,
        ))
    }
}

fn pair<E: Error>(text: &str) -> Result<(String, String), E> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| E::custom(format!("`{text}` is not key=value")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_the_same() {
        for json in [
            r#"{"a":"1","b":"x=y"}"#,
            r#"["a=1","b=x=y"]"#,
            r#""a=1, b=x=y""#,
        ] {
            let map: KeyValues = serde_json::from_str(json).unwrap();
            assert_eq!(map.0["a"], "1", "{json}");
            assert_eq!(map.0["b"], "x=y", "{json}");
        }
        assert_eq!(
            serde_json::from_str::<KeyValues>(r#"{"n":7,"f":true}"#)
                .unwrap()
                .0["n"],
            "7"
        );
        assert!(serde_json::from_str::<KeyValues>(r#"["a"]"#).is_err());
        assert!(serde_json::from_str::<KeyValues>("5").is_err());
    }
}
