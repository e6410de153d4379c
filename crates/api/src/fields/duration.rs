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

impl Seconds {
    /// Parses the text forms.
    ///
    /// **Errors**: one sentence that names the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let nanos = parse_nanos(text).ok_or_else(|| {
            format!(
                "`{text}` is not a duration: write seconds (30) or a duration (30s, 15m, 1h, 2d)"
            )
        })?;
        Ok(Self(
            u64::try_from(nanos / 1_000_000_000)
                .unwrap_or(SECONDS_MAX)
                .min(SECONDS_MAX),
        ))
    }

    /// As a [`Duration`].
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Nanoseconds of a duration text; `None` where it is none.
fn parse_nanos(text: &str) -> Option<u128> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse::<u128>().ok()?.min(u128::from(SECONDS_MAX)) * 1_000_000_000);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0_u128;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total = total.checked_add(scaled(number, unit_nanos(unit)?)?)?;
        rest = tail;
    }
    Some(total)
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    })
}

/// A decimal number times a unit, without floating point.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    // More than 18 digits are below a nanosecond of the largest unit.
    let digits: String = fraction.chars().take(18).collect();
    let part = if digits.is_empty() {
        0
    } else {
        let scale = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
        u128::from(digits.parse::<u64>().ok()?) * unit / scale
    };
    u128::from(whole).checked_mul(unit)?.checked_add(part)
}

/// Prints a duration as [`go_duration`] does, without the zeros at its end: `9000h`, `1h30m`.
pub fn short_duration(duration: Duration) -> String {
    let text = go_duration(duration);
    let text = text
        .strip_suffix("m0s")
        .map_or(text.clone(), |rest| format!("{rest}m"));
    text.strip_suffix("h0m")
        .map_or(text.clone(), |rest| format!("{rest}h"))
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
    fn overlong_durations_end_at_the_limit() {
        assert_eq!(
            serde_json::from_str::<Seconds>(&u64::MAX.to_string())
                .unwrap()
                .0,
            SECONDS_MAX
        );
        assert_eq!(Seconds::parse("99999999999999d").unwrap().0, SECONDS_MAX);
    }

    #[test]
    fn printing_follows_go() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(3723), "1h2m3s"),
            (Duration::from_secs(60), "1m0s"),
            (Duration::from_millis(1500), "1.5s"),
        ] {
            assert_eq!(go_duration(duration), text);
        }
        for (seconds, text) in [
            (32_400_000, "9000h"),
            (5_400, "1h30m"),
            (90, "1m30s"),
            (0, "0s"),
        ] {
            assert_eq!(short_duration(Duration::from_secs(seconds)), text);
        }
    }
}
