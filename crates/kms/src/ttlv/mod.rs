//! TTLV – tag, type, length, value –, the form of every message of KMIP.
//!
//! One tree, [`Node`], and its two forms: [`encode`] and [`decode`] for the binary one, which goes over a
//! connection, and `Serialize` and [`from_json`] for the one that goes over HTTP.
//!
//! Owns: the types of values, how each is written, the limits of what is read, and the names of tags and
//! enumerations.
//!
//! Must not know: which messages there are.
//!
//! **Source**: OASIS, Key Management Interoperability Protocol Specification 2.1, section 9.6 (1.4: 9.1);
//! Key Management Interoperability Protocol Profiles 2.1, section 5.4 (JSON).

mod binary;
mod json;
mod names;

pub use self::binary::{HEADER_BYTES, decode, encode, message_bytes};
pub use self::json::{from_json, wipe};
pub use self::names::Tag;

use secretum_crypto::SecretBytes;
use std::fmt;

/// The most bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// How deep structures stand in each other.
pub const DEPTH_MAX: usize = 32;

/// The most nodes of a message.
pub const NODES_MAX: usize = 1 << 16;

/// A tag and its value.
#[derive(PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub tag: Tag,
    /// Its value.
    pub value: Value,
}

/// A value, by its type.
#[derive(PartialEq, Eq)]
pub enum Value {
    /// Nodes, in their order.
    Structure(Vec<Node>),
    /// A number of 32 bits, often a mask.
    Integer(i32),
    /// A number of 64 bits.
    LongInteger(i64),
    /// A number of any size: two's complement, big-endian, a multiple of 8 bytes.
    BigInteger(SecretBytes),
    /// One of the values that the tag has.
    Enumeration(u32),
    /// Yes or no.
    Boolean(bool),
    /// A text.
    TextString(String),
    /// Bytes. They may be a key or a plaintext.
    ByteString(SecretBytes),
    /// Seconds since 1970.
    DateTime(i64),
    /// Seconds.
    Interval(u32),
    /// Microseconds since 1970.
    DateTimeExtended(i64),
}

/// Why something is no TTLV.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TtlvError {
    /// It ends too early.
    #[error("the message is cut off")]
    Truncated,
    /// Something stands behind its end.
    #[error("something stands behind the end of the message")]
    Trailing,
    /// More bytes than are taken.
    #[error("the message is larger than {limit} bytes")]
    TooLarge {
        /// The most.
        limit: usize,
    },
    /// Structures in structures, too many.
    #[error("the message has structures more than {limit} deep")]
    TooDeep {
        /// The deepest.
        limit: usize,
    },
    /// More nodes than are taken.
    #[error("the message has more than {limit} nodes")]
    TooMany {
        /// The most.
        limit: usize,
    },
    /// Bytes where a tag should be.
    #[error("`{found:06x}` is no tag of KMIP")]
    Tag {
        /// The bytes.
        found: u32,
    },
    /// A type that there is not.
    #[error("{tag} has the type {found}, which KMIP does not have")]
    Type {
        /// Where.
        tag: Tag,
        /// The type.
        found: u8,
    },
    /// A length that its type cannot have.
    #[error("{tag} has {bytes} bytes, which its type cannot have")]
    Length {
        /// Where.
        tag: Tag,
        /// The length.
        bytes: usize,
    },
    /// A value that its type cannot have.
    #[error("{tag} has a value that its type cannot have")]
    Value {
        /// Where.
        tag: Tag,
    },
    /// Text that is not the JSON form.
    #[error("the message is not TTLV in JSON: {reason}")]
    Json {
        /// Why not.
        reason: &'static str,
    },
}

impl Node {
    /// A structure.
    pub fn structure(tag: Tag, nodes: impl IntoIterator<Item = Self>) -> Self {
        Self::new(tag, Value::Structure(nodes.into_iter().collect()))
    }

    /// A text.
    pub fn text(tag: Tag, text: impl Into<String>) -> Self {
        Self::new(tag, Value::TextString(text.into()))
    }

    /// Bytes.
    pub fn bytes(tag: Tag, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(tag, Value::ByteString(SecretBytes::new(bytes.into())))
    }

    /// A number.
    pub fn integer(tag: Tag, number: i32) -> Self {
        Self::new(tag, Value::Integer(number))
    }

    /// A value of an enumeration.
    pub fn enumeration(tag: Tag, number: u32) -> Self {
        Self::new(tag, Value::Enumeration(number))
    }

    /// A tag and its value.
    pub fn new(tag: Tag, value: Value) -> Self {
        Self { tag, value }
    }

    /// The nodes of a structure; none of anything else.
    pub fn nodes(&self) -> &[Self] {
        match &self.value {
            Value::Structure(nodes) => nodes,
            _ => &[],
        }
    }

    /// The first node with this tag.
    pub fn find(&self, tag: Tag) -> Option<&Self> {
        self.all(tag).next()
    }

    /// Every node with this tag.
    pub fn all(&self, tag: Tag) -> impl Iterator<Item = &Self> {
        self.nodes().iter().filter(move |node| node.tag == tag)
    }

    /// The nodes of a structure, taken out of it; none of anything else.
    pub fn into_nodes(self) -> Vec<Self> {
        match self.value {
            Value::Structure(nodes) => nodes,
            _ => Vec::new(),
        }
    }

    /// The first node with this tag, taken out of its structure.
    pub fn into_first(self, tag: Tag) -> Option<Self> {
        self.into_nodes().into_iter().find(|node| node.tag == tag)
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Option<SecretBytes> {
        match self.value {
            Value::ByteString(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text of the first node with this tag.
    pub fn text_of(&self, tag: Tag) -> Option<&str> {
        self.find(tag)?.as_text()
    }

    /// The bytes of the first node with this tag.
    pub fn bytes_of(&self, tag: Tag) -> Option<&[u8]> {
        match &self.find(tag)?.value {
            Value::ByteString(bytes) => Some(bytes.expose()),
            _ => None,
        }
    }

    /// The value of the first node with this tag, which is an enumeration's.
    pub fn enumeration_of(&self, tag: Tag) -> Option<u32> {
        self.find(tag)?.as_enumeration()
    }

    /// Its text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::TextString(text) => Some(text),
            _ => None,
        }
    }

    /// Its value, which is an enumeration's.
    pub fn as_enumeration(&self) -> Option<u32> {
        match self.value {
            Value::Enumeration(number) => Some(number),
            _ => None,
        }
    }
}

/// Texts and bytes are left out: they may be secret.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.tag, self.value)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(nodes) => f.debug_list().entries(nodes).finish(),
            Self::Integer(number) => write!(f, "Integer({number})"),
            Self::LongInteger(number) => write!(f, "LongInteger({number})"),
            Self::BigInteger(_) => f.write_str("BigInteger(..)"),
            Self::Enumeration(number) => write!(f, "Enumeration({number:#x})"),
            Self::Boolean(yes) => write!(f, "Boolean({yes})"),
            Self::TextString(_) => f.write_str("TextString(..)"),
            Self::ByteString(_) => f.write_str("ByteString(..)"),
            Self::DateTime(seconds) => write!(f, "DateTime({seconds})"),
            Self::Interval(seconds) => write!(f, "Interval({seconds})"),
            Self::DateTimeExtended(micros) => write!(f, "DateTimeExtended({micros})"),
        }
    }
}

#[cfg(test)]
mod tests;
