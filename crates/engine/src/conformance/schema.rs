//! [`Schemas`]: what the OpenAPI document says of rows, and values made of it.

use crate::openapi::Document;
use crate::pattern::Pattern;
use crate::{Mounted, RowOutline, Verb};
use serde_json::{Map, Value, json};

/// The description of an engine.
pub(super) struct Schemas {
    pub(super) document: Value,
    pub(super) help: String,
}

/// A field of a request that is no capture.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) is_required: bool,
}

impl Schemas {
    pub(super) fn of(engine: &dyn Mounted) -> Self {
        let mut document = Document::default();
        engine.describe(&mut document, "/mount/", None);
        Self {
            help: document.help().to_owned(),
            document: document.finish("0"),
        }
    }

    /// The path of a row, as the document has it.
    pub(super) fn path(row: RowOutline) -> String {
        let tail = Pattern::parse(row.pattern).map(|pattern| pattern.open_api());
        let tail = tail.unwrap_or_default();
        let slash = row.verb.names_folder() && !tail.is_empty();
        format!("/mount/{tail}{}", if slash { "/" } else { "" })
    }

    /// What the document says of a row.
    pub(super) fn operation(&self, row: RowOutline) -> Option<&Value> {
        let method = match row.verb {
            Verb::Read | Verb::List | Verb::Scan | Verb::Help => "get",
            Verb::Write => "post",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        };
        self.document
            .get("paths")?
            .get(Self::path(row))?
            .get(method)
    }

    /// The parameters of a row that stand in this place, `path` or `query`.
    pub(super) fn parameters(&self, row: RowOutline, place: &str) -> Vec<Field> {
        let all = self
            .operation(row)
            .and_then(|operation| operation.get("parameters"));
        let stands = |parameter: &&Value| parameter.get("in") == Some(&json!(place));
        let field = |parameter: &Value| {
            Some(Field {
                name: parameter.get("name")?.as_str()?.to_owned(),
                schema: self.resolved(parameter.get("schema")?),
                is_required: parameter.get("required") == Some(&json!(true)),
            })
        };
        let all = all.and_then(Value::as_array).into_iter().flatten();
        all.filter(stands).filter_map(field).collect()
    }

    /// The fields of a row's body.
    pub(super) fn body(&self, row: RowOutline) -> Vec<Field> {
        let schema = self
            .operation(row)
            .and_then(|operation| operation.pointer("/requestBody/content"))
            .and_then(Value::as_object)
            .and_then(|content| content.values().next())
            .and_then(|media| media.get("schema"))
            .map(|schema| self.resolved(schema))
            .unwrap_or_default();
        let required = |name: &str| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|own| own == name))
        };
        let fields = schema.get("properties").and_then(Value::as_object);
        fields
            .into_iter()
            .flatten()
            .map(|(name, schema)| Field {
                name: name.clone(),
                schema: self.resolved(schema),
                is_required: required(name),
            })
            .collect()
    }

    /// A body that a row may take: what it must have, objects, which are what is kept, and what the row
    /// shows an example of.
    pub(super) fn sample(&self, row: RowOutline) -> Value {
        let kept = |field: &Field| {
            let schema = &field.schema;
            field.is_required || type_of(schema) == "object" || example(schema).is_some()
        };
        let fields = self.body(row).into_iter().filter(kept);
        fields
            .map(|field| (field.name, sample(&field.schema)))
            .collect::<Map<String, Value>>()
            .into()
    }

    /// The schema that a reference leads to, or the schema itself.
    fn resolved(&self, schema: &Value) -> Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let found = reference.and_then(|text| self.document.pointer(text.strip_prefix('#')?));
        found.unwrap_or(schema).clone()
    }
}

/// The first type that a value may have.
fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(one)) => one,
        Some(Value::Array(some)) => some.first().and_then(Value::as_str).unwrap_or_default(),
        _ => "string",
    }
}

/// The first example of a value.
fn example(schema: &Value) -> Option<&Value> {
    schema.get("examples")?.get(0)
}

fn sample(schema: &Value) -> Value {
    if let Some(example) = example(schema) {
        return example.clone();
    }
    match type_of(schema) {
        "object" => json!({"field": "value"}),
        "array" => json!(["1"]),
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        _ => json!("text"),
    }
}
