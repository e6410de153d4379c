//! [`Input`]: captures, query and body of a request, read as one typed request.
//!
//! Captures come before the query, the query before the body, and the first to name a field gives
//! it: a body can never name another path than the one that was authorized. Fields keep the client's
//! own JSON text on the way, so that no number of a secret changes.

mod field;

use crate::Fault;
use field::Field;
use secretum_api::fields::JsonObject;
use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

/// The most pairs that a query may hold.
pub const QUERY_PAIRS_MAX: usize = 64;

/// The most fields that a body may have at its top level.
pub const BODY_FIELDS_MAX: usize = 10_000;

const TOO_MANY_FIELDS: &str = "the body has more than 10000 fields";

/// The body of a request: a JSON object, as it came.
#[derive(Clone, Copy)]
pub struct Body<'a>(&'a RawValue);

/// It may hold a secret, and is not shown.
impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body(..)")
    }
}

impl<'a> Body<'a> {
    /// Takes JSON text as a body.
    ///
    /// **Errors**: [`Fault::Invalid`] where it is no JSON object.
    pub fn new(raw: &'a RawValue) -> Result<Self, Fault> {
        if raw.get().starts_with('{') {
            Ok(Self(raw))
        } else {
            Err(Fault::invalid("the body must be a JSON object"))
        }
    }

    /// The whole text.
    pub fn raw(self) -> &'a RawValue {
        self.0
    }

    /// The fields in their order; of those of one name, the last.
    ///
    /// **Errors**: [`Fault::Invalid`] where the text is no object.
    pub fn fields(self) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Fault> {
        let Fields(fields) = serde_json::from_str(self.0.get())
            .map_err(|error| Fault::invalid(format!("failed to parse JSON input: {error}")))?;
        Ok(fields)
    }
}

/// What a request brings for its handler.
#[derive(Debug)]
pub struct Input<'a> {
    /// The captures of its row.
    pub captures: Vec<(&'static str, &'a str)>,
    /// The pairs of its query.
    pub query: &'a [(String, String)],
    /// Its body.
    pub body: Option<Body<'a>>,
    /// The field that gets the whole body, where the row says so.
    pub whole_body: Option<&'static str>,
}

impl Input<'_> {
    /// The text of a capture; empty where the row has none of that name.
    pub fn capture(&self, name: &str) -> &str {
        self.captures
            .iter()
            .find(|(own, _)| *own == name)
            .map_or("", |(_, text)| text)
    }

    /// Reads a request; returns the names of body fields that it does not know, too.
    ///
    /// **Errors**: [`Fault::Invalid`], naming the field.
    pub(crate) fn read<R: DeserializeOwned>(&self) -> Result<(R, Vec<String>), Fault> {
        let mut pairs: Vec<Pair<'_>> = Vec::with_capacity(8);
        for (name, text) in &self.captures {
            pairs.push(Pair {
                name: Cow::Borrowed(name),
                field: Field::Text(text),
                of_path: true,
                of_body: false,
            });
        }
        // A field of the query with nothing in it is absent, as a null of the body is.
        for (name, text) in self.query.iter().filter(|(_, text)| !text.is_empty()) {
            add(&mut pairs, Cow::Borrowed(name), Field::Text(text), false);
        }
        match (self.body, self.whole_body) {
            (None, _) => {}
            (Some(body), Some(name)) => {
                add(
                    &mut pairs,
                    Cow::Borrowed(name),
                    Field::Json(body.0.get()),
                    true,
                );
            }
            (Some(body), None) => {
                // The fields of a body differ from each other: only what came before it counts.
                let before = pairs.len();
                for (name, value) in body.fields()? {
                    let given = pairs.iter().take(before).any(|pair| pair.name == name);
                    if value.get() != "null" && !given {
                        pairs.push(Pair {
                            name,
                            field: Field::Json(value.get()),
                            of_path: false,
                            of_body: true,
                        });
                    }
                }
            }
        }
        read_pairs(&pairs)
    }
}

/// Reads an object within a body as a body is read; returns the names that it does not know, too.
///
/// **Errors**: [`Fault::Invalid`], naming the field.
pub fn read_object<R: DeserializeOwned>(object: &JsonObject) -> Result<(R, Vec<String>), Fault> {
    let raw: &RawValue = serde_json::from_str(object.get()).map_err(Fault::internal)?;
    let input = Input {
        captures: Vec::new(),
        query: &[],
        body: Some(Body::new(raw)?),
        whole_body: None,
    };
    input.read()
}

struct Pair<'a> {
    name: Cow<'a, str>,
    field: Field<'a>,
    /// A part of the path, which an error need not name.
    of_path: bool,
    of_body: bool,
}

/// Adds a field unless an earlier source gave it.
fn add<'a>(pairs: &mut Vec<Pair<'a>>, name: Cow<'a, str>, field: Field<'a>, of_body: bool) {
    if !pairs.iter().any(|pair| pair.name == name) {
        pairs.push(Pair {
            name,
            field,
            of_path: false,
            of_body,
        });
    }
}

