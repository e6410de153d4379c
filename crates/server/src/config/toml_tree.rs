//! TOML into the tree that HCL and JSON are read into.

use super::Problem;
use super::syntax::Faults;
use secretum_hcl::{Body, Item, Position, Spanned, Value, ValueKind};
use std::ops::Range;
use toml::de::{DeTable, DeValue, Error};

/// Reads a document; of a faulty one, the faults of its syntax, one a line.
pub(crate) fn parse(text: &str) -> Result<Body, Faults> {
    let places = Places::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Faults = errors.iter().map(|error| fault(&places, error)).collect();
    // What follows on the line of a fault is mostly the same fault again.
    faults.dedup_by_key(|(at, _)| at.line);
    let mut reader = Reader { places, faults };
    let body = reader.body(table.get_ref(), Position::START);
    if reader.faults.is_empty() {
        Ok(body)
    } else {
        Err(reader.faults)
    }
}

fn fault(places: &Places<'_>, error: &Error) -> (Position, Problem) {
    let offset = error.span().map_or(0, |span| span.start);
    let message = error.message().replace('\n', ", ");
    (places.at(offset), Problem::Syntax(message))
}

struct Reader<'a> {
    places: Places<'a>,
    faults: Faults,
}

impl Reader<'_> {
    /// A table. Its depth is bounded by the parser.
    fn body(&mut self, table: &DeTable<'_>, at: Position) -> Body {
        let item = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let at = self.places.at(key.span().start);
            let key: &std::borrow::Cow<'_, str> = key.get_ref();
            Item {
                keys: vec![Spanned {
                    value: key.clone().into_owned(),
                    at,
                }],
                value: self.value(value.get_ref(), value.span(), at),
                at,
            }
        };
        let items = table.iter().map(item).collect();
        Body { items, at }
    }

    /// A value; what a header names stands where its key does.
    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, key_at: Position) -> Value {
        let at = self.places.at(span.start);
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.clone().into_owned()),
            DeValue::Boolean(yes) => ValueKind::Bool(*yes),
            DeValue::Datetime(moment) => ValueKind::String(moment.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => ValueKind::Integer(number),
                    Err(_) => self.unheld(at, number.as_str()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => ValueKind::Float(number),
                _ => self.unheld(at, number.as_str()),
            },
            DeValue::Array(values) => {
                let values = values.iter();
                ValueKind::List(
                    values
                        .map(|value| self.value(value.get_ref(), value.span(), key_at))
                        .collect(),
                )
            }
            DeValue::Table(table) => ValueKind::Object(self.body(table, key_at)),
        };
        Value { kind, at }
    }

    fn unheld(&mut self, at: Position, number: &str) -> ValueKind {
        let message =
            format!("`{number}` is no number that can be held; write it in quotes if it is a text");
        self.faults.push((at, Problem::Syntax(message)));
        ValueKind::Null
    }
}

/// Tells lines and characters from byte offsets, in time that does not grow with the document.
struct Places<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    /// How many characters start before each block of bytes.
    characters_before: Vec<usize>,
}

/// So many bytes are counted anew for each place.
const BLOCK_BYTES: usize = 64;

fn characters(bytes: &[u8]) -> usize {
    // Every byte but the continuing ones of UTF-8 starts a character.
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        let mut sum = 0_usize;
        let counted = text.as_bytes().chunks(BLOCK_BYTES).map(|block| {
            sum = sum.saturating_add(characters(block));
            sum
        });
        Self {
            text,
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
            characters_before: std::iter::once(0).chain(counted).collect(),
        }
    }

    fn at(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let line_start = self.line_starts.get(line.saturating_sub(1));
        let before_line = self.characters_until(line_start.copied().unwrap_or(0));
        let column = self.characters_until(offset).saturating_sub(before_line);
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column.saturating_add(1)).unwrap_or(u32::MAX),
        }
    }

    fn characters_until(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let block = offset / BLOCK_BYTES;
        let rest = self.text.as_bytes().get(block * BLOCK_BYTES..offset);
        let before = self.characters_before.get(block).copied().unwrap_or(0);
        before.saturating_add(characters(rest.unwrap_or_default()))
    }
}
