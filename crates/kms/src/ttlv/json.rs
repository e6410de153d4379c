//! The JSON form: `{"tag": …, "type": …, "value": …}`.
//!
//! Numbers and enumerations are read in either of the ways that the profile has, by name, as a number or
//! as `0x` and hexadecimal digits. Tags are written by their names, enumerations by their numbers.

use super::{DEPTH_MAX, NODES_MAX, Node, Tag, TtlvError, Value};
use secretum_crypto::{SecretBytes, Timestamp};
use serde_json::{Map, Value as Json, json};

/// Writes a tree.
pub fn to_json(node: &Node) -> Json {
    let (kind, value) = match &node.value {
        Value::Structure(nodes) => ("Structure", nodes.iter().map(to_json).collect()),
        Value::Integer(number) => ("Integer", json!(number)),
        Value::LongInteger(number) => ("LongInteger", json!(format!("0x{number:016X}"))),
        Value::BigInteger(bytes) => ("BigInteger", json!(format!("0x{}", digits(bytes)))),
        // By its number: servers differ in how they spell the names.
        Value::Enumeration(number) => ("Enumeration", json!(format!("0x{number:08X}"))),
        Value::Boolean(yes) => ("Boolean", json!(yes)),
        Value::TextString(text) => ("TextString", json!(text)),
        Value::ByteString(bytes) => ("ByteString", json!(digits(bytes))),
        Value::DateTime(seconds) => ("DateTime", json!(format!("0x{seconds:016X}"))),
        Value::Interval(seconds) => ("Interval", json!(seconds)),
        Value::DateTimeExtended(micros) => ("DateTimeExtended", json!(format!("0x{micros:016X}"))),
    };
    json!({ "tag": node.tag.to_string(), "type": kind, "value": value })
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

fn digits(bytes: &SecretBytes) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| {
        DIGITS
            .get(usize::from(nibble))
            .map_or('0', |byte| char::from(*byte))
    };
    let digits = bytes.expose().iter();
    digits
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
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
