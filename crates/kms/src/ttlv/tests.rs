//! The examples of the specification, the test cases of the profiles, and what is malformed.

mod cases;

use super::*;
use proptest::prelude::*;

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::new(bytes.to_vec())
}

/// Bytes in hexadecimal, and what they say.
type Example = (&'static str, fn() -> Value);

/// **Source**: KMIP Specification 1.4, section 9.1.2.
const EXAMPLES: [Example; 10] = [
    ("42002002000000040000000800000000", || Value::Integer(8)),
    ("420020030000000801B69B4BA5749200", || {
        Value::LongInteger(123_456_789_000_000_000)
    }),
    ("42002004000000100000000003FD35EB6BC2DF4618080000", || {
        Value::BigInteger(secret(&hex("0000000003FD35EB6BC2DF4618080000")))
    }),
    ("4200200500000004000000FF00000000", || {
        Value::Enumeration(255)
    }),
    ("42002006000000080000000000000001", || Value::Boolean(true)),
    ("420020070000000B48656C6C6F20576F726C640000000000", || {
        Value::TextString("Hello World".to_owned())
    }),
    ("42002008000000030102030000000000", || {
        Value::ByteString(secret(&[1, 2, 3]))
    }),
    ("42002009000000080000000047DA67F8", || {
        Value::DateTime(0x47da_67f8)
    }),
    ("4200200A00000004000D2F0000000000", || {
        Value::Interval(864_000)
    }),
    (
        "42002001000000204200040500000004000000FE000000004200050200000004000000FF00000000",
        || {
            let tag = |number| Tag::of(number).unwrap();
            Value::Structure(vec![
                Node::enumeration(tag(0x42_0004), 254),
                Node::integer(tag(0x42_0005), 255),
            ])
        },
    ),
];

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_examples_of_the_specification_are_read_and_written() {
    for (bytes, value) in EXAMPLES {
        let node = Node::new(Tag::of(0x42_0020).unwrap(), value());
        assert_eq!(decode(&hex(bytes)).unwrap(), node);
        assert_eq!(*encode(&node).unwrap(), hex(bytes));
    }
}

fn to_json(node: &Node) -> serde_json::Value {
    serde_json::to_value(node).unwrap()
}

fn arbitrary() -> impl Strategy<Value = Node> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let value = prop_oneof![
        any::<i32>().prop_map(Value::Integer),
        any::<i64>().prop_map(Value::LongInteger),
        proptest::collection::vec(any::<[u8; 8]>(), 1..4)
            .prop_map(|words| Value::BigInteger(secret(&words.concat()))),
        any::<u32>().prop_map(Value::Enumeration),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,20}".prop_map(Value::TextString),
        bytes().prop_map(|bytes| Value::ByteString(secret(&bytes))),
        any::<i64>().prop_map(Value::DateTime),
        any::<u32>().prop_map(Value::Interval),
        any::<i64>().prop_map(Value::DateTimeExtended),
    ];
    let tag = prop_oneof![0x42_0000..0x42_0200_u32, 0x54_0000..0x54_0010_u32];
    let tag = tag.prop_map(|number| Tag::of(number).unwrap()).boxed();
    let leaf = (tag.clone(), value).prop_map(|(tag, value)| Node::new(tag, value));
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let nodes = proptest::collection::vec(inner, 0..6);
        (tag.clone(), nodes).prop_map(|(tag, nodes)| Node::structure(tag, nodes))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_in_both_forms(node in arbitrary()) {
        let bytes = encode(&node).unwrap();
        prop_assert_eq!(bytes.len() % 8, 0);
        prop_assert_eq!(&decode(&bytes).unwrap(), &node);
        prop_assert_eq!(&from_json(&to_json(&node)).unwrap(), &node);
    }

    #[test]
    fn a_cut_message_is_told(node in arbitrary(), part in 0.0..1.0_f64) {
        let bytes = encode(&node).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "part of a length")]
        let cut = (bytes.len() as f64 * part) as usize;
        prop_assert!(decode(&bytes[..cut]).is_err());
    }

    #[test]
    fn bytes_are_refused_or_are_what_is_written(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(node) = decode(&bytes) {
            prop_assert_eq!(&*encode(&node).unwrap(), &bytes);
        }
    }

    #[test]
    fn a_changed_byte_does_no_harm(node in arbitrary(), at in any::<prop::sample::Index>(), with in 1..=255_u8) {
        let mut bytes = encode(&node).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        if let Ok(node) = decode(&bytes) {
            prop_assert_eq!(&*encode(&node).unwrap(), &bytes);
        }
    }
}

