//! [`Field`]: one value of a request, read as leniently as Vault reads it.
//!
//! Text may stand for a boolean or a number, and a number or boolean for text.

use serde::de::{Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::Cell;

/// One value of a request.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    /// Text of a path or a query.
    Text(&'a str),
    /// JSON text of a body.
    Json(&'a str),
}

impl<'a> Field<'a> {
    /// A deserializer of the value; `ignored` is set where nobody wanted it.
    pub(super) fn reader<'i>(self, ignored: &'i Cell<bool>) -> Reader<'a, 'i> {
        Reader {
            field: self,
            ignored,
        }
    }
}

/// Deserializes a [`Field`].
pub(super) struct Reader<'a, 'i> {
    field: Field<'a>,
    ignored: &'i Cell<bool>,
}

type Result<T> = std::result::Result<T, serde_json::Error>;

impl Reader<'_, '_> {
    /// The text of a string, where the value is one.
    fn text(&self) -> Result<Option<String>> {
        match self.field {
            Field::Text(text) => Ok(Some(text.to_owned())),
            Field::Json(json) if json.starts_with('"') => serde_json::from_str(json).map(Some),
            Field::Json(_) => Ok(None),
        }
    }

    /// Reads a number from text or JSON.
    fn number<'v, V: Visitor<'v>>(&self, visitor: V) -> Result<V::Value> {
        let text = self.text()?;
        let number = match (&text, self.field) {
            (Some(text), _) => text.trim(),
            (None, Field::Json(json) | Field::Text(json)) => json,
        };
        if let Ok(number) = number.parse::<u64>() {
            visitor.visit_u64(number)
        } else if let Ok(number) = number.parse::<i64>() {
            visitor.visit_i64(number)
        } else if let Some(number) = number.parse::<f64>().ok().filter(|n| n.is_finite()) {
            // Clients that know only floating point send `5.0` and `1e3` for whole numbers.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be whole and in range"
            )]
            if number.fract() == 0.0 && number.abs() < 9e15 {
                visitor.visit_i64(number as i64)
            } else {
                visitor.visit_f64(number)
            }
        } else {
            Err(Error::custom(format!(
                "`{}` is not a number",
                shortened(number)
            )))
        }
    }
}

/// At most the first 64 characters of a client's text, for an error.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.number(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.field {
            Field::Text(text) => visitor.visit_str(text),
            Field::Json(json) => Deserializer::deserialize_any(
                &mut serde_json::Deserializer::from_str(json),
                visitor,
            ),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.text()?;
        let word = match (&text, self.field) {
            (Some(text), _) => text.as_str(),
            (None, Field::Json(json) | Field::Text(json)) => json,
        };
        match word {
            "true" | "True" | "TRUE" | "t" | "T" | "1" => visitor.visit_bool(true),
            "false" | "False" | "FALSE" | "f" | "F" | "0" | "" => visitor.visit_bool(false),
            _ => Err(Error::custom(format!(
                "`{}` is not true or false",
                shortened(word)
            ))),
        }
    }

    numbers!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i8
        deserialize_i16 deserialize_i32 deserialize_i64 deserialize_f32 deserialize_f64);

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match (self.text()?, self.field) {
            (Some(text), _) => visitor.visit_string(text),
            (None, Field::Json(json)) if !json.starts_with(['{', '[']) => visitor.visit_str(json),
            (None, _) => Err(Error::custom("expected a string")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match self.field {
            // serde_json reads a `RawValue` as a newtype of a name of its own.
            Field::Json(json) if name.starts_with("$serde_json::private") => {
                let mut json = serde_json::Deserializer::from_str(json);
                Deserializer::deserialize_newtype_struct(&mut json, name, visitor)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.field {
            Field::Text(text) => visitor
                .visit_enum(serde::de::IntoDeserializer::<Self::Error>::into_deserializer(text)),
            Field::Json(json) => {
                let mut json = serde_json::Deserializer::from_str(json);
                Deserializer::deserialize_enum(&mut json, name, variants, visitor)
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.ignored.set(true);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}
