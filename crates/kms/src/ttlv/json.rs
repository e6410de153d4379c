//! The JSON form: `{"tag": …, "type": …, "value": …}`.
//!
//! Numbers and enumerations are read in either of the ways that the profile has, by name, as a number or
//! as `0x` and hexadecimal digits. Tags are written by their names, enumerations by their numbers.

use super::{DEPTH_MAX, NODES_MAX, Node, Tag, TtlvError, Value};
use secretum_crypto::{SecretBytes, Timestamp};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Map, Value as Json};
use zeroize::{Zeroize, Zeroizing};

/// The JSON form. Digits that are written on the way are zeroed.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut node = to.serialize_struct("Node", 3)?;
        node.serialize_field("tag", &self.tag.to_string())?;
        node.serialize_field("type", kind(&self.value))?;
        node.serialize_field("value", &Written(&self.value))?;
        node.end()
    }
}

/// A value as it is written.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Structure(nodes) => to.collect_seq(nodes),
            Value::Integer(number) => to.serialize_i32(*number),
            Value::LongInteger(number) => to.collect_str(&format_args!("0x{number:016X}")),
            Value::BigInteger(bytes) => to.serialize_str(&digits("0x", bytes)),
            // By its number: servers differ in how they spell the names.
            Value::Enumeration(number) => to.collect_str(&format_args!("0x{number:08X}")),
            Value::Boolean(yes) => to.serialize_bool(*yes),
            Value::TextString(text) => to.serialize_str(text),
            Value::ByteString(bytes) => to.serialize_str(&digits("", bytes)),
            Value::DateTime(seconds) => to.collect_str(&format_args!("0x{seconds:016X}")),
            Value::Interval(seconds) => to.serialize_u32(*seconds),
            Value::DateTimeExtended(micros) => to.collect_str(&format_args!("0x{micros:016X}")),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Structure(_) => "Structure",
        Value::Integer(_) => "Integer",
        Value::LongInteger(_) => "LongInteger",
        Value::BigInteger(_) => "BigInteger",
        Value::Enumeration(_) => "Enumeration",
        Value::Boolean(_) => "Boolean",
        Value::TextString(_) => "TextString",
        Value::ByteString(_) => "ByteString",
        Value::DateTime(_) => "DateTime",
        Value::Interval(_) => "Interval",
        Value::DateTimeExtended(_) => "DateTimeExtended",
    }
}

