//! HCL and JSON documents.

use secretum_hcl::{Body, Position, Value, ValueKind, parse_bytes};

/// Every place is in the document, reading is the same twice, and a tree that is printed reads as
/// what was printed.
pub(crate) fn run(data: &[u8]) {
    let read = parse_bytes(data);
    assert_eq!(format!("{read:?}"), format!("{:?}", parse_bytes(data)));
    let lines = Lines::of(data);
    match read {
        Err(error) => lines.check(error.at),
        Ok(body) => {
            check_body(&body, &lines);
            let printed = body.to_string();
            match parse_bytes(printed.as_bytes()) {
                Ok(again) => assert_eq!(again.to_string(), printed),
                // Printing makes a document longer; it may pass the limit.
                Err(error) => assert!(
                    printed.len() > data.len() && data.len() > 100_000,
                    "{error}"
                ),
            }
        }
    }
}

fn check_body(body: &Body, lines: &Lines) {
    lines.check(body.at);
    for item in &body.items {
        assert!(!item.keys.is_empty());
        lines.check(item.at);
        item.keys.iter().for_each(|key| lines.check(key.at));
        check_value(&item.value, lines);
    }
}

fn check_value(value: &Value, lines: &Lines) {
    lines.check(value.at);
    match &value.kind {
        ValueKind::List(values) => values.iter().for_each(|value| check_value(value, lines)),
        ValueKind::Object(body) => check_body(body, lines),
        ValueKind::Float(number) => assert!(number.is_finite()),
        _ => {}
    }
}

/// How many characters each line of a document has.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        Self(text.split('\n').map(|line| line.chars().count()).collect())
    }

    /// Panics where the place is outside.
    pub(crate) fn check(&self, at: Position) {
        self.check_numbers(at.line, at.column);
    }

    pub(crate) fn check_numbers(&self, line: u32, column: u32) {
        let (line_index, column) = (line as usize, column as usize);
        let characters = line_index.checked_sub(1).and_then(|at| self.0.get(at));
        assert!(
            characters.is_some_and(|characters| (1..=characters + 1).contains(&column)),
            "line {line}, column {column} is outside of the document"
        );
    }
}
