//! JSON values as YAML.
//!
//! Written here because no YAML library keeps the digits of a number. The shapes are few: block
//! maps and lists, literal blocks for texts of several lines, and plain or double-quoted scalars.

use secretum_client::Json;

/// The YAML text of a value, with a newline at its end.
pub(crate) fn render(value: &Json) -> String {
    let mut text = String::new();
    match value {
        Json::Object(object) if !object.is_empty() => write_block(&mut text, value, 0),
        Json::Array(items) if !items.is_empty() => write_block(&mut text, value, 0),
        _ => {
            // Not at the margin, where a line of a text can read as the end of the document.
            write_scalar(&mut text, value, 2);
            text.push('\n');
        }
    }
    text
}

/// Writes the lines of a map or list that is not empty; `indent` spaces stand before each.
fn write_block(text: &mut String, value: &Json, indent: usize) {
    match value {
        Json::Object(object) => {
            for (key, value) in object.sorted() {
                text.push_str(&" ".repeat(indent));
                write_key(text, key);
                text.push(':');
                write_value(text, value, indent);
            }
        }
        Json::Array(items) => {
            for item in items {
                text.push_str(&" ".repeat(indent));
                text.push('-');
                write_item(text, item, indent);
            }
        }
        _ => {}
    }
}

/// Writes what follows a key, and the newline.
fn write_value(text: &mut String, value: &Json, indent: usize) {
    match value {
        Json::Object(object) if !object.is_empty() => {
            text.push('\n');
            write_block(text, value, indent + 2);
        }
        // The dashes of a list stand below their key.
        Json::Array(items) if !items.is_empty() => {
            text.push('\n');
            write_block(text, value, indent);
        }
        _ => {
            text.push(' ');
            write_scalar(text, value, indent + 2);
            text.push('\n');
        }
    }
}

/// Writes what follows a dash, and the newline: a map or list begins on the dash's own line.
fn write_item(text: &mut String, item: &Json, indent: usize) {
    let nested = match item {
        Json::Object(object) => !object.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        let mut block = String::new();
        write_block(&mut block, item, indent + 2);
        text.push(' ');
        text.push_str(block.trim_start_matches(' '));
    } else {
        text.push(' ');
        write_scalar(text, item, indent + 2);
        text.push('\n');
    }
}

fn write_scalar(text: &mut String, value: &Json, indent: usize) {
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => text.push_str(number.as_str()),
        Json::String(string) => write_string(text, string, indent),
        Json::Array(_) => text.push_str("[]"),
        Json::Object(_) => text.push_str("{}"),
    }
}

fn write_key(text: &mut String, key: &str) {
    // Longer keys would need a question mark before them.
    if key.len() < 128 && is_plain(key) {
        text.push_str(key)
    } else {
        write_quoted(text, key)
    }
}

fn write_string(text: &mut String, string: &str, indent: usize) {
    if is_plain(string) {
        text.push_str(string);
    } else if is_literal(string) {
        write_literal(text, string, indent);
    } else {
        write_quoted(text, string);
    }
}

/// Whether a text needs no quotes: nothing that YAML gives a meaning to, and nothing that reads as
/// a number, a date, a boolean or null.
fn is_plain(string: &str) -> bool {
    let word =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | ' ' | '@');
    const MEANT: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !string.ends_with(' ')
        && string.chars().all(word)
        && !MEANT.contains(&string.to_ascii_lowercase().as_str())
}

/// Whether a text of several lines can stand as it is, line by line.
fn is_literal(string: &str) -> bool {
    string.contains('\n')
        && !string.starts_with([' ', '\n'])
        && !string.ends_with("\n\n")
        && string
            .chars()
            .all(|c| c == '\n' || (' '..='~').contains(&c))
        && string.lines().all(|line| !line.ends_with(' '))
}

fn write_literal(text: &mut String, string: &str, indent: usize) {
    text.push_str(if string.ends_with('\n') { "|" } else { "|-" });
    for line in string.lines() {
        text.push('\n');
        if !line.is_empty() {
            text.push_str(&" ".repeat(indent));
            text.push_str(line);
        }
    }
}

/// A double-quoted scalar; JSON's escapes are YAML's too.
fn write_quoted(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            c if needs_escape(c) => push_escape(text, c),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Characters that YAML does not print, or takes for the end of a line.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn push_escape(text: &mut String, c: char) {
    let code = u32::from(c);
    text.push_str(&if code <= 0xffff {
        format!("\\u{code:04x}")
    } else {
        format!("\\U{code:08x}")
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secretum_client::Object;

    fn rendered(json: &str) -> String {
        render(&Json::parse(json).unwrap())
    }

    #[test]
    fn maps_lists_and_texts_have_their_shapes() {
        assert_eq!(
            rendered(
                r#"{"n":9007199254740993,"a":"x","l":["x","y",{"k":[1],"z":{}}],"e":{},"pem":"a\n b\n","nil":null}"#
            ),
            "a: x\n\
             e: {}\n\
             l:\n\
             - x\n\
             - \"y\"\n\
             - k:\n  - 1\n  z: {}\n\
             \"n\": 9007199254740993\n\
             nil: null\n\
             pem: |\n  a\n   b\n"
        );
        assert_eq!(rendered("\"x\""), "x\n");
        assert_eq!(rendered("\"---\\n...\""), "|-\n  ---\n  ...\n");
        assert_eq!(rendered("[]"), "[]\n");
    }

    #[test]
    fn what_reads_as_something_else_is_quoted() {
        for text in [
            "1",
            "yes",
            "No",
            "null",
            "~",
            "",
            " a",
            "a: b",
            "#a",
            "2026-01-01",
            "- a",
            "é",
        ] {
            let json = Json::from(text);
            assert!(render(&json).starts_with('"'), "{text}: {}", render(&json));
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
            "[a-z#: \n-]{0,12}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[a-z1 :#-]{0,6}", inner, 0..4)
                    .prop_map(|map| Json::from(map.into_iter().collect::<Object>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_yaml_reader_finds_the_same_value(json in any_json()) {
            let text = render(&json);
            let read: serde_json::Value = serde_yaml_ng::from_str(&text)
                .map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            let meant: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
            prop_assert_eq!(read, meant, "{}", text);
        }
    }
}
