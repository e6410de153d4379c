//! Attributes, in the form of each version.
//!
//! From 2.0 an attribute is a node of its own. Before, it is a pair of its name, in words, and its value.

use super::Version;
use crate::ttlv::{Node, Tag};

/// The attributes of an object that is made.
pub(super) fn of_new(version: Version, attributes: Vec<Node>) -> Node {
    if version.has_plain_attributes() {
        return Node::structure(Tag::ATTRIBUTES, attributes);
    }
    let pairs = attributes.into_iter().map(pair);
    Node::structure(Tag::TEMPLATE_ATTRIBUTE, pairs)
}

/// The attributes that objects are looked for by.
pub(super) fn of_sought(version: Version, attributes: Vec<Node>) -> Vec<Node> {
    if version.has_plain_attributes() {
        return vec![Node::structure(Tag::ATTRIBUTES, attributes)];
    }
    attributes.into_iter().map(pair).collect()
}

/// The attributes in an answer, each as a node of its own.
pub(super) fn in_answer(payload: Node) -> Vec<Node> {
    let mut found = Vec::new();
    for node in payload.into_nodes() {
        match node.tag {
            Tag::ATTRIBUTES => found.extend(node.into_nodes()),
            Tag::ATTRIBUTE => found.extend(plain(node)),
            _ => {}
        }
    }
    found
}

/// The name of the object: of the attribute Name.
pub(super) fn name(text: &str) -> Node {
    const UNINTERPRETED_TEXT_STRING: u32 = 1;
    Node::structure(
        Tag::NAME,
        [
            Node::text(Tag::NAME_VALUE, text),
            Node::enumeration(Tag::NAME_TYPE, UNINTERPRETED_TEXT_STRING),
        ],
    )
}

fn pair(attribute: Node) -> Node {
    let name = in_words(attribute.tag.name().unwrap_or_default());
    Node::structure(
        Tag::ATTRIBUTE,
        [
            Node::text(Tag::ATTRIBUTE_NAME, name),
            Node::new(Tag::ATTRIBUTE_VALUE, attribute.value),
        ],
    )
}

fn plain(pair: Node) -> Option<Node> {
    let name = pair.text_of(Tag::ATTRIBUTE_NAME)?.replace(' ', "");
    let tag = Tag::named(&name)?;
    let value = pair.into_first(Tag::ATTRIBUTE_VALUE)?;
    Some(Node::new(tag, value.value))
}

/// `CryptographicUsageMask` as `Cryptographic Usage Mask`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    let mut small = false;
    for c in name.chars() {
        if small && c.is_ascii_uppercase() {
            words.push(' ');
        }
        small = c.is_ascii_lowercase();
        words.push(c);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_in_the_form_of_their_version() {
        let made = || vec![Node::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 12)];
        let new = of_new(Version::V2_1, made());
        assert_eq!(new, Node::structure(Tag::ATTRIBUTES, made()));
        let old = of_new(Version::V1_4, made());
        let pair = old.find(Tag::ATTRIBUTE).unwrap();
        let words = pair.text_of(Tag::ATTRIBUTE_NAME);
        assert_eq!(words, Some("Cryptographic Usage Mask"));
        for form in [new, old] {
            let nodes = match form.tag {
                Tag::ATTRIBUTES => vec![form],
                _ => form.into_nodes(),
            };
            assert_eq!(
                in_answer(Node::structure(Tag::RESPONSE_PAYLOAD, nodes)),
                made()
            );
        }
    }
}
