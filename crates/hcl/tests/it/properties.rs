//! What holds for any bytes, and for any tree.

use proptest::prelude::*;
use secretum_hcl::{Body, Item, Position, Spanned, Value, ValueKind, parse, parse_bytes};

const AT: Position = Position::START;

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(ValueKind::Bool),
        any::<i64>().prop_map(ValueKind::Integer),
        prop::num::f64::NORMAL.prop_map(ValueKind::Float),
        text().prop_map(ValueKind::String),
    ];
    let nested = scalar.prop_recursive(4, 24, 4, |inner| {
        let value = inner.prop_map(|kind| Value { kind, at: AT });
        prop_oneof![
            prop::collection::vec(value.clone(), 0..4).prop_map(ValueKind::List),
            items(value).prop_map(|items| ValueKind::Object(Body { items, at: AT })),
        ]
    });
    nested.prop_map(|kind| Value { kind, at: AT })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z${}\"\\\\\n\r\t ]{0,12}",
        any::<String>().prop_map(|text| text.replace('\0', ""))
    ]
}

/// Items with keys of their own each, and labels where the value is an object.
fn items(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<Item>> {
    let item = (text(), prop::collection::vec(text(), 0..3), value);
    prop::collection::vec(item, 0..4).prop_map(|items| {
        let named = items.into_iter().enumerate();
        named
            .map(|(place, (key, labels, value))| {
                let labels = if value.as_object().is_some() {
                    labels
                } else {
                    Vec::new()
                };
                let keys = std::iter::once(format!("{place}{key}")).chain(labels);
                let keys = keys.map(|value| Spanned { value, at: AT }).collect();
                Item {
                    keys,
                    value,
                    at: AT,
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes(&bytes);
    }

    #[test]
    fn no_soup_of_tokens_makes_the_parser_panic(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "a", "\"b\"", "{", "}", "[", "]", "=", ",", "1", "-", ".5", "0x", "1e", "true", "\\", "\"",
                "${", "<<E\n", "<<-E\n", "E\n", "\n", "#", "/*", "*/", ":", "null", " ", "\r\n", "é", "\\u00",
            ]),
            0..40,
        ),
    ) {
        let text = tokens.concat();
        let _ = parse(&text);
        let _ = parse(&format!("{{{text}"));
    }

    #[test]
    fn a_printed_tree_reads_as_itself(items in items(value())) {
        let body = Body { items, at: AT };
        let printed = body.to_string();
        let again = parse(&printed).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
        prop_assert_eq!(again.to_string(), printed);
        prop_assert_eq!(without_places(&again), without_places(&body));
    }
}

/// The tree in Rust's notation, less its places.
fn without_places(body: &Body) -> String {
    let text = format!("{body:?}");
    let parts = text.split("at: Position { line: ");
    let rest = |part: &str| {
        part.split_once('}')
            .map_or(part.to_owned(), |(_, rest)| rest.to_owned())
    };
    parts.map(rest).collect()
}
