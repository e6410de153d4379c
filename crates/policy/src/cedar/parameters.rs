//! The fields of a request as tags of an entity.
//!
//! **Shape**: each field is a tag of its name. A text is itself; everything else is its JSON in one
//! spelling (no blanks, keys of objects sorted), so that what compares with it cannot be got around by
//! writing the same differently.

use super::PARAMETERS_BYTES_MAX;
use crate::Parameters;
use cedar_policy::RestrictedExpression;
use serde_json::Value;
use std::collections::BTreeMap;

/// The tags of these fields; `None` where there is too much of them, or one is no JSON.
pub(super) fn tags(parameters: &dyn Parameters) -> Option<Vec<(String, RestrictedExpression)>> {
    let mut left = PARAMETERS_BYTES_MAX;
    let mut tags = Vec::new();
    for name in parameters.names() {
        let json = parameters.json(name)?;
        left = left.checked_sub(name.len() + json.len())?;
        let text = spelled(&json)?;
        tags.push((name.to_owned(), RestrictedExpression::new_string(text)));
    }
    Some(tags)
}

/// The text of a tag with this JSON.
fn spelled(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Value::String(text) => Some(text),
        value => serde_json::to_string(&sorted(value)).ok(),
    }
}

/// The same value with the keys of its objects sorted. What nests deeper than a body may is no JSON
/// to the reader, so this ends.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_spelling() {
        for (json, text) in [
            ("\"a\"", "a"),
            ("\"\\u0061\"", "a"),
            ("1", "1"),
            ("true", "true"),
            ("null", "null"),
            ("[ 1, \"a\" ]", "[1,\"a\"]"),
            (
                "{\"b\": 1, \"a\": {\"d\": 2, \"c\": 3}}",
                "{\"a\":{\"c\":3,\"d\":2},\"b\":1}",
            ),
        ] {
            assert_eq!(spelled(json).as_deref(), Some(text), "{json}");
        }
        assert_eq!(spelled("{"), None);
    }

    #[test]
    fn there_is_a_bound() {
        let fields = |bytes: usize| {
            let value = Value::String("x".repeat(bytes - 3));
            serde_json::Map::from_iter([("a".to_owned(), value)])
        };
        assert!(tags(&fields(PARAMETERS_BYTES_MAX)).is_some());
        assert!(tags(&fields(PARAMETERS_BYTES_MAX + 1)).is_none());
    }
}
