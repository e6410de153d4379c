//! [`Count`]: a whole number on the wire.

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A whole number: read from a number or a number in a string, written as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Count(pub u64);

super::schema!(Count, "Count", {
    "type": ["integer", "string"],
    "description": "A whole number, 0 or more"
});

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number, 0 or more")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        u64::try_from(number)
            .map(Count)
            .map_err(|_| E::custom("the number cannot be negative"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        // Clients that know only floating point send `5.0`.
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
        text.trim()
            .parse()
            .map(Count)
            .map_err(|_| E::custom("not a whole number, 0 or more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for json in ["5", "\"5\"", "5.0", "\" 5 \""] {
            assert_eq!(
                serde_json::from_str::<Count>(json).unwrap(),
                Count(5),
                "{json}"
            );
        }
        for json in ["-5", "\"\"", "5.5", "\"x\"", "[]", "true"] {
            assert!(serde_json::from_str::<Count>(json).is_err(), "{json}");
        }
    }
}
