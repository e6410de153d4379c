//! Durations as Vault's users write them.

use std::time::Duration;

/// Reads seconds (`90`, `1.5`) or a duration of units (`1h30m`, `90s`, `1.5m`, `250ms`, `1d`).
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(unit_at)?;
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(unit_end)?;
        sum = sum.checked_add(part(number, unit)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

fn part(number: &str, unit: &str) -> Option<Duration> {
    let nanos_per_unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    let unit = Duration::from_nanos(nanos_per_unit);
    match number.parse::<u32>() {
        Ok(number) => unit.checked_mul(number),
        Err(_) => {
            Duration::try_from_secs_f64(unit.as_secs_f64() * number.parse::<f64>().ok()?).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write() {
        for (text, millis) in [
            ("0", 0),
            ("300", 300_000),
            ("1.5", 1_500),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5m", 90_000),
            ("250ms", 250),
            ("1d", 86_400_000),
            ("5000000000s", 5_000_000_000_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "", "x", "1w", "1h 3m", " 1h", "1H", "-1s", "-1", "h", "1.2.3s", "1e400",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
