//! Rows tell what they are.

use super::schema::Schemas;
use super::{Outcome, Subject, broken};
use crate::Verb;
use serde_json::Value;
use std::collections::BTreeSet;

/// Every row has a sentence in the OpenAPI document and in the help, and so has every field.
pub(super) async fn every_row_is_described(subject: &Subject) -> Outcome {
    let mut ids = BTreeSet::new();
    for row in subject.engine.rows() {
        let path = Schemas::path(row);
        let Some(operation) = subject.schemas.operation(row) else {
            return broken(format!("{:?} {path} is not in the document", row.verb));
        };
        let text = |name: &str| {
            operation
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("summary").is_empty() {
            return broken(format!("{:?} {path} has no sentence", row.verb));
        }
        ids.insert(text("operationId").to_owned());
        let query = subject.schemas.parameters(row, "query");
        let word = match row.verb {
            Verb::List => Some("list"),
            Verb::Scan => Some("scan"),
            _ => None,
        };
        if let Some(word) = word.filter(|word| !query.iter().any(|field| field.name == *word)) {
            return broken(format!("GET {path} does not take `{word}`"));
        }
        let asked = query
            .iter()
            .filter(|field| Some(field.name.as_str()) != word);
        let captured = subject.schemas.parameters(row, "path");
        let fields = subject.schemas.body(row);
        for field in asked.chain(&captured).chain(&fields) {
            // A listing and a scan tell each other apart, and need no words for it.
            let about = field.schema.get("description").and_then(Value::as_str);
            if about.unwrap_or_default().is_empty() && !matches!(&*field.name, "list" | "scan") {
                return broken(format!(
                    "`{}` of {:?} {path} has no sentence",
                    field.name, row.verb
                ));
            }
        }
        let line = format!("{} {path}\n", format!("{:?}", row.verb).to_uppercase());
        if !subject.schemas.help.contains(&line) {
            return broken(format!("the help does not know `{}`", line.trim()));
        }
    }
    let operations = subject
        .schemas
        .document
        .get("paths")
        .and_then(Value::as_object);
    let operations = operations.into_iter().flat_map(|paths| paths.values());
    let operations = operations
        .filter_map(Value::as_object)
        .map(|item| item.len());
    if operations.sum::<usize>() != ids.len() {
        return broken("two operations have the same id");
    }
    Ok(())
}