#[test]
fn each_fault_has_its_error() {
    let tag = Tag::of(0x42_0020).unwrap();
    for (bytes, error) in [
        ("", TtlvError::Truncated),
        ("42002002000000", TtlvError::Truncated),
        ("42002002000000040000", TtlvError::Truncated),
        ("4854545002000000", TtlvError::Tag { found: 0x48_5454 }),
        ("4200200C00000000", TtlvError::Type { tag, found: 12 }),
        ("4200200000000000", TtlvError::Type { tag, found: 0 }),
        (
            "42002002000000080000000000000000",
            TtlvError::Length { tag, bytes: 8 },
        ),
        (
            "42002003000000040000000000000000",
            TtlvError::Length { tag, bytes: 4 },
        ),
        ("4200200400000000", TtlvError::Length { tag, bytes: 0 }),
        ("42002006000000080000000000000002", TtlvError::Value { tag }),
        ("42002008000000030102030000000001", TtlvError::Value { tag }),
        ("4200200700000001FF00000000000000", TtlvError::Value { tag }),
        ("4200200200000004000000080000000042", TtlvError::Trailing),
        ("4200200100000008", TtlvError::Truncated),
        // A value may not reach over the end of its structure.
        ("42002001000000084200200200000004", TtlvError::Truncated),
    ] {
        assert_eq!(decode(&hex(bytes)).unwrap_err(), error, "{bytes}");
    }
}

fn nested(depth: usize) -> Node {
    let mut node = Node::integer(Tag::BATCH_COUNT, 1);
    for _ in 0..depth {
        node = Node::structure(Tag::BATCH_ITEM, [node]);
    }
    node
}

#[test]
fn depth_count_and_length_have_their_limits() {
    let deepest = nested(DEPTH_MAX);
    let bytes = encode(&deepest).unwrap();
    assert_eq!(decode(&bytes).unwrap(), deepest);
    assert_eq!(from_json(&to_json(&deepest)).unwrap(), deepest);
    let deeper = nested(DEPTH_MAX + 1);
    let too_deep = TtlvError::TooDeep { limit: DEPTH_MAX };
    assert_eq!(encode(&deeper).unwrap_err(), too_deep);
    assert_eq!(from_json(&to_json(&deeper)).unwrap_err(), too_deep);
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let around = [&hex("42000F01")[..], &length, &bytes].concat();
    assert_eq!(decode(&around).unwrap_err(), too_deep);

    let many = |count| Node::structure(Tag::BATCH_ITEM, (0..count).map(|_| nested(0)));
    let most = many(NODES_MAX - 1);
    assert_eq!(decode(&encode(&most).unwrap()).unwrap(), most);
    let too_many = TtlvError::TooMany { limit: NODES_MAX };
    assert_eq!(encode(&many(NODES_MAX)).unwrap_err(), too_many);
    assert_eq!(from_json(&to_json(&many(NODES_MAX))).unwrap_err(), too_many);
    let empty = hex("42000F0100000000").repeat(NODES_MAX);
    let length = u32::try_from(empty.len()).unwrap().to_be_bytes();
    let around = [&hex("42000F01")[..], &length, &empty].concat();
    assert_eq!(decode(&around).unwrap_err(), too_many);

    let largest = Node::bytes(Tag::DATA, vec![7; MESSAGE_BYTES_MAX - HEADER_BYTES]);
    assert_eq!(decode(&encode(&largest).unwrap()).unwrap(), largest);
    let larger = Node::bytes(Tag::DATA, vec![7; MESSAGE_BYTES_MAX - HEADER_BYTES + 1]);
    let limit = MESSAGE_BYTES_MAX;
    assert_eq!(encode(&larger).unwrap_err(), TtlvError::TooLarge { limit });
    let refused = decode(&vec![0; MESSAGE_BYTES_MAX + 1]);
    assert_eq!(refused.unwrap_err(), TtlvError::TooLarge { limit });
}

