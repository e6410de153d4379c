//! [`Route`]: an operation of the OpenAPI document.

use super::Asked;
use super::generate::{Dice, Generator};
use secretum_core::Outcome;
use secretum_engine::{Standing, Verb};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Mounts of engines made for tests, whose routes wait for the test.
const OF_TESTS: [&str; 1] = ["/probe/"];

/// An operation of the OpenAPI document, under one verb.
pub(super) struct Route {
    pub(super) verb: Verb,
    /// As it stands in the document.
    pub(super) path: String,
    pub(super) is_public: bool,
    parameters: Vec<Parameter>,
    body: Option<Value>,
    statuses: Vec<String>,
    schemas: Arc<Map<String, Value>>,
}

struct Parameter {
    name: String,
    in_path: bool,
    schema: Value,
}

/// All routes of a document.
pub(super) fn of(document: &Value) -> Vec<Route> {
    let schemas = Arc::new(
        document["components"]["schemas"]
            .as_object()
            .unwrap()
            .clone(),
    );
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if OF_TESTS.iter().any(|mount| path.starts_with(mount)) {
            continue;
        }
        for (method, operation) in methods.as_object().unwrap() {
            for verb in verbs(method, path, operation) {
                routes.push(Route::new(verb, path, operation, &schemas));
            }
        }
    }
    routes
}

/// The verbs of an operation: listings and scans are a GET in HTTP.
fn verbs(method: &str, path: &str, operation: &Value) -> Vec<Verb> {
    let has = |name: &str| {
        let mut all = operation["parameters"].as_array().unwrap().iter();
        all.any(|parameter| parameter["in"] == "query" && parameter["name"] == name)
    };
    match method {
        "post" => vec![Verb::Write],
        "patch" => vec![Verb::Patch],
        "delete" => vec![Verb::Delete],
        "get" => {
            let mut verbs = Vec::new();
            verbs.extend((!path.ends_with('/')).then_some(Verb::Read));
            verbs.extend(has("list").then_some(Verb::List));
            verbs.extend(has("scan").then_some(Verb::Scan));
            verbs
        }
        other => panic!("{other} {path}"),
    }
}

impl Route {
    fn new(verb: Verb, path: &str, operation: &Value, schemas: &Arc<Map<String, Value>>) -> Self {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let parameters = parameters.map(|parameter| Parameter {
            name: parameter["name"].as_str().unwrap().to_owned(),
            in_path: parameter["in"] == "path",
            schema: parameter["schema"].clone(),
        });
        let content = operation["requestBody"]["content"].as_object();
        let statuses = operation["responses"].as_object().unwrap().keys();
        Self {
            verb,
            path: path.to_owned(),
            is_public: operation["security"].as_array().is_some_and(Vec::is_empty),
            parameters: parameters
                .filter(|parameter| !["list", "scan"].contains(&parameter.name.as_str()))
                .collect(),
            body: content.map(|content| content.values().next().unwrap()["schema"].clone()),
            statuses: statuses.cloned().collect(),
            schemas: Arc::clone(schemas),
        }
    }

    /// A request of this route, more or less as the document has it.
    pub(super) fn generate(&self, dice: &mut Dice) -> Asked {
        let schemas = &self.schemas;
        let mut generator = Generator { dice, schemas };
        let mut path = self.path.trim_start_matches('/').to_owned();
        let mut query = Vec::new();
        for Parameter {
            name,
            in_path,
            schema,
        } in &self.parameters
        {
            if *in_path {
                let segment = generator.segment();
                path = path.replace(&format!("{{{name}}}"), &segment);
            } else if !generator.dice.one_in(3) {
                let value = match generator.value(schema, 0) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                query.push((name.clone(), value));
            }
        }
        let body = (self.body.as_ref()).and_then(|schema| match generator.dice.below(24) {
            0 => None,
            1 => Some(generator.nonsense().to_string()),
            _ => Some(generator.value(schema, 0).to_string()),
        });
        Asked { path, query, body }
    }

    /// An answer has a status that the document names.
    pub(super) fn check_documented(&self, outcome: &Outcome, told: &str) {
        let reply = &outcome.reply;
        let has_content = reply.has_content() || !reply.warnings.is_empty();
        let status = match (reply.standing, has_content) {
            // What is gone, or refused in part, is told of as an error is.
            (Standing::Gone | Standing::RefusedInPart, _) => "default",
            (Standing::Accepted, _) => "202",
            (Standing::Done, true) => "200",
            (Standing::Done, false) => "204",
        };
        let is_named = self.statuses.iter().any(|named| named == status);
        assert!(
            is_named,
            "{told}: {status}, and not one of {:?}",
            self.statuses
        );
    }
}
