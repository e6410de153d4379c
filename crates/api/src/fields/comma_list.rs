//! [`CommaList`]: a list of strings on the wire.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A list of strings: read from a JSON array or a comma-separated string, written as an array.
/// Blanks around an item fall away, as do empty items.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(transparent)]
pub struct CommaList(pub Vec<String>);

super::schema!(CommaList, "StringList", {
    "type": ["array", "string"],
    "items": {"type": "string"},
    "description": "An array of strings, or one comma-separated string"
});

impl CommaList {
    fn collect<'a>(items: impl Iterator<Item = &'a str>) -> Self {
        Self(
            items
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for CommaList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = CommaList;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of strings, or a comma-separated string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CommaList, E> {
        Ok(CommaList::collect(text.split(',')))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<CommaList, E> {
        Ok(CommaList(vec![number.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<CommaList, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Scalar>()? {
            list.push(item.0);
        }
        Ok(CommaList::collect(list.iter().map(String::as_str)))
    }
}

/// A string, or a number or boolean in its JSON spelling.
#[derive(serde::Deserialize)]
#[serde(from = "ScalarForm")]
pub(super) struct Scalar(pub(super) String);

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum ScalarForm {
    Text(String),
    Number(serde_json::Number),
    Flag(bool),
}

impl From<ScalarForm> for Scalar {
    fn from(form: ScalarForm) -> Self {
        Self(match form {
            ScalarForm::Text(text) => text,
            ScalarForm::Number(number) => number.to_string(),
            ScalarForm::Flag(flag) => flag.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_the_same() {
        for json in [r#""a, b,,c""#, r#"["a","b","","c"]"#] {
            let list: CommaList = serde_json::from_str(json).unwrap();
            assert_eq!(list.0, ["a", "b", "c"], "{json}");
        }
        assert_eq!(
            serde_json::from_str::<CommaList>("[1,true]").unwrap().0,
            ["1", "true"]
        );
        assert!(serde_json::from_str::<CommaList>("{}").is_err());
        assert!(serde_json::from_str::<CommaList>("[[]]").is_err());
    }
}
