//! What handlers want written.

use super::subject::{Ask, PREFIX};
use super::{Outcome, Subject, broken};
use crate::{Fault, Verb};
use secretum_storage::{Batch, Change};
use serde_json::json;

/// Calls each row that writes with a plain request, and commits what it wants written.
///
/// Fails where no row wants anything: then the suite would say nothing of the engine.
pub(super) async fn fill(subject: &Subject) -> Outcome {
    let mut puts = 0;
    for row in subject.engine.rows() {
        let Some(ask) = write(subject, row)? else {
            continue;
        };
        if let Ok(reply) = subject.call(&ask).await? {
            let is_put = |step: &&secretum_storage::Step| matches!(step.change, Change::Put(_));
            puts += reply.writes.steps().iter().filter(is_put).count();
            subject.commit(reply.writes).await?;
        }
    }
    if puts == 0 {
        return broken("no row takes a plain request and writes something");
    }
    Ok(())
}

/// A plain request to a row that writes.
fn write(subject: &Subject, row: crate::RowOutline) -> Result<Option<Ask>, super::Broken> {
    if row.verb != Verb::Write {
        return Ok(None);
    }
    let body = match subject.whole_body(row.id) {
        Some(_) => json!({"field": "value"}),
        None => subject.schemas.sample(row),
    };
    Ok(Some(Ask::of(row)?.body(body)))
}

/// A row whose write creates or updates says create before its first write, and update behind it. One
/// that touches other paths may find nothing there, and then writes nothing.
pub(super) async fn what_was_written_exists(subject: &Subject) -> Outcome {
    for (number, row) in subject.engine.rows().into_iter().enumerate() {
        let facts = subject.engine.facts(row.id);
        let is_upsert = facts.is_some_and(|facts| facts.upsert);
        let touches = facts.is_some_and(|facts| facts.touches);
        let Some(mut ask) = write(subject, row)?.filter(|_| is_upsert) else {
            continue;
        };
        // A name of its own, since another row may write to the same place.
        for (_, text) in &mut ask.captures {
            *text = format!("{text}-{number}");
        }
        if subject.exists(&ask).await? {
            return broken(format!("it exists before it was written: {ask:?}"));
        }
        let reply = match subject.call(&ask).await? {
            Ok(reply) => reply,
            Err(Fault::NotFound | Fault::NotFoundBecause(_)) if touches => continue,
            Err(_) => return broken(format!("a plain request is refused: {ask:?}")),
        };
        subject.commit(reply.writes).await?;
        if !subject.exists(&ask).await? {
            return broken(format!("it does not exist after it was written: {ask:?}"));
        }
    }
    Ok(())
}

/// Whatever is asked, an engine writes below its own prefix only.
pub(super) async fn nothing_is_written_outside_of_the_mount(subject: &Subject) -> Outcome {
    fill(subject).await?;
    for row in subject.engine.rows() {
        let mut ask = Ask::of(row)?;
        if matches!(row.verb, Verb::Write | Verb::Patch) {
            ask = ask.body(subject.schemas.sample(row));
        }
        for text in ["one", "../other", "/", "a/../../b", ""] {
            for capture in &mut ask.captures {
                text.clone_into(&mut capture.1);
            }
            if let Ok(reply) = subject.call(&ask).await? {
                check(&reply.writes, &ask)?;
            }
        }
    }
    Ok(())
}

fn check(writes: &Batch, ask: &Ask) -> Outcome {
    let prefix = PREFIX.as_bytes();
    let outside = |step: &&secretum_storage::Step| !step.key.as_bytes().starts_with(prefix);
    match writes.steps().iter().find(outside) {
        Some(step) => broken(format!("it writes `{}`: {ask:?}", step.key)),
        None => Ok(()),
    }
}
