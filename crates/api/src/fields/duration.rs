//! [`Seconds`]: a duration on the wire.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::time::Duration;

/// The longest duration a client may ask for: 292 years, the range of Go's duration.
const SECONDS_MAX: u64 = 9_223_372_036;

/// A duration: read from integer seconds (30), a number in a string ("30") or a Go-style duration
/// with ns, us, ms, s, m, h and d ("1h30m", "2d"); written as integer seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Seconds(pub u64);

super::schema!(Seconds, "Duration", {
    "type": ["integer", "string"],
    "description": "Integer seconds, or a duration such as 30s, 15m, 1h, 2d"
});

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationFault {
    /// It is written in another way.
    Form,
    /// It is longer than any duration can be.
    TooLong,
}

impl Seconds {
    /// Parses the text forms, with blanks around them. The empty text is 0, and what is longer than
    /// a client may ask for ends there.
    ///
    /// **Errors**: one sentence that names the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let duration = match text.trim() {
            "" => Ok(Duration::ZERO),
            text => parse_duration(text),
        };
        match duration {
            Ok(duration) => Ok(Self(duration.as_secs().min(SECONDS_MAX))),
            Err(DurationFault::TooLong) => Ok(Self(SECONDS_MAX)),
            Err(DurationFault::Form) => Err(format!(
                "`{text}` is not a duration: write seconds (30) or a duration (30s, 15m, 1h, 2d)"
            )),
        }
    }

    /// As a [`Duration`].
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Parses a duration as Vault's users write it, wherever they do: whole seconds (`90`), or numbers
/// with ns, us, ms, s, m, h and d (`1h30m`, `1.5h`, `250ms`, `2d`). A plus sign may stand before it.
///
/// What a place takes beside these (an empty text, blanks, a fraction without a unit) it says
/// itself.
///
/// **Errors**: [`DurationFault`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationFault> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned.is_empty() {
        return Err(DurationFault::Form);
    }
    let nanos = if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        scaled(unsigned, NANOS_PER_SECOND)?
    } else {
        of_units(unsigned)?
    };
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| DurationFault::TooLong)?;
    // INVARIANT: a remainder of NANOS_PER_SECOND fits.
    let nanos = u32::try_from(nanos % NANOS_PER_SECOND).map_err(|_| DurationFault::TooLong)?;
    Ok(Duration::new(seconds, nanos))
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Nanoseconds of numbers with units.
fn of_units(text: &str) -> Result<u128, DurationFault> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text;
    let mut total = 0_u128;
    while !rest.is_empty() {
        let number_end = rest.find(|c| !is_number(c)).ok_or(DurationFault::Form)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(is_number).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let nanos = scaled(number, unit_nanos(unit).ok_or(DurationFault::Form)?)?;
        total = total.checked_add(nanos).ok_or(DurationFault::TooLong)?;
        rest = tail;
    }
    Ok(total)
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        "d" => 86_400 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// A decimal number times a unit, without floating point.
fn scaled(number: &str, unit: u128) -> Result<u128, DurationFault> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(DurationFault::Form);
    }
    // What is left are digits, so that only their number can be in the way.
    let digits = |text: &str| match text {
        "" => Ok(0),
        text => text.parse::<u64>().map_err(|_| DurationFault::TooLong),
    };
    // More than 18 digits are below a nanosecond of the largest unit.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let scale = u32::try_from(fraction.len()).map_or(1, |length| 10_u128.pow(length));
    let part = u128::from(digits(fraction)?) * unit / scale;
    u128::from(digits(whole)?)
        .checked_mul(unit)
        .and_then(|nanos| nanos.checked_add(part))
        .ok_or(DurationFault::TooLong)
}

/// Prints a duration in the shortest way: `9000h`, `1h30m`, `1h5s`, `250ms`, `0s`.
pub fn short_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(nanos / 1_000_000), "ms"),
        (u64::from(nanos / 1_000 % 1_000), "us"),
        (u64::from(nanos % 1_000), "ns"),
    ];
    let printed: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if printed.is_empty() {
        "0s".to_owned()
    } else {
        printed
    }
}

