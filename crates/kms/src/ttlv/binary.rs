//! The binary form.
//!
//! ```text
//! tag     3
//! type    1
//! length  4   of the value, without what fills it up
//! value       filled up with zeros to a multiple of 8
//! ```

use super::{DEPTH_MAX, MESSAGE_BYTES_MAX, NODES_MAX, Node, Tag, TtlvError, Value};
use secretum_crypto::SecretBytes;
use zeroize::Zeroizing;

/// The bytes that stand before a value.
pub const HEADER_BYTES: usize = 8;

const STRUCTURE: u8 = 1;
const INTEGER: u8 = 2;
const LONG_INTEGER: u8 = 3;
const BIG_INTEGER: u8 = 4;
const ENUMERATION: u8 = 5;
const BOOLEAN: u8 = 6;
const TEXT_STRING: u8 = 7;
const BYTE_STRING: u8 = 8;
const DATE_TIME: u8 = 9;
const INTERVAL: u8 = 10;
const DATE_TIME_EXTENDED: u8 = 11;

/// Writes a tree.
///
/// **Errors**: [`TtlvError::TooLarge`], [`TtlvError::TooDeep`], [`TtlvError::TooMany`], and
/// [`TtlvError::Length`] for a big integer that is no multiple of 8 bytes.
pub fn encode(node: &Node) -> Result<Zeroizing<Vec<u8>>, TtlvError> {
    let mut count = 0;
    let bytes = measure(node, 0, &mut count)?;
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    put(node, &mut out)?;
    Ok(out)
}

/// The bytes of a node with all that is in it, or why it is not written.
fn measure(node: &Node, depth: usize, count: &mut usize) -> Result<usize, TtlvError> {
    *count += 1;
    if *count > NODES_MAX {
        return Err(TtlvError::TooMany { limit: NODES_MAX });
    }
    let value = match &node.value {
        Value::Structure(nodes) => {
            if depth >= DEPTH_MAX {
                return Err(TtlvError::TooDeep { limit: DEPTH_MAX });
            }
            let mut bytes = 0;
            for node in nodes {
                bytes += measure(node, depth + 1, count)?;
            }
            bytes
        }
        Value::BigInteger(number) => {
            let bytes = number.len();
            if bytes == 0 || !bytes.is_multiple_of(8) {
                let tag = node.tag;
                return Err(TtlvError::Length { tag, bytes });
            }
            bytes
        }
        Value::TextString(text) => text.len(),
        Value::ByteString(bytes) => bytes.len(),
        _ => 8,
    };
    let bytes = HEADER_BYTES.saturating_add(value.next_multiple_of(8));
    if bytes > MESSAGE_BYTES_MAX {
        let limit = MESSAGE_BYTES_MAX;
        return Err(TtlvError::TooLarge { limit });
    }
    Ok(bytes)
}

fn put(node: &Node, out: &mut Vec<u8>) -> Result<(), TtlvError> {
    let begin = out.len();
    let [_, tag @ ..] = node.tag.number().to_be_bytes();
    out.extend_from_slice(&tag);
    out.push(kind(&node.value));
    out.extend_from_slice(&[0; 4]);
    match &node.value {
        Value::Structure(nodes) => {
            for node in nodes {
                put(node, out)?;
            }
        }
        Value::Integer(number) => out.extend_from_slice(&number.to_be_bytes()),
        Value::LongInteger(number) | Value::DateTime(number) | Value::DateTimeExtended(number) => {
            out.extend_from_slice(&number.to_be_bytes())
        }
        Value::Enumeration(number) | Value::Interval(number) => {
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(yes) => out.extend_from_slice(&u64::from(*yes).to_be_bytes()),
        Value::TextString(text) => out.extend_from_slice(text.as_bytes()),
        Value::BigInteger(bytes) | Value::ByteString(bytes) => {
            out.extend_from_slice(bytes.expose());
        }
    }
    let length = out.len() - begin - HEADER_BYTES;
    let limit = MESSAGE_BYTES_MAX;
    let written = u32::try_from(length).map_err(|_| TtlvError::TooLarge { limit })?;
    if let Some(place) = out.get_mut(begin + 4..begin + HEADER_BYTES) {
        place.copy_from_slice(&written.to_be_bytes());
    }
    out.resize(begin + HEADER_BYTES + length.next_multiple_of(8), 0);
    Ok(())
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Structure(_) => STRUCTURE,
        Value::Integer(_) => INTEGER,
        Value::LongInteger(_) => LONG_INTEGER,
        Value::BigInteger(_) => BIG_INTEGER,
        Value::Enumeration(_) => ENUMERATION,
        Value::Boolean(_) => BOOLEAN,
        Value::TextString(_) => TEXT_STRING,
        Value::ByteString(_) => BYTE_STRING,
        Value::DateTime(_) => DATE_TIME,
        Value::Interval(_) => INTERVAL,
        Value::DateTimeExtended(_) => DATE_TIME_EXTENDED,
    }
}

