//! Values as Vault's tables print them, which is how Go prints any value: `map[a:1 b:<nil>]`,
//! `[x y]`. Scripts cut these texts apart, so they stay.

use secretum_client::Json;

/// The text of a value; strings stand for themselves, numbers keep their digits.
pub(crate) fn text(value: &Json) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(text: &mut String, value: &Json) {
    match value {
        Json::Null => text.push_str("<nil>"),
        Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => text.push_str(number.as_str()),
        Json::String(string) => text.push_str(string),
        Json::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                write(text, item);
            }
            text.push(']');
        }
        Json::Object(object) => {
            text.push_str("map[");
            for (index, (key, value)) in object.sorted().into_iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                text.push_str(key);
                text.push(':');
                write(text, value);
            }
            text.push(']');
        }
    }
}

/// The text of a member of a table: seconds of what is named like a duration read as one.
pub(crate) fn member(key: &str, value: &Json) -> String {
    match value.as_u64() {
        Some(seconds) if names_duration(key) => duration(seconds),
        _ => text(value),
    }
}

/// A duration as people write it: `1h30m`, `768h`, `0s`.
pub(crate) fn duration(seconds: u64) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let parts = [
        (seconds / 3600, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

/// Texts in brackets and quotes: `["a" "b"]`.
pub(crate) fn quoted(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

fn names_duration(key: &str) -> bool {
    const WORDS: [&str; 3] = ["period", "ttl", "duration"];
    matches!(key, "lease_max" | "ttl_max")
        || WORDS.iter().any(|word| {
            key.strip_suffix(word)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_go_prints_them() {
        for (json, shown) in [
            (r#""a b""#, "a b"),
            ("null", "<nil>"),
            ("9007199254740993", "9007199254740993"),
            ("1.10", "1.10"),
            (r#"["x","y",[]]"#, "[x y []]"),
            (r#"{"b":{"c":1},"a":null}"#, "map[a:<nil> b:map[c:1]]"),
            ("{}", "map[]"),
        ] {
            assert_eq!(text(&Json::parse(json).unwrap()), shown);
        }
    }

    #[test]
    fn seconds_read_as_durations_where_the_name_says_so() {
        let seconds = Json::from(5400_u64);
        assert_eq!(member("ttl", &seconds), "1h30m");
        assert_eq!(member("default_lease_ttl", &seconds), "1h30m");
        assert_eq!(member("rotation_period", &seconds), "1h30m");
        assert_eq!(member("throttle", &seconds), "5400");
        assert_eq!(member("ttl", &Json::from("5400")), "5400");
    }

    #[test]
    fn durations_leave_out_what_is_zero() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3661, "1h1m1s"),
            (2_764_800, "768h"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
