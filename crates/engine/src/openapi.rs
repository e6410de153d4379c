//! OpenAPI and help, generated from rows and the schemas of their types.

use crate::pattern::Pattern;
use crate::routes::Row;
use crate::{Access, Shape, Verb};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// An OpenAPI 3.1 document in the making.
pub struct Document {
    /// Of what is taken.
    requests: SchemaGenerator,
    /// Of what is given: what an answer may leave out is another thing than what a request may. Where a
    /// type is both, its schemas differ: those of answers stand where they are used.
    replies: SchemaGenerator,
    paths: Map<String, Value>,
    help: String,
    note: String,
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    })
}

impl Default for Document {
    fn default() -> Self {
        Self {
            requests: settings().into_generator(),
            replies: settings()
                .for_serialize()
                .with(|settings| settings.inline_subschemas = true)
                .into_generator(),
            paths: Map::new(),
            help: String::new(),
            note: String::new(),
        }
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document")
            .field("paths", &self.paths.len())
            .finish_non_exhaustive()
    }
}

impl Document {
    /// Adds a row below `prefix` (`/secret/`).
    pub fn add<E>(&mut self, row: &Row<E>, prefix: &str) {
        let request = Request::of(row, &mut self.requests);
        let tail = Pattern::parse(row.pattern)
            .map(|p| p.open_api())
            .unwrap_or_default();
        let slash = if row.verb.names_folder() && !tail.is_empty() {
            "/"
        } else {
            ""
        };
        let path = format!("{prefix}{tail}{slash}");
        self.write_help(row, &path, &request);
        let operation = self.operation(row, &path, request);
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        match item.get_mut(method(row.verb)) {
            Some(known) => known_takes(known, operation),
            None => {
                if let Some(item) = item.as_object_mut() {
                    item.insert(method(row.verb).to_owned(), operation);
                }
            }
        }
    }

    /// Adds a sentence to what the document tells of itself.
    pub fn note(&mut self, sentence: &str) {
        self.note.push(' ');
        self.note.push_str(sentence);
    }

    /// The document, whole.
    pub fn finish(mut self, version: &str) -> Value {
        let schemas = self.requests.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "SecretumVault",
                "description": format!(
                    "HTTP API of SecretumVault. All paths are below /v1/.{}", self.note
                ),
                "version": version,
                "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            },
            "servers": [{"url": "/v1"}],
            "security": [{"token": []}],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "token": {"type": "apiKey", "in": "header", "name": "X-Vault-Token"},
                },
            },
        })
    }

    /// The rows so far, as text for a person.
    pub fn help(&self) -> &str {
        &self.help
    }

    fn operation<E>(&mut self, row: &Row<E>, path: &str, request: Request) -> Value {
        let mut operation = json!({
            "operationId": operation_id(row.verb, path),
            "summary": request.summary(),
            "tags": [path.trim_start_matches('/').split('/').next().unwrap_or_default()],
            "responses": self.responses(row),
        });
        let Some(fields) = operation.as_object_mut() else {
            return operation;
        };
        if row.access == Access::Public {
            fields.insert("security".to_owned(), json!([]));
        }
        if row.access == Access::Sudo {
            fields.insert("x-vault-sudo".to_owned(), json!(true));
        }
        let (parameters, body) = request.split(row.verb);
        fields.insert("parameters".to_owned(), Value::Array(parameters));
        if let Some(body) = body {
            let media = if row.verb == Verb::Patch {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            fields.insert(
                "requestBody".to_owned(),
                json!({"content": {media: {"schema": body}}}),
            );
        }
        operation
    }

    fn responses<E>(&mut self, row: &Row<E>) -> Value {
        let data = (row.reply_schema)(&mut self.replies);
        if data.get("type") == Some(&json!("null")) {
            let told = json!({
                "description": "Done, with warnings, a token or a wrapping token",
                "content": {"application/json": {"schema": {"type": "object"}}},
            });
            let mut responses = json!({
                "200": told, "204": {"description": "Done"}, "default": error_response(),
            });
            if let (Verb::Write, Some(responses)) = (row.verb, responses.as_object_mut()) {
                let goes_on = json!({"description": "It goes on behind the answer"});
                responses.insert("202".to_owned(), goes_on);
            }
            return responses;
        }
        let schema = match row.shape {
            Shape::Bare | Shape::Plain => data.to_value(),
            Shape::Envelope | Shape::Lifted => {
                json!({"type": "object", "properties": {"data": data.to_value()}})
            }
        };
        json!({
            "200": {"description": "OK", "content": {"application/json": {"schema": schema}}},
            "default": error_response(),
        })
    }

    fn write_help<E>(&mut self, row: &Row<E>, path: &str, request: &Request) {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = writeln!(self.help, "{} {path}", verb_word(row.verb));
        let description = request.description();
        if !description.is_empty() {
            let _ = writeln!(self.help, "    {}", description.replace('\n', "\n    "));
        }
        for (name, schema) in &request.properties {
            let about = schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let word = type_word(schema, self.requests.definitions());
            let _ = writeln!(self.help, "\n    {name} ({word})");
            if !about.is_empty() {
                let _ = writeln!(self.help, "        {}", about.replace('\n', "\n        "));
            }
        }
        self.help.push('\n');
    }
}