#[test]
fn the_length_of_a_message_is_known_from_its_head() {
    let head = |text: &str| <[u8; HEADER_BYTES]>::try_from(hex(text)).unwrap();
    let message = Tag::RESPONSE_MESSAGE;
    assert_eq!(message_bytes(head("42007B0100000090"), 152), Ok(152));
    let limit = 151;
    let refused = message_bytes(head("42007B0100000090"), limit);
    assert_eq!(refused, Err(TtlvError::TooLarge { limit }));
    let refused = message_bytes(head("42007B01FFFFFFFF"), limit);
    assert_eq!(refused, Err(TtlvError::TooLarge { limit }));
    let refused = message_bytes(head("42007B0200000004"), limit);
    assert_eq!(
        refused,
        Err(TtlvError::Type {
            tag: message,
            found: 2
        })
    );
    // The beginning of `HTTP/1.1`.
    let refused = message_bytes(head("485454502F312E31"), limit);
    assert_eq!(refused, Err(TtlvError::Tag { found: 0x48_5454 }));
}

#[test]
fn json_is_read_in_each_of_its_ways() {
    let node = |kind: &str, value: serde_json::Value| {
        from_json(&serde_json::json!({ "tag": "State", "type": kind, "value": value }))
    };
    for (kind, value, wanted) in [
        (
            "Enumeration",
            serde_json::json!("Active"),
            Value::Enumeration(2),
        ),
        (
            "Enumeration",
            serde_json::json!("0x00000002"),
            Value::Enumeration(2),
        ),
        ("Enumeration", serde_json::json!(2), Value::Enumeration(2)),
        ("Integer", serde_json::json!(-1), Value::Integer(-1)),
        (
            "Integer",
            serde_json::json!("0xFFFFFFFF"),
            Value::Integer(-1),
        ),
        (
            "LongInteger",
            serde_json::json!("0xFFFFFFFFFFFFFFFE"),
            Value::LongInteger(-2),
        ),
        ("LongInteger", serde_json::json!(7), Value::LongInteger(7)),
        (
            "DateTime",
            serde_json::json!("2001-01-01T10:00:00+10:00"),
            Value::DateTime(978_307_200),
        ),
        (
            "DateTime",
            serde_json::json!("0x000000003a4fc880"),
            Value::DateTime(978_307_200),
        ),
        (
            "ByteString",
            serde_json::json!("00fF"),
            Value::ByteString(secret(&[0, 255])),
        ),
        (
            "BigInteger",
            serde_json::json!("0x80"),
            Value::BigInteger(secret(&(-128_i64).to_be_bytes())),
        ),
    ] {
        assert_eq!(node(kind, value).unwrap().value, wanted);
    }
}

#[test]
fn what_is_no_value_in_json_is_refused() {
    let node = |kind: &str, value: serde_json::Value| {
        from_json(&serde_json::json!({ "tag": "State", "type": kind, "value": value }))
    };
    for (kind, value) in [
        ("Integer", serde_json::json!(1_u64 << 40)),
        ("Interval", serde_json::json!(-1)),
        ("ByteString", serde_json::json!("0")),
        ("ByteString", serde_json::json!("zz")),
        ("ByteString", serde_json::json!("é0")),
        ("BigInteger", serde_json::json!("")),
        ("DateTime", serde_json::json!("yesterday")),
        ("Boolean", serde_json::json!("yes")),
        ("Float", serde_json::json!(1.5)),
        ("Structure", serde_json::json!("text")),
    ] {
        assert!(node(kind, value.clone()).is_err(), "{kind} {value}");
    }
}

#[test]
fn what_only_a_newer_or_another_server_knows_is_left_out() {
    let known = serde_json::json!({ "tag": "BatchItem", "value": [
        { "tag": "ANewerTag", "type": "Integer", "value": 1 },
        { "tag": "State", "type": "Enumeration", "value": "ANewerState" },
        { "tag": "BatchCount", "type": "Integer", "value": 1 },
    ]});
    assert_eq!(from_json(&known).unwrap(), nested(1));
}

#[test]
fn debug_shows_no_text_and_no_bytes() {
    let node = Node::structure(
        Tag::BATCH_ITEM,
        [
            Node::bytes(Tag::DATA, *b"planted"),
            Node::text(Tag::NAME_VALUE, "planted"),
        ],
    );
    let shown = format!("{node:?}");
    assert!(
        shown.contains("NameValue") && !shown.contains("planted"),
        "{shown}"
    );
    assert!(!shown.contains("112"), "{shown}");
}
