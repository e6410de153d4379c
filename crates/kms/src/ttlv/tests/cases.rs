//! The XML test cases of the OASIS KMIP profiles, those of `tests/vectors/kmip`, and those in the folder
//! that `KMIP_CASES` names: each message through the binary form and through JSON and back.

use super::*;
use std::path::{Path, PathBuf};

/// An element of XML, of the little of it that these files have.
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads the root element.
fn parse(text: &str) -> Element {
    let mut open = vec![Element {
        name: String::new(),
        attributes: Vec::new(),
        children: Vec::new(),
    }];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            rest = &rest[rest.find("-->").unwrap() + 3..];
            continue;
        }
        let end = rest.find('>').unwrap();
        let inside = &rest[1..end];
        rest = &rest[end + 1..];
        if inside.starts_with('?') {
            continue;
        }
        if inside.starts_with('/') {
            let closed = open.pop().unwrap();
            open.last_mut().unwrap().children.push(closed);
            continue;
        }
        let element = element(inside.trim_end_matches('/'));
        if inside.ends_with('/') {
            open.last_mut().unwrap().children.push(element);
        } else {
            open.push(element);
        }
    }
    open.pop().unwrap().children.pop().unwrap()
}

fn element(text: &str) -> Element {
    let (name, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let mut attributes = Vec::new();
    while let Some((name, behind)) = rest.split_once('=') {
        let behind = behind.trim_start();
        let quote = behind.chars().next().unwrap();
        let (value, behind) = behind[1..].split_once(quote).unwrap();
        let value = value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"");
        attributes.push((name.trim().to_owned(), value.replace("&amp;", "&")));
        rest = behind;
    }
    Element {
        name: name.trim().to_owned(),
        attributes,
        children: Vec::new(),
    }
}

/// The tag of an element, and that of its enumeration: an attribute value has that of its attribute.
fn node(element: &Element, attribute: Option<&str>) -> Node {
    let tag = match element.name.as_str() {
        "TTLV" => Tag::named(element.attribute("tag").unwrap()),
        name => Tag::named(name),
    };
    let tag = tag.unwrap_or_else(|| panic!("no tag `{}`", element.name));
    let named = attribute.and_then(|name| Tag::named(&name.replace(' ', "")));
    let values = named.filter(|_| tag == Tag::ATTRIBUTE_VALUE).unwrap_or(tag);
    let text = element.attribute("value").unwrap_or_default();
    let value = match element.attribute("type").unwrap_or("Structure") {
        "Structure" => {
            let children = &element.children;
            let name = children.iter().find(|child| child.name == "AttributeName");
            let name = name.and_then(|name| name.attribute("value"));
            Value::Structure(children.iter().map(|child| node(child, name)).collect())
        }
        "Integer" => Value::Integer(text.parse().unwrap_or_else(|_| mask(text))),
        "LongInteger" => Value::LongInteger(text.parse().unwrap()),
        "BigInteger" => Value::BigInteger(secret(&big(text))),
        "Enumeration" => {
            let number = values.value_named(text).or(text.parse().ok());
            Value::Enumeration(number.unwrap_or_else(|| panic!("no {values} `{text}`")))
        }
        "Boolean" => Value::Boolean(text == "true"),
        "TextString" => Value::TextString(text.to_owned()),
        // A `$` stands for what a run of the case puts in.
        "ByteString" if text.starts_with('$') => Value::ByteString(secret(text.as_bytes())),
        "ByteString" => Value::ByteString(secret(&hex(text))),
        "DateTime" => Value::DateTime(date(text)),
        "Interval" => Value::Interval(text.parse().unwrap()),
        other => panic!("no type `{other}`"),
    };
    Node::new(tag, value)
}

fn mask(text: &str) -> i32 {
    const BITS: [(&str, i32); 12] = [
        ("Sign", 1),
        ("Verify", 2),
        ("Encrypt", 4),
        ("Decrypt", 8),
        ("WrapKey", 0x10),
        ("UnwrapKey", 0x20),
        ("Export", 0x40),
        ("MACGenerate", 0x80),
        ("MACVerify", 0x100),
        ("DeriveKey", 0x200),
        ("OnLineStorage", 1),
        ("ArchivalStorage", 2),
    ];
    let bit = |name| BITS.iter().find(|(known, _)| *known == name).unwrap().1;
    text.split_whitespace().map(bit).sum()
}

fn big(text: &str) -> Vec<u8> {
    let digits = text.len().next_multiple_of(16);
    hex(&format!("{text:0>digits$}"))
}

fn date(text: &str) -> i64 {
    if let Some(offset) = text.strip_prefix("$NOW") {
        return 1_500_000_000 + offset.parse::<i64>().unwrap_or_default();
    }
    let parsed = secretum_crypto::Timestamp::parse_rfc3339(text);
    parsed.unwrap().unix_seconds()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "xml") {
            found.push(path);
        }
    }
}

#[test]
fn the_test_cases_of_the_profiles_come_back() {
    let mut found = Vec::new();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/kmip");
    files(&committed, &mut found);
    if let Some(more) = std::env::var_os("KMIP_CASES") {
        files(Path::new(&more), &mut found);
    }
    let mut messages = 0;
    for file in &found {
        let text = std::fs::read_to_string(file).unwrap();
        for message in &parse(&text).children {
            let tree = node(message, None);
            let bytes = encode(&tree).unwrap();
            assert_eq!(decode(&bytes).unwrap(), tree, "{}", file.display());
            assert_eq!(
                from_json(&to_json(&tree)).unwrap(),
                tree,
                "{}",
                file.display()
            );
            messages += 1;
        }
    }
    assert!(found.len() >= 33 && messages >= 150, "{messages} messages");
}
