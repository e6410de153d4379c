//! Single values, as configurations write them.
//!
//! Vault takes numbers and flags in quotes too, so that templates can fill them in.

use secretum_api::fields::parse_duration;
use secretum_hcl::{Value, ValueKind};
use std::path::PathBuf;
use std::time::Duration;

/// The most characters of a value that a message repeats.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// What stands there, for a message.
pub(crate) fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::Null => "null".to_owned(),
        ValueKind::Bool(yes) => format!("the flag `{yes}`"),
        ValueKind::Integer(number) => format!("the number `{number}`"),
        ValueKind::Float(number) => format!("the number `{number}`"),
        ValueKind::String(text) if text.contains("{{") => format!(
            "the template `{}`, which is not filled in here: write what it stands for",
            shortened(text)
        ),
        ValueKind::String(text) => format!("`{}`", shortened(text)),
        ValueKind::List(_) => "a list".to_owned(),
        ValueKind::Object(_) => "a block".to_owned(),
    }
}

/// A text on one line, and not too long.
pub(crate) fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(SHOWN_CHARACTERS_MAX).collect();
    let start = start.replace(char::is_control, "\u{fffd}");
    if characters.next().is_some() {
        format!("{start}…")
    } else {
        start
    }
}

pub(crate) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(crate) fn path(value: &Value) -> Option<PathBuf> {
    let text = value.as_str().filter(|text| !text.contains('\0'))?;
    Some(PathBuf::from(text))
}

/// A name, which may be a number.
pub(crate) fn name(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Integer(number) => Some(number.to_string()),
        _ => text(value),
    }
}

/// Yes or no, also in quotes or as 1 and 0.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match &value.kind {
        ValueKind::Bool(yes) => Some(*yes),
        ValueKind::Integer(1) => Some(true),
        ValueKind::Integer(0) => Some(false),
        ValueKind::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number, also in quotes.
pub(crate) fn whole_number(value: &Value) -> Option<u64> {
    match &value.kind {
        ValueKind::Integer(number) => u64::try_from(*number).ok(),
        ValueKind::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Seconds, or a duration with units. A number may have a fraction, a text only with its unit.
pub(crate) fn duration(value: &Value) -> Option<Duration> {
    match &value.kind {
        ValueKind::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        ValueKind::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        ValueKind::String(text) => parse_duration(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_hcl::Position;

    #[test]
    fn a_duration_is_a_number_of_seconds_or_a_text_with_units() {
        let read = |kind| {
            duration(&Value {
                kind,
                at: Position::START,
            })
        };
        let text = |text: &str| read(ValueKind::String(text.to_owned()));
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(read(ValueKind::Integer(90)), millis(90_000));
        assert_eq!(read(ValueKind::Float(1.5)), millis(1_500));
        assert_eq!(text("300"), millis(300_000));
        assert_eq!(text("1h30m"), millis(5_400_000));
        for kind in [
            ValueKind::Integer(-1),
            ValueKind::Float(-0.5),
            ValueKind::Float(f64::NAN),
        ] {
            assert_eq!(read(kind), None);
        }
        for refused in ["", " 1h", "1.5", "-1s", "99999999999999999999"] {
            assert_eq!(text(refused), None, "{refused}");
        }
    }

    #[test]
    fn what_is_shown_stays_on_one_line_and_short() {
        assert_eq!(shortened("a\nb\u{1b}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(shortened(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(shortened(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
    }
}
