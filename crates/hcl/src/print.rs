//! A tree back to text: HCL that reads as the same tree, apart from its positions.

use crate::{Body, Item, Value, ValueKind};
use std::fmt::{Display, Formatter, Result, Write};

impl Display for Body {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        items(self, 0, f)
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        value(self, 0, f)
    }
}

fn indent(depth: usize, f: &mut Formatter<'_>) -> Result {
    (0..depth).try_for_each(|_| f.write_str("  "))
}

fn items(body: &Body, depth: usize, f: &mut Formatter<'_>) -> Result {
    body.items.iter().try_for_each(|item| {
        indent(depth, f)?;
        one(item, depth, f)?;
        f.write_char('\n')
    })
}

fn one(item: &Item, depth: usize, f: &mut Formatter<'_>) -> Result {
    let (first, labels) = item.keys.split_first().ok_or(std::fmt::Error)?;
    string(&first.value, f)?;
    for label in labels {
        f.write_char(' ')?;
        string(&label.value, f)?;
    }
    f.write_str(match item.value.kind {
        ValueKind::Object(_) => " ",
        _ => " = ",
    })?;
    value(&item.value, depth, f)
}

fn value(value_: &Value, depth: usize, f: &mut Formatter<'_>) -> Result {
    match &value_.kind {
        ValueKind::Null => f.write_str("\"\""),
        ValueKind::Bool(yes) => write!(f, "{yes}"),
        ValueKind::Integer(number) => write!(f, "{number}"),
        ValueKind::Float(number) => write!(f, "{number:?}"),
        ValueKind::String(text) => string(text, f),
        ValueKind::List(values) => list(values, depth, f),
        ValueKind::Object(body) if body.items.is_empty() => f.write_str("{}"),
        ValueKind::Object(body) => {
            f.write_str("{\n")?;
            items(body, depth.saturating_add(1), f)?;
            indent(depth, f)?;
            f.write_char('}')
        }
    }
}

fn list(values: &[Value], depth: usize, f: &mut Formatter<'_>) -> Result {
    f.write_char('[')?;
    for (place, each) in values.iter().enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        value(each, depth, f)?;
    }
    f.write_char(']')
}

/// A string in quotes; what could open an interpolation is escaped, so that nothing is one.
fn string(text: &str, f: &mut Formatter<'_>) -> Result {
    f.write_char('"')?;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '$' if characters.peek() == Some(&'{') => f.write_str("\\x24")?,
            '\u{e123}' => f.write_str("\\ue123")?,
            control if control < ' ' => write!(f, "\\x{:02x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
