//! [`Tag`]: what a node is, and how tags and enumerations are called.

use super::TtlvError;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// What a node is: three bytes, of which the first is 42, or 54 for extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u32);

/// The tags that messages of ours have.
#[expect(
    missing_docs,
    reason = "each is the tag of the standard that its name is"
)]
impl Tag {
    pub const ACTIVATION_DATE: Self = Self(0x42_0001);
    pub const ATTRIBUTE: Self = Self(0x42_0008);
    pub const ATTRIBUTE_NAME: Self = Self(0x42_000a);
    pub const ATTRIBUTE_VALUE: Self = Self(0x42_000b);
    pub const BATCH_COUNT: Self = Self(0x42_000d);
    pub const BATCH_ITEM: Self = Self(0x42_000f);
    pub const BLOCK_CIPHER_MODE: Self = Self(0x42_0011);
    pub const CRYPTOGRAPHIC_ALGORITHM: Self = Self(0x42_0028);
    pub const CRYPTOGRAPHIC_LENGTH: Self = Self(0x42_002a);
    pub const CRYPTOGRAPHIC_PARAMETERS: Self = Self(0x42_002b);
    pub const CRYPTOGRAPHIC_USAGE_MASK: Self = Self(0x42_002c);
    pub const HASHING_ALGORITHM: Self = Self(0x42_0038);
    pub const INITIAL_DATE: Self = Self(0x42_0039);
    pub const IV_COUNTER_NONCE: Self = Self(0x42_003d);
    pub const KEY_FORMAT_TYPE: Self = Self(0x42_0042);
    pub const LINK: Self = Self(0x42_004a);
    pub const LINK_TYPE: Self = Self(0x42_004b);
    pub const LINKED_OBJECT_IDENTIFIER: Self = Self(0x42_004c);
    pub const MAXIMUM_ITEMS: Self = Self(0x42_004f);
    pub const MAXIMUM_RESPONSE_SIZE: Self = Self(0x42_0050);
    pub const NAME: Self = Self(0x42_0053);
    pub const NAME_TYPE: Self = Self(0x42_0054);
    pub const NAME_VALUE: Self = Self(0x42_0055);
    pub const OBJECT_GROUP: Self = Self(0x42_0056);
    pub const OBJECT_TYPE: Self = Self(0x42_0057);
    pub const OPERATION: Self = Self(0x42_005c);
    pub const PADDING_METHOD: Self = Self(0x42_005f);
    pub const PROTOCOL_VERSION: Self = Self(0x42_0069);
    pub const PROTOCOL_VERSION_MAJOR: Self = Self(0x42_006a);
    pub const PROTOCOL_VERSION_MINOR: Self = Self(0x42_006b);
    pub const QUERY_FUNCTION: Self = Self(0x42_0074);
    pub const REQUEST_HEADER: Self = Self(0x42_0077);
    pub const REQUEST_MESSAGE: Self = Self(0x42_0078);
    pub const REQUEST_PAYLOAD: Self = Self(0x42_0079);
    pub const RESPONSE_HEADER: Self = Self(0x42_007a);
    pub const RESPONSE_MESSAGE: Self = Self(0x42_007b);
    pub const RESPONSE_PAYLOAD: Self = Self(0x42_007c);
    pub const RESULT_MESSAGE: Self = Self(0x42_007d);
    pub const RESULT_REASON: Self = Self(0x42_007e);
    pub const RESULT_STATUS: Self = Self(0x42_007f);
    pub const REVOCATION_REASON: Self = Self(0x42_0081);
    pub const REVOCATION_REASON_CODE: Self = Self(0x42_0082);
    pub const STATE: Self = Self(0x42_008d);
    pub const TEMPLATE_ATTRIBUTE: Self = Self(0x42_0091);
    pub const UNIQUE_IDENTIFIER: Self = Self(0x42_0094);
    pub const VENDOR_IDENTIFICATION: Self = Self(0x42_009d);
    pub const DATA: Self = Self(0x42_00c2);
    pub const OFFSET_ITEMS: Self = Self(0x42_00d4);
    pub const LOCATED_ITEMS: Self = Self(0x42_00d5);
    pub const RANDOM_IV: Self = Self(0x42_00c5);
    pub const TAG_LENGTH: Self = Self(0x42_00ce);
    pub const MASK_GENERATOR: Self = Self(0x42_0101);
    pub const MASK_GENERATOR_HASHING_ALGORITHM: Self = Self(0x42_0102);
    pub const AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA: Self = Self(0x42_00fe);
    pub const AUTHENTICATED_ENCRYPTION_TAG: Self = Self(0x42_00ff);
    pub const ATTRIBUTES: Self = Self(0x42_0125);
    pub const ATTRIBUTE_REFERENCE: Self = Self(0x42_013b);
}