/// Zeroes the texts of a tree, which may be secret.
pub fn wipe(json: &mut Json) {
    match json {
        Json::String(text) => text.zeroize(),
        Json::Array(parts) => parts.iter_mut().for_each(wipe),
        Json::Object(object) => object.values_mut().for_each(wipe),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Reads a tree.
///
/// A node whose tag, or whose value of an enumeration, has a name that KMIP does not have is left out
/// of its structure: so the answers of servers with extensions can be read.
///
/// **Errors**: [`TtlvError::Json`], [`TtlvError::TooDeep`], [`TtlvError::TooMany`], and
/// [`TtlvError::Value`] for a value that is not of its type.
pub fn from_json(json: &Json) -> Result<Node, TtlvError> {
    let mut count = 0;
    let reason = "its tag is none that is known";
    read(json, 0, &mut count)?.ok_or(TtlvError::Json { reason })
}

fn read(json: &Json, depth: usize, count: &mut usize) -> Result<Option<Node>, TtlvError> {
    *count += 1;
    if *count > NODES_MAX {
        return Err(TtlvError::TooMany { limit: NODES_MAX });
    }
    let fault = |reason| TtlvError::Json { reason };
    let object = json.as_object().ok_or(fault("a node is no object"))?;
    let tag = text(object, "tag").ok_or(fault("a node has no tag"))?;
    let Some(tag) = Tag::named(tag) else {
        return Ok(None);
    };
    let value = object.get("value").ok_or(fault("a node has no value"))?;
    // A structure may leave its type out.
    let kind = match object.get("type") {
        None => "Structure",
        Some(kind) => kind.as_str().ok_or(fault("a type is no text"))?,
    };
    if kind == "Structure" {
        if depth >= DEPTH_MAX {
            return Err(TtlvError::TooDeep { limit: DEPTH_MAX });
        }
        let parts = value.as_array().ok_or(fault("a structure is no list"))?;
        let mut nodes = Vec::new();
        for part in parts {
            nodes.extend(read(part, depth + 1, count)?);
        }
        return Ok(Some(Node::new(tag, Value::Structure(nodes))));
    }
    let value = scalar(tag, kind, value)?;
    Ok(value.map(|value| Node::new(tag, value)))
}

/// A value that is no structure; `None` where it is one that KMIP has no number for.
fn scalar(tag: Tag, kind: &str, json: &Json) -> Result<Option<Value>, TtlvError> {
    if kind == "Enumeration"
        && let Some(name) = json.as_str()
        && tag.value_named(name).is_none()
    {
        return Ok(None);
    }
    let value = match kind {
        "Integer" => integer(json).map(Value::Integer),
        "LongInteger" => long(json).map(Value::LongInteger),
        "BigInteger" => bytes(json).and_then(filled).map(Value::BigInteger),
        "Enumeration" => enumeration(tag, json).map(Value::Enumeration),
        "Boolean" => json.as_bool().map(Value::Boolean),
        "TextString" => json.as_str().map(str::to_owned).map(Value::TextString),
        "ByteString" => bytes(json).map(SecretBytes::new).map(Value::ByteString),
        "DateTime" => date(json).map(Value::DateTime),
        "Interval" => number(json).map(Value::Interval),
        "DateTimeExtended" => long(json).map(Value::DateTimeExtended),
        _ => {
            return Err(TtlvError::Json {
                reason: "it has a type that KMIP does not have",
            });
        }
    };
    value.map(Some).ok_or(TtlvError::Value { tag })
}

fn text<'a>(object: &'a Map<String, Json>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// The digits behind `0x`.
fn hexadecimal(json: &Json) -> Option<&str> {
    json.as_str()?.strip_prefix("0x")
}

fn integer(json: &Json) -> Option<i32> {
    match hexadecimal(json) {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(u32::cast_signed),
        None => i32::try_from(json.as_i64()?).ok(),
    }
}

fn number(json: &Json) -> Option<u32> {
    match hexadecimal(json) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => u32::try_from(json.as_u64()?).ok(),
    }
}

fn long(json: &Json) -> Option<i64> {
    match hexadecimal(json) {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
        None => json.as_i64(),
    }
}

fn enumeration(tag: Tag, json: &Json) -> Option<u32> {
    match json.as_str() {
        Some(name) => tag.value_named(name),
        None => number(json),
    }
}

/// Seconds since 1970, or a text of ISO 8601.
fn date(json: &Json) -> Option<i64> {
    if let Some(seconds) = long(json) {
        return Some(seconds);
    }
    let parsed = Timestamp::parse_rfc3339(json.as_str()?).ok()?;
    Some(parsed.unix_seconds())
}

fn digits(before: &str, bytes: &SecretBytes) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble))
            .map_or('0', |byte| char::from(*byte))
    };
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let room = before.len() + 2 * bytes.len();
    let mut digits = Zeroizing::new(String::with_capacity(room));
    digits.push_str(before);
    for byte in bytes.expose() {
        digits.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    digits
}

fn bytes(json: &Json) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut out = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        out.push(u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?);
    }
    Some(out)
}

/// A big integer, filled up in front with its sign to a multiple of 8 bytes.
fn filled(bytes: Vec<u8>) -> Option<SecretBytes> {
    let sign = if *bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    let mut out = vec![sign; bytes.len().next_multiple_of(8) - bytes.len()];
    out.extend_from_slice(&bytes);
    Some(SecretBytes::new(out))
}