/// The bytes of the whole message that begins with these, so that one message is read from a connection
/// and no more.
///
/// **Errors**: [`TtlvError::Tag`] and [`TtlvError::Type`] where no structure begins here,
/// [`TtlvError::TooLarge`] where it is longer than `limit`.
pub fn message_bytes(header: [u8; HEADER_BYTES], limit: usize) -> Result<usize, TtlvError> {
    let head = Head::read(&mut header.as_slice())?;
    if head.kind != STRUCTURE {
        return Err(TtlvError::Type {
            tag: head.tag,
            found: head.kind,
        });
    }
    let bytes = head.length.checked_add(HEADER_BYTES);
    match bytes.filter(|bytes| *bytes <= limit) {
        Some(bytes) => Ok(bytes),
        None => Err(TtlvError::TooLarge { limit }),
    }
}

/// Reads a tree, which fills the bytes.
///
/// **Errors**: [`TtlvError`], another one for each way in which they can be wrong.
pub fn decode(bytes: &[u8]) -> Result<Node, TtlvError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        let limit = MESSAGE_BYTES_MAX;
        return Err(TtlvError::TooLarge { limit });
    }
    let mut rest = bytes;
    let mut count = 0;
    let node = read(&mut rest, 0, &mut count)?;
    if rest.is_empty() {
        Ok(node)
    } else {
        Err(TtlvError::Trailing)
    }
}

/// What stands before a value.
struct Head {
    tag: Tag,
    kind: u8,
    length: usize,
}

impl Head {
    fn read(rest: &mut &[u8]) -> Result<Self, TtlvError> {
        let [a, b, c, kind] = array(rest)?;
        let tag = Tag::of(u32::from_be_bytes([0, a, b, c]))?;
        let length = u32::from_be_bytes(array(rest)?);
        let limit = MESSAGE_BYTES_MAX;
        let length = usize::try_from(length).map_err(|_| TtlvError::TooLarge { limit })?;
        Ok(Self { tag, kind, length })
    }
}

fn read(rest: &mut &[u8], depth: usize, count: &mut usize) -> Result<Node, TtlvError> {
    *count += 1;
    if *count > NODES_MAX {
        return Err(TtlvError::TooMany { limit: NODES_MAX });
    }
    let Head { tag, kind, length } = Head::read(rest)?;
    let mut body = take(rest, length)?;
    if kind == STRUCTURE {
        if depth >= DEPTH_MAX {
            return Err(TtlvError::TooDeep { limit: DEPTH_MAX });
        }
        let mut nodes = Vec::new();
        while !body.is_empty() {
            nodes.push(read(&mut body, depth + 1, count)?);
        }
        return Ok(Node::new(tag, Value::Structure(nodes)));
    }
    let filling = take(rest, length.next_multiple_of(8) - length)?;
    if filling.iter().any(|byte| *byte != 0) {
        return Err(TtlvError::Value { tag });
    }
    Ok(Node::new(tag, value(tag, kind, body)?))
}

fn value(tag: Tag, kind: u8, body: &[u8]) -> Result<Value, TtlvError> {
    let bytes = body.len();
    let fault = |_| TtlvError::Length { tag, bytes };
    let four = || <[u8; 4]>::try_from(body).map_err(fault);
    let eight = || <[u8; 8]>::try_from(body).map_err(fault);
    Ok(match kind {
        INTEGER => Value::Integer(i32::from_be_bytes(four()?)),
        LONG_INTEGER => Value::LongInteger(i64::from_be_bytes(eight()?)),
        BIG_INTEGER if bytes > 0 && bytes.is_multiple_of(8) => {
            Value::BigInteger(SecretBytes::new(body.to_vec()))
        }
        BIG_INTEGER => return Err(TtlvError::Length { tag, bytes }),
        ENUMERATION => Value::Enumeration(u32::from_be_bytes(four()?)),
        BOOLEAN => match u64::from_be_bytes(eight()?) {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            _ => return Err(TtlvError::Value { tag }),
        },
        TEXT_STRING => {
            let text = std::str::from_utf8(body).map_err(|_| TtlvError::Value { tag })?;
            Value::TextString(text.to_owned())
        }
        BYTE_STRING => Value::ByteString(SecretBytes::new(body.to_vec())),
        DATE_TIME => Value::DateTime(i64::from_be_bytes(eight()?)),
        INTERVAL => Value::Interval(u32::from_be_bytes(four()?)),
        DATE_TIME_EXTENDED => Value::DateTimeExtended(i64::from_be_bytes(eight()?)),
        found => return Err(TtlvError::Type { tag, found }),
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], TtlvError> {
    let (taken, behind) = rest.split_at_checked(count).ok_or(TtlvError::Truncated)?;
    *rest = behind;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], TtlvError> {
    let (taken, behind) = rest.split_first_chunk::<N>().ok_or(TtlvError::Truncated)?;
    *rest = behind;
    Ok(*taken)
}
