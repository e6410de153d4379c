//! [`Version`]: the versions of the protocol.

#[cfg(feature = "kmip")]
use crate::ttlv::Value;
use crate::ttlv::{Node, Tag};
use std::fmt;
use std::str::FromStr;

/// A version of KMIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: i32,
    minor: i32,
}

impl Version {
    /// The oldest that encrypts.
    pub(crate) const V1_2: Self = Self { major: 1, minor: 2 };
    /// The oldest that finds objects a page at a time.
    pub(crate) const V1_3: Self = Self { major: 1, minor: 3 };
    /// The oldest with associated data.
    pub(crate) const V1_4: Self = Self { major: 1, minor: 4 };
    /// The newest.
    pub(crate) const V2_1: Self = Self { major: 2, minor: 1 };

    /// Those that are spoken, the newest first.
    pub(crate) const ALL: [Self; 5] = [
        Self::V2_1,
        Self { major: 2, minor: 0 },
        Self::V1_4,
        Self::V1_3,
        Self::V1_2,
    ];

    /// Whether attributes are nodes of their own, and not pairs of a name and a value.
    pub(crate) fn has_plain_attributes(self) -> bool {
        self.major >= 2
    }

    /// Whether what is encrypted can be bound to associated data.
    pub(crate) fn has_associated_data(self) -> bool {
        self >= Self::V1_4
    }

    /// Whether a search can go on behind what it found.
    pub(crate) fn has_offsets(self) -> bool {
        self >= Self::V1_3
    }

    pub(crate) fn node(self) -> Node {
        Node::structure(
            Tag::PROTOCOL_VERSION,
            [
                Node::integer(Tag::PROTOCOL_VERSION_MAJOR, self.major),
                Node::integer(Tag::PROTOCOL_VERSION_MINOR, self.minor),
            ],
        )
    }

    #[cfg(feature = "kmip")]
    pub(crate) fn of_node(node: &Node) -> Option<Self> {
        let number = |tag| match node.find(tag)?.value {
            Value::Integer(number) => Some(number),
            _ => None,
        };
        Some(Self {
            major: number(Tag::PROTOCOL_VERSION_MAJOR)?,
            minor: number(Tag::PROTOCOL_VERSION_MINOR)?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Reads one that is spoken.
impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let found = Self::ALL
            .into_iter()
            .find(|known| known.to_string() == text);
        found.ok_or(())
    }
}