impl Tag {
    /// The tag of this number.
    ///
    /// **Errors**: [`TtlvError::Tag`], where it does not begin as one.
    pub fn of(number: u32) -> Result<Self, TtlvError> {
        match number >> 16 {
            0x42 | 0x54 => Ok(Self(number)),
            _ => Err(TtlvError::Tag { found: number }),
        }
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The tag of this name; also of `0x` and its number.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(tag) = TABLE.by_name.get(name) {
            return Some(*tag);
        }
        let number = u32::from_str_radix(name.strip_prefix("0x")?, 16).ok()?;
        Self::of(number).ok()
    }

    /// Its name, where KMIP has one.
    pub fn name(self) -> Option<&'static str> {
        TABLE.by_tag.get(&self).map(|entry| entry.name)
    }

    /// The value of its enumeration that is called so; also of `0x` and its number.
    pub fn value_named(self, name: &str) -> Option<u32> {
        if let Some(digits) = name.strip_prefix("0x") {
            return u32::from_str_radix(digits, 16).ok();
        }
        if self == Self::ATTRIBUTE_REFERENCE {
            return Self::named(name).map(Self::number);
        }
        let entry = TABLE.by_tag.get(&self.meant())?;
        let found = entry
            .values
            .iter()
            .find(|(_, known)| is_spelled(known, name));
        found.map(|(number, _)| *number)
    }

    /// What a value of its enumeration is called, where KMIP has a name for it.
    pub fn value_name(self, number: u32) -> Option<&'static str> {
        if self == Self::ATTRIBUTE_REFERENCE {
            return Self::of(number).ok()?.name();
        }
        let entry = TABLE.by_tag.get(&self.meant())?;
        let found = entry.values.iter().find(|(known, _)| *known == number);
        found.map(|(_, name)| *name)
    }

    /// The tag whose enumeration it has.
    fn meant(self) -> Self {
        match self {
            Self::MASK_GENERATOR_HASHING_ALGORITHM => Self::HASHING_ALGORITHM,
            tag => tag,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:06X}", self.0),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a name is a known one: servers differ in the case of letters and in underscores.
fn is_spelled(known: &str, name: &str) -> bool {
    let letters = |text: &str| {
        let bytes = text.to_ascii_lowercase().into_bytes();
        bytes
            .into_iter()
            .filter(|byte| *byte != b'_')
            .collect::<Vec<u8>>()
    };
    known == name || letters(known) == letters(name)
}

/// A tag in the table.
struct Entry {
    name: &'static str,
    values: Vec<(u32, &'static str)>,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<&'static str, Tag>,
    by_tag: HashMap<Tag, Entry>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    let mut current = None;
    for line in include_str!("names.txt").lines() {
        let of_value = line.starts_with(' ');
        let Some((number, name)) = line.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = u32::from_str_radix(number, 16) else {
            continue;
        };
        if of_value {
            let entry = current.and_then(|tag| table.by_tag.get_mut(&tag));
            entry
                .into_iter()
                .for_each(|entry: &mut Entry| entry.values.push((number, name)));
            continue;
        }
        let tag = Tag(number);
        let values = Vec::new();
        table.by_name.insert(name, tag);
        table.by_tag.insert(tag, Entry { name, values });
        current = Some(tag);
    }
    table
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("names.txt").lines();
        let lines = lines.filter(|line| !line.starts_with('#')).count();
        let values: usize = TABLE.by_tag.values().map(|entry| entry.values.len()).sum();
        assert_eq!(TABLE.by_tag.len() + values, lines);
        assert_eq!(TABLE.by_name.len(), TABLE.by_tag.len());
    }

    #[test]
    fn names_and_numbers_are_those_of_the_standard() {
        for (tag, number, name) in [
            (Tag::UNIQUE_IDENTIFIER, 0x42_0094, "UniqueIdentifier"),
            (Tag::REQUEST_MESSAGE, 0x42_0078, "RequestMessage"),
            (Tag::IV_COUNTER_NONCE, 0x42_003d, "IVCounterNonce"),
            (Tag::RANDOM_IV, 0x42_00c5, "RandomIV"),
            (Tag::TAG_LENGTH, 0x42_00ce, "TagLength"),
            (Tag::ATTRIBUTE_REFERENCE, 0x42_013b, "AttributeReference"),
            (Tag::MASK_GENERATOR, 0x42_0101, "MaskGenerator"),
        ] {
            assert_eq!((tag.number(), tag.name()), (number, Some(name)));
            assert_eq!(Tag::named(name), Some(tag));
        }
        assert_eq!(Tag::named("0x42000D"), Some(Tag::BATCH_COUNT));
        assert_eq!(Tag::named("0x48000D"), None);
        assert_eq!(Tag::OPERATION.value_named("ReKey"), Some(4));
        assert_eq!(Tag::OPERATION.value_name(0x1f), Some("Encrypt"));
        let reason = Tag::RESULT_REASON;
        assert_eq!(reason.value_named("ItemNotFound"), Some(1));
        assert_eq!(reason.value_named("Item_Not_Found"), Some(1));
        let state = Some(Tag::STATE.number());
        assert_eq!(Tag::ATTRIBUTE_REFERENCE.value_named("State"), state);
        let mask = Tag::MASK_GENERATOR_HASHING_ALGORITHM;
        assert_eq!(mask.value_named("SHA_256"), Some(6));
    }
}