/// Adds what another row of the same path and method takes: a listing and a scan are both a GET, told
/// apart by a parameter that then neither must have.
fn known_takes(known: &mut Value, mut other: Value) {
    let taken = other.get_mut("parameters").map(Value::take);
    let (Some(Value::Array(known)), Some(Value::Array(taken))) =
        (known.get_mut("parameters"), taken)
    else {
        return;
    };
    let name = |parameter: &Value| parameter.get("name").cloned();
    let set_optional = |parameter: &mut Value| {
        let in_query = parameter.get("in") == Some(&json!("query"));
        if let Some(parameter) = parameter.as_object_mut().filter(|_| in_query) {
            parameter.insert("required".to_owned(), json!(false));
        }
    };
    for parameter in taken {
        if !known.iter().any(|own| name(own) == name(&parameter)) {
            known.push(parameter);
        }
    }
    known.iter_mut().for_each(set_optional);
}

fn error_response() -> Value {
    json!({
        "description": "Refused",
        "content": {"application/json": {"schema": {
            "type": "object",
            "properties": {"errors": {"type": "array", "items": {"type": "string"}}},
        }}},
    })
}

/// The schema of a request type, taken apart.
struct Request {
    description: Option<String>,
    properties: Map<String, Value>,
    required: Vec<Value>,
    captures: Vec<&'static str>,
    whole_body: Option<&'static str>,
}