/// Prints a duration as Go does: `0s`, `30s`, `1h2m3s`, `1.5s`.
pub fn go_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&rest.to_string());
    if nanos > 0 {
        text.push('.');
        text.push_str(format!("{nanos:09}").trim_end_matches('0'));
    }
    text.push('s');
    text
}

impl serde::Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration such as 30 or `30s`")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        Ok(Seconds(seconds.min(SECONDS_MAX)))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Seconds, E> {
        u64::try_from(seconds)
            .map(|seconds| Seconds(seconds.min(SECONDS_MAX)))
            .map_err(|_| E::custom(format!("a duration cannot be negative: `{seconds}`")))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        Duration::try_from_secs_f64(seconds)
            .map(|duration| Seconds(duration.as_secs().min(SECONDS_MAX)))
            .map_err(|_| E::custom(format!("`{seconds}` is not a duration")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
        Seconds::parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (json, seconds) in [
            ("30", 30),
            ("\"30\"", 30),
            ("\"30s\"", 30),
            ("\"1h30m\"", 5400),
            ("\"2d\"", 172_800),
            ("\"1.5h\"", 5400),
            ("\"1500ms\"", 1),
            ("\"\"", 0),
            ("12.9", 12),
            ("\".5m\"", 30),
        ] {
            assert_eq!(
                serde_json::from_str::<Seconds>(json).unwrap(),
                Seconds(seconds),
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for json in [
            "-1", "\"-5s\"", "\"1x\"", "\"h\"", "\"1h2\"", "\".s\"", "[]", "true",
        ] {
            assert!(serde_json::from_str::<Seconds>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_duration_is_whole_seconds_or_numbers_with_units() {
        for (text, nanos) in [
            ("0", 0),
            ("300", 300_000_000_000),
            ("+90s", 90_000_000_000),
            ("+5", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("5.m", 300_000_000_000),
            ("250ms", 250_000_000),
            ("1.5µs", 1_500),
            ("1d", 86_400_000_000_000),
            ("1.0000000000000000000001s", 1_000_000_000),
            ("5000000000s", 5_000_000_000_000_000_000),
        ] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
        for text in [
            "", "+", "x", "1w", "1h 3m", " 1h", "1H", "-1s", "-1", "h", "1.2.3s", ".s", "1.5",
            "1e3", "1h2", "٣s",
        ] {
            assert_eq!(parse_duration(text), Err(DurationFault::Form), "{text}");
        }
        assert_eq!(
            parse_duration(&format!("{}s", u64::MAX)),
            Ok(Duration::from_secs(u64::MAX))
        );
        for text in [
            "18446744073709551616",
            "18446744073709551615s1s",
            "9999999999999999999d",
        ] {
            assert_eq!(parse_duration(text), Err(DurationFault::TooLong), "{text}");
        }
    }

    #[test]
    fn overlong_durations_end_at_the_limit() {
        assert_eq!(
            serde_json::from_str::<Seconds>(&u64::MAX.to_string())
                .unwrap()
                .0,
            SECONDS_MAX
        );
        for text in [
            "99999999999999d",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(Seconds::parse(text).unwrap().0, SECONDS_MAX);
        }
    }

    #[test]
    fn printing_follows_go_or_is_short() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(3723), "1h2m3s"),
            (Duration::from_secs(60), "1m0s"),
            (Duration::from_millis(1500), "1.5s"),
        ] {
            assert_eq!(go_duration(duration), text);
        }
        for (duration, text) in [
            (Duration::from_secs(32_400_000), "9000h"),
            (Duration::from_secs(5_400), "1h30m"),
            (Duration::from_secs(90), "1m30s"),
            (Duration::from_secs(3_605), "1h5s"),
            (Duration::from_millis(250), "250ms"),
            (Duration::from_nanos(1_002_003_004), "1s2ms3us4ns"),
            (Duration::ZERO, "0s"),
        ] {
            assert_eq!(short_duration(duration), text);
        }
    }
}
