//! JSON merge patch (RFC 7396) on text: what is not patched keeps its author's spelling.

use super::KvError;
use secretum_api::fields::JsonObject;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::HashMap;

/// The members of an object, in their order.
#[derive(Debug, Default)]
pub(super) struct Members(pub(super) Vec<(String, Box<RawValue>)>);

/// Applies a patch to an object.
///
/// **Errors**: [`KvError::Patch`] where one of them is no JSON.
pub(super) fn merge(target: &JsonObject, patch: &JsonObject) -> Result<JsonObject, KvError> {
    let merged = merge_members(members(target.get())?, members(patch.get())?)?;
    let raw = to_raw_value(&merged).map_err(|_| KvError::Patch("the patch cannot be applied"))?;
    JsonObject::new(raw).map_err(KvError::Patch)
}

/// The members of an object's text.
pub(super) fn members(json: &str) -> Result<Members, KvError> {
    serde_json::from_str(json).map_err(|_| KvError::Patch("the patch is no JSON object"))
}

// Depth is bounded by the limit on bodies, which stored values passed, too.
fn merge_members(target: Members, patch: Members) -> Result<Members, KvError> {
    let places: HashMap<String, usize> = (target.0.iter().enumerate())
        .map(|(at, (name, _))| (name.clone(), at))
        .collect();
    let mut merged: Vec<Option<(String, Box<RawValue>)>> = target.0.into_iter().map(Some).collect();
    for (name, change) in patch.0 {
        let place = places.get(&name).and_then(|at| merged.get_mut(*at));
        if change.get() == "null" {
            if let Some(place) = place {
                *place = None;
            }
            continue;
        }
        let current = place.as_ref().and_then(|place| place.as_ref());
        let change = merged_value(current.map(|(_, value)| value.get()), change)?;
        match place {
            Some(place) => *place = Some((name, change)),
            None => merged.push(Some((name, change))),
        }
    }
    Ok(Members(merged.into_iter().flatten().collect()))
}

/// What a member becomes that is patched with something else than null.
fn merged_value(current: Option<&str>, change: Box<RawValue>) -> Result<Box<RawValue>, KvError> {
    if !change.get().starts_with('{') {
        return Ok(change);
    }
    let current = match current.filter(|value| value.starts_with('{')) {
        Some(object) => members(object)?,
        None => Members::default(),
    };
    let merged = merge_members(current, members(change.get())?)?;
    to_raw_value(&merged).map_err(|_| KvError::Patch("the patch cannot be applied"))
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    // Of two members of one name, the last counts.
                    match places.get(&name).and_then(|at| members.get_mut(*at)) {
                        Some(member) => member.1 = value,
                        None => {
                            places.insert(name.clone(), members.len());
                            members.push((name, value));
                        }
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn object(json: &str) -> JsonObject {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (
                r#"{"n":1.10}"#,
                r#"{"m":12345678901234567890123}"#,
                r#"{"n":1.10,"m":12345678901234567890123}"#,
            ),
        ] {
            assert_eq!(
                merge(&object(target), &object(patch)).unwrap().get(),
                expected
            );
        }
    }

    /// The algorithm of the RFC, word by word.
    fn reference(target: Value, patch: Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch;
        };
        let mut target = match target {
            Value::Object(map) => map,
            _ => serde_json::Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                target.remove(&name);
            } else {
                let current = target.remove(&name).unwrap_or(Value::Null);
                target.insert(name, reference(current, value));
            }
        }
        Value::Object(target)
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                object_of(inner),
            ]
        })
    }

    fn object_of(member: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-d]", member, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn merging_is_as_the_rfc_says(target in object_of(json()), patch in object_of(json())) {
            let merged = merge(&object(&target.to_string()), &object(&patch.to_string())).unwrap();
            let merged: Value = serde_json::from_str(merged.get()).unwrap();
            prop_assert_eq!(merged, reference(target, patch));
        }
    }
}
