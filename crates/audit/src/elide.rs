//! [`without_names`]: of a listing, how much it holds and not what.

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt::{self, Write};

/// The answer to a listing, its `keys` (a list) and `key_info` (an object) replaced by how many there
/// are; `None` where it has neither, as it is then.
pub(crate) fn without_names(data: &RawValue) -> Option<Box<RawValue>> {
    let Members(members) = serde_json::from_str(data.get()).ok()?;
    let mut elided = false;
    let mut out = String::from("{");
    for (number, (name, value)) in members.iter().enumerate() {
        let count = match name.as_str() {
            "keys" if value.get().starts_with('[') => count(value),
            "key_info" if value.get().starts_with('{') => count(value),
            _ => None,
        };
        elided |= count.is_some();
        let comma = if number == 0 { "" } else { "," };
        let name = serde_json::to_string(name).ok()?;
        match count {
            Some(count) => write!(out, "{comma}{name}:{count}"),
            None => write!(out, "{comma}{name}:{value}"),
        }
        .ok()?;
    }
    out.push('}');
    elided.then(|| RawValue::from_string(out).ok()).flatten()
}

fn count(value: &RawValue) -> Option<usize> {
    let Count(count) = serde_json::from_str(value.get()).ok()?;
    Some(count)
}

/// The members of an object, in their order.
struct Members<'d>(Vec<(String, &'d RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// How many elements a list has, or an object members.
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_any(Counting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elided(json: &str) -> Option<String> {
        let data: Box<RawValue> = serde_json::from_str(json).unwrap();
        without_names(&data).map(|data| data.get().to_owned())
    }

    #[test]
    fn lists_of_names_become_their_number_and_the_rest_stays() {
        for (json, shown) in [
            (r#"{"keys":["a","b/"]}"#, Some(r#"{"keys":2}"#)),
            (
                r#"{"key_info":{"a":{"x":[1]}},"keys":[],"more":"\u00e9","n":1.50}"#,
                Some(r#"{"key_info":1,"keys":0,"more":"\u00e9","n":1.50}"#),
            ),
            (r#"{"keys":"no list","other":["a"]}"#, None),
            (r#"["keys"]"#, None),
            ("null", None),
        ] {
            assert_eq!(elided(json).as_deref(), shown, "{json}");
        }
    }
}