fn read_pairs<R: DeserializeOwned>(pairs: &[Pair<'_>]) -> Result<(R, Vec<String>), Fault> {
    let current = Cell::new("");
    let mut unknown = Vec::new();
    let ignored = Cell::new(false);
    let access = Pairs {
        left: pairs.iter(),
        next: None,
        current: &current,
        ignored: &ignored,
        unknown: &mut unknown,
    };
    let request = R::deserialize(serde::de::value::MapAccessDeserializer::new(access))
        .map_err(|error| Fault::invalid(message(current.get(), &error.to_string())))?;
    Ok((request, unknown))
}

/// An error with the name of its field, and without serde's position in a text nobody saw.
fn message(field: &str, error: &str) -> String {
    let error = error.split(" at line ").next().unwrap_or(error);
    if field.is_empty() {
        error.to_owned()
    } else {
        format!("field `{field}`: {error}")
    }
}

struct Pairs<'p, 'a> {
    left: std::slice::Iter<'p, Pair<'a>>,
    next: Option<&'p Pair<'a>>,
    current: &'p Cell<&'p str>,
    ignored: &'p Cell<bool>,
    unknown: &'p mut Vec<String>,
}

impl<'de> MapAccess<'de> for Pairs<'_, 'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        self.next = self.left.next();
        // A missing field is found after the last one, and is not that one's fault.
        let named = self.next.filter(|pair| !pair.of_path);
        self.current.set(named.map_or("", |pair| &pair.name));
        match self.next {
            Some(pair) => seed
                .deserialize((&*pair.name).into_deserializer())
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        let Some(pair) = self.next.take() else {
            return Err(serde::de::Error::custom(
                "a value was asked for before its key",
            ));
        };
        self.ignored.set(false);
        let value = seed.deserialize(pair.field.reader(self.ignored))?;
        if self.ignored.get() && pair.of_body {
            self.unknown.push(pair.name.clone().into_owned());
        }
        Ok(value)
    }
}

/// An object's fields, kept as text.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(4);
                let mut places: HashMap<Cow<'de, str>, usize> = HashMap::new();
                while let Some((Name(name), value)) =
                    map.next_entry::<Name<'de>, &'de RawValue>()?
                {
                    if fields.len() == BODY_FIELDS_MAX {
                        return Err(serde::de::Error::custom(TOO_MANY_FIELDS));
                    }
                    match places.get(&name).and_then(|at| fields.get_mut(*at)) {
                        Some(field) => field.1 = value,
                        None => {
                            places.insert(name.clone(), fields.len());
                            fields.push((name, value));
                        }
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A key of an object, borrowed where it holds no escape.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_api::fields::{CommaList, Seconds};

    #[derive(Debug, Deserialize)]
    struct Request {
        path: String,
        #[serde(default)]
        ttl: Seconds,
        #[serde(default)]
        renewable: bool,
        #[serde(default)]
        uses: Option<u32>,
        #[serde(default)]
        names: CommaList,
        #[serde(default)]
        data: Option<Box<RawValue>>,
    }

    fn read(query: &[(String, String)], body: &str) -> Result<(Request, Vec<String>), Fault> {
        let raw: &RawValue = serde_json::from_str(body).unwrap();
        let body = Some(Body::new(raw)?);
        let input = Input {
            captures: vec![("path", "a/b")],
            query,
            body,
            whole_body: None,
        };
        input.read()
    }

    #[test]
    fn clients_may_send_text_for_anything() {
        let (request, unknown) = read(
            &[],
            r#"{"ttl":"1h","renewable":"true","uses":"5","names":"a,b","data":{"n":12345678901234567890}}"#,
        )
        .unwrap();
        assert_eq!(
            (request.ttl, request.renewable, request.uses),
            (Seconds(3600), true, Some(5))
        );
        assert_eq!(request.names.0, ["a", "b"]);
        assert_eq!(request.data.unwrap().get(), r#"{"n":12345678901234567890}"#);
        assert!(unknown.is_empty());
    }

    #[test]
    fn a_body_cannot_replace_a_capture_or_the_query() {
        let query = [("ttl".to_owned(), "7".to_owned())];
        let (request, _) = read(&query, r#"{"path":"other","ttl":9}"#).unwrap();
        assert_eq!((request.path.as_str(), request.ttl), ("a/b", Seconds(7)));
    }

    #[test]
    fn an_empty_field_of_the_query_is_absent() {
        let query = [("uses".to_owned(), String::new())];
        let (request, _) = read(&query, r#"{"ttl":1}"#).unwrap();
        assert_eq!(request.uses, None);
    }

    #[test]
    fn unknown_fields_of_the_body_are_named() {
        let query = [("list".to_owned(), "true".to_owned())];
        let (_, unknown) = read(&query, r#"{"ttl":1,"colour":"red","x":{"y":[1]}}"#).unwrap();
        assert_eq!(unknown, ["colour", "x"]);
    }

    #[test]
    fn nulls_are_absent_and_the_last_of_two_counts() {
        let (request, _) = read(&[], r#"{"uses":null,"ttl":1,"ttl":2}"#).unwrap();
        assert_eq!((request.uses, request.ttl), (None, Seconds(2)));
    }

    #[test]
    fn faults_name_their_field() {
        for (body, expected) in [
            (r#"{"uses":-1}"#, "field `uses`: "),
            (r#"{"uses":"many"}"#, "field `uses`: "),
            (r#"{"renewable":"perhaps"}"#, "field `renewable`: "),
            (r#"{"ttl":{}}"#, "field `ttl`: "),
        ] {
            let error = read(&[], body).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let body = |fields: usize| {
            let fields: Vec<String> = (0..fields).map(|n| format!("\"f{n}\":1")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(read(&[], &body(BODY_FIELDS_MAX)).is_ok());
        let error = read(&[], &body(BODY_FIELDS_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("10000 fields"), "{error}");
    }

    #[test]
    fn a_body_must_be_an_object() {
        let raw: &RawValue = serde_json::from_str("[1]").unwrap();
        assert!(Body::new(raw).is_err());
    }
}
