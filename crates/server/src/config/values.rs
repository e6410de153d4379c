//! Single values, as configurations write them.
//!
//! Vault takes numbers and flags in quotes too, so that templates can fill them in.

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

/// Seconds, or a duration with units.
pub(crate) fn duration(value: &Value) -> Option<Duration> {
    match &value.kind {
        ValueKind::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        ValueKind::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        ValueKind::String(text) => duration_of(text),
        _ => None,
    }
}

/// Reads seconds (`90`) or numbers with units (`1h30m`, `1.5h`, `250ms`, `1d`).
fn duration_of(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(unit_at)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, next) = after.split_at_checked(unit_end.unwrap_or(after.len()))?;
        sum = sum.checked_add(of_units(number, unit)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

fn of_units(number: &str, unit: &str) -> Option<Duration> {
    let unit = match unit {
        "ns" => Duration::from_nanos(1),
        "us" | "µs" | "μs" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        "d" => Duration::from_secs(86_400),
        _ => return None,
    };
    match number.parse::<u32>() {
        Ok(number) => unit.checked_mul(number),
        Err(_) => {
            Duration::try_from_secs_f64(unit.as_secs_f64() * number.parse::<f64>().ok()?).ok()
        }
    }
}

/// The shortest way to write a duration (`768h`, `1m30s`).
pub(crate) fn written(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(nanos / 1_000_000), "ms"),
        (u64::from(nanos / 1_000 % 1_000), "us"),
        (u64::from(nanos % 1_000), "ns"),
    ];
    let written: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if written.is_empty() {
        "0s".to_owned()
    } else {
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis, again) in [
            ("0", 0, "0s"),
            ("300", 300_000, "5m"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1.5h", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("1d", 86_400_000, "24h"),
            ("768h", 2_764_800_000, "768h"),
        ] {
            let read = duration_of(text);
            assert_eq!(read, Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(written(read.unwrap()), again);
        }
        for text in [
            "", "x", "1w", "1h 3m", " 1h", "1H", "-1s", "-1", "h", "1.2.3s", ".s",
        ] {
            assert_eq!(duration_of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_stays_on_one_line_and_short() {
        assert_eq!(shortened("a\nb\u{1b}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(shortened(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(shortened(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
    }
}