impl Request {
    fn of<E>(row: &Row<E>, generator: &mut SchemaGenerator) -> Self {
        let schema = (row.request_schema)(generator).to_value();
        // A type around another one is described by that.
        let named = definition(&schema, generator.definitions()).cloned();
        let mut schema = match (named, schema) {
            (Some(Value::Object(named)), Value::Object(own)) => {
                Value::Object(named.into_iter().chain(own).collect())
            }
            (_, own) => own,
        };
        let mut take = |name: &str| schema.get_mut(name).map(Value::take);
        let properties = match take("properties") {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let required = match take("required") {
            Some(Value::Array(names)) => names,
            _ => Vec::new(),
        };
        let description = take("description").and_then(|d| d.as_str().map(str::to_owned));
        Self {
            description,
            properties,
            required,
            captures: row.captures.clone(),
            whole_body: row.whole_body,
        }
    }

    fn description(&self) -> &str {
        self.description.as_deref().unwrap_or_default()
    }

    fn summary(&self) -> &str {
        self.description().lines().next().unwrap_or_default()
    }

    /// Parameters of path and query, and the schema of the body.
    fn split(mut self, verb: Verb) -> (Vec<Value>, Option<Value>) {
        let mut parameters = Vec::new();
        for name in &self.captures {
            let schema = self
                .properties
                .remove(*name)
                .unwrap_or_else(|| json!({"type": "string"}));
            self.required.retain(|own| own != name);
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
        if verb.names_folder() {
            let name = if verb == Verb::List { "list" } else { "scan" };
            parameters.push(json!({
                "name": name, "in": "query", "required": true,
                "schema": {"type": "string", "enum": ["true"]},
            }));
        }
        if matches!(verb, Verb::Write | Verb::Patch) {
            return (parameters, self.body());
        }
        for (name, schema) in self.properties {
            let required = self.required.iter().any(|own| own == &name);
            parameters
                .push(json!({"name": name, "in": "query", "required": required, "schema": schema}));
        }
        (parameters, None)
    }

    fn body(mut self) -> Option<Value> {
        if let Some(field) = self.whole_body {
            return self.properties.remove(field);
        }
        if self.properties.is_empty() {
            return None;
        }
        let mut body = json!({"type": "object", "properties": self.properties});
        if let (false, Some(body)) = (self.required.is_empty(), body.as_object_mut()) {
            body.insert("required".to_owned(), Value::Array(self.required));
        }
        Some(body)
    }
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Read | Verb::List | Verb::Scan | Verb::Help => "get",
        Verb::Write => "post",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    }
}

fn verb_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "READ",
        Verb::List => "LIST",
        Verb::Scan => "SCAN",
        Verb::Help => "HELP",
        Verb::Write => "WRITE",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
    }
}

/// A name that no other path and verb of the document has.
fn operation_id(verb: Verb, path: &str) -> String {
    let mut id = verb_word(verb).to_ascii_lowercase();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        id.push('-');
        id.push_str(part.trim_start_matches('{').trim_end_matches('}'));
    }
    id
}

/// The schema that a reference leads to.
fn definition<'d>(schema: &Value, known: &'d Map<String, Value>) -> Option<&'d Value> {
    let path = schema.get("$ref")?.as_str()?;
    known.get(path.rsplit('/').next()?)
}

/// What a field takes, in a word or a few.
fn type_word(schema: &Value, known: &Map<String, Value>) -> String {
    let named = definition(schema, known);
    let word = |schema: &Value| match schema.get("type") {
        Some(Value::String(word)) => Some(word.clone()),
        Some(Value::Array(words)) => {
            // Whatever may be left out may be null.
            let words = words.iter().filter_map(Value::as_str);
            let words: Vec<&str> = words.filter(|word| *word != "null").collect();
            Some(words.join(" or "))
        }
        _ => None,
    };
    if let Some(word) = word(named.unwrap_or(schema)) {
        return word;
    }
    let forms = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name));
    let Some(Value::Array(forms)) = forms else {
        return "any".to_owned();
    };
    let mut words: Vec<String> = Vec::new();
    for form in forms
        .iter()
        .filter(|form| form.get("type") != Some(&json!("null")))
    {
        let word = type_word(form, known);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_types_of_fields() {
        let known = json!({"Options": {"type": "object"}});
        let known = known.as_object().unwrap();
        for (schema, expected) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": ["integer", "string"]}), "integer or string"),
            (json!({"type": ["string", "null"]}), "string"),
            (json!({"$ref": "#/components/schemas/Options"}), "object"),
            (
                json!({"anyOf": [{"$ref": "#/components/schemas/Options"}, {"type": "null"}]}),
                "object",
            ),
            (
                json!({"oneOf": [{"type": "array"}, {"type": "string"}, {"type": "string"}]}),
                "array or string",
            ),
            (json!({}), "any"),
            (json!(true), "any"),
        ] {
            assert_eq!(type_word(&schema, known), expected, "{schema}");
        }
    }
}
