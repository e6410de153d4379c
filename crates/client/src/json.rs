//! [`Json`]: any JSON value, keeping the order of keys and the text of numbers.
//!
//! `serde_json::Value` rounds what it cannot hold in 64 bits, and a secret may be such a number.

use indexmap::IndexMap;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::ser::{self, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// Arrays and objects inside one another that are still read.
const DEPTH_MAX: usize = 128;

/// Any JSON value. `Debug` shows its kind and never what it holds; `Display` is compact JSON.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Json {
    /// `null`, or nothing there.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A JSON number by its text, so that none is rounded.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(String);

/// A JSON object, its keys in the order of their first appearance. Of a key that appears twice, the
/// last value counts.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Object(IndexMap<String, Json>);

impl Json {
    /// Reads JSON text.
    ///
    /// **Errors**: where the text is no JSON, or nested more than 128 deep.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        from_raw(raw, 0)
    }

    /// Turns any value into JSON.
    ///
    /// **Errors**: where its `Serialize` fails.
    pub fn from_value(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Self::parse(&serde_json::to_string(value)?)
    }

    /// Reads a value of a type out of this one.
    ///
    /// **Errors**: where the type does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.to_string())
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of a number that is a whole one from 0 to 2⁶⁴ - 1.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_str().parse().ok(),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// A member of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }
}

impl Number {
    /// The text it was written with.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a member; one that was there keeps its place.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Json>) {
        self.0.insert(key.into(), value.into());
    }

    /// A member.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    /// A member, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.get_mut(key)
    }

    /// Takes a member out; the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        self.0.shift_remove(key)
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The members sorted by key.
    pub fn sorted(&self) -> Vec<(&str, &Json)> {
        let mut members: Vec<_> = self.iter().collect();
        members.sort_unstable_by_key(|(key, _)| *key);
        members
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<Json>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        Self(
            members
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(Number(value.to_string()))
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(Number(value.to_string()))
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

fn from_raw(raw: &RawValue, depth: usize) -> Result<Json, serde_json::Error> {
    if depth > DEPTH_MAX {
        return Err(de::Error::custom(format!(
            "JSON is nested more than {DEPTH_MAX} deep"
        )));
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Json::Null,
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'"') => Json::String(serde_json::from_str(text)?),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let items: Result<_, _> = items
                .into_iter()
                .map(|item| from_raw(item, depth + 1))
                .collect();
            Json::Array(items?)
        }
        Some(b'{') => {
            let members: RawMembers<'_> = serde_json::from_str(text)?;
            let mut object = IndexMap::with_capacity(members.0.len());
            for (key, value) in members.0 {
                object.insert(key, from_raw(value, depth + 1)?);
            }
            Json::Object(Object(object))
        }
        // INVARIANT: serde_json has checked the text, so what is left is a number.
        _ => Json::Number(Number(text.to_owned())),
    })
}

/// The members of one object, their values not looked into.
struct RawMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = RawMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
            members.push(member);
        }
        Ok(RawMembers(members))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        from_raw(&raw, 0).map_err(de::Error::custom)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => RawValue::from_string(number.0.clone())
                .map_err(ser::Error::custom)?
                .serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(..)",
            Self::Number(_) => "Number(..)",
            Self::String(_) => "String(..)",
            Self::Array(_) => "Array(..)",
            Self::Object(_) => "Object(..)",
        })
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(..)")
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Object(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_the_order_of_keys_survive() {
        let text =
            r#"{"z":9007199254740993,"a":[1.10,-0,1e400],"m":{"é":"\u0001"},"n":null,"t":true}"#;
        assert_eq!(Json::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn it_reads_inside_other_types() {
        #[derive(serde::Deserialize)]
        struct Outer {
            data: Json,
        }
        let outer: Outer =
            serde_json::from_str(r#"{"data": {"n": 12345678901234567890123}}"#).unwrap();
        assert_eq!(outer.data.to_string(), r#"{"n":12345678901234567890123}"#);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(
            Json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap().to_string(),
            r#"{"a":3,"b":2}"#
        );
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&nested(DEPTH_MAX + 1)).is_ok());
        assert!(Json::parse(&nested(DEPTH_MAX + 2)).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{'a':1}", "01", "1 2", "nul", "[1,]", "\"\u{1}\""] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let json = Json::parse(r#"{"password":"hunter2","pin":1234}"#).unwrap();
        let shown = format!("{json:?} {:?} {:?}", json.get("password"), json.get("pin"));
        assert!(
            !shown.contains("hunter2") && !shown.contains("1234"),
            "{shown}"
        );
    }
}
