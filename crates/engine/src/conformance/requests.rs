//! Requests that are not as they should be.

use super::subject::Ask;
use super::{Outcome, Subject, broken, writes};
use crate::{RowOutline, Verb};
use serde_json::{Map, Value, json};

/// A field that no request knows.
const UNKNOWN: &str = "conformance_unknown";

/// What is no value of most fields.
fn wrong_values() -> [Value; 10] {
    [
        json!({}),
        json!([]),
        json!({"a": [{"b": null}]}),
        json!([[], {}, 1.5, "x"]),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!("\u{0}\u{1}not a value"),
        json!("9".repeat(10_000)),
        json!(false),
    ]
}

/// A value of another type than a field has is refused with a word for the caller, or taken for
/// something; it is never a fault of the server. So on an empty mount, and on one that holds something.
pub(super) async fn wrong_types_are_the_callers_fault(subject: &Subject) -> Outcome {
    refuse_wrong_types(subject).await?;
    writes::fill(subject).await?;
    refuse_wrong_types(subject).await
}

async fn refuse_wrong_types(subject: &Subject) -> Outcome {
    for row in subject.engine.rows() {
        let ask = Ask::of(row)?;
        // Without a body, too: what is missing is the caller's fault as well.
        let _ = subject.call(&ask).await?;
        for field in subject.schemas.parameters(row, "query") {
            for value in wrong_values() {
                let mut ask = ask.clone();
                ask.query.push((field.name.clone(), value.to_string()));
                let _ = subject.call(&ask).await?;
            }
        }
        for field in subject.schemas.body(row) {
            for value in wrong_values() {
                let mut body = sample(subject, row);
                body.insert(field.name.clone(), value);
                let _ = subject.call(&ask.clone().body(body.into())).await?;
            }
        }
    }
    Ok(())
}

fn sample(subject: &Subject, row: RowOutline) -> Map<String, Value> {
    match subject.schemas.sample(row) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A field that a row does not know changes nothing but for a warning that names it.
pub(super) async fn unknown_fields_are_told_and_do_not_fail(subject: &Subject) -> Outcome {
    writes::fill(subject).await?;
    for row in subject.engine.rows() {
        let takes_fields =
            matches!(row.verb, Verb::Write | Verb::Patch) && subject.whole_body(row.id).is_none();
        if !takes_fields {
            continue;
        }
        let mut body = sample(subject, row);
        let plain = Ask::of(row)?.body(body.clone().into());
        body.insert(UNKNOWN.to_owned(), json!({"any": "thing"}));
        let more = plain.clone().body(body.into());
        match (subject.call(&plain).await?, subject.call(&more).await?) {
            (Ok(_), Ok(reply)) => {
                if !reply
                    .warnings
                    .iter()
                    .any(|warning| warning.contains(UNKNOWN))
                {
                    return broken(format!("no warning names the field: {more:?}"));
                }
            }
            (Err(_), Err(_)) => {}
            (plain, more) => {
                let (plain, more) = (plain.is_ok(), more.is_ok());
                return broken(format!(
                    "{:?} {}: {plain} without, {more} with",
                    row.verb, row.pattern
                ));
            }
        }
    }
    Ok(())
}
