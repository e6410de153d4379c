//! Paths lead to rows.

use super::subject::Ask;
use super::{Outcome, Subject, broken};
use crate::{Matched, Verb};
use secretum_api::RequestPath;

const VERBS: [Verb; 6] = [
    Verb::Read,
    Verb::Write,
    Verb::Patch,
    Verb::Delete,
    Verb::List,
    Verb::Scan,
];

/// The path of each row leads to it and to no other, with what its captures hold.
pub(super) async fn every_row_is_reached_by_its_own_path(subject: &Subject) -> Outcome {
    for row in subject.engine.rows() {
        let ask = Ask::of(row)?;
        let path = ask.path()?;
        let captures = ask
            .captures
            .iter()
            .map(|(name, text)| (*name, text.as_str()));
        let wanted = Matched::Row(row.id, captures.collect());
        let found = subject.engine.find(row.verb, &path);
        if found != wanted {
            return broken(format!(
                "{:?} {path} leads to {found:?}, not {wanted:?}",
                row.verb
            ));
        }
    }
    Ok(())
}

/// A path of any length and depth that a request can have is answered, if only by a refusal, and what
/// it wants written can be.
pub(super) async fn odd_paths_are_answered(subject: &Subject) -> Outcome {
    let mut tails = vec![
        "x/".repeat(2_000),
        "x".repeat(4_000),
        "é".repeat(1_900),
        "a b/%2f/\"/\\/*/+/{x}/$(y)/\u{2028}/".to_owned(),
        "..../. /.a/a./-".to_owned(),
        "\u{10ffff}".to_owned(),
    ];
    let folders = tails.iter().map(|tail| format!("{tail}/"));
    tails.extend(folders.collect::<Vec<_>>());
    for row in subject.engine.rows() {
        let stem = row.pattern.split('{').next().unwrap_or_default();
        for tail in &tails {
            let Ok(path) = RequestPath::parse(format!("{stem}{tail}")) else {
                continue;
            };
            for verb in VERBS {
                answer(subject, verb, path.as_str()).await?;
            }
        }
    }
    Ok(())
}

async fn answer(subject: &Subject, verb: Verb, path: &str) -> Outcome {
    let Matched::Row(id, captures) = subject.engine.find(verb, path) else {
        return Ok(());
    };
    let Some(row) = subject.engine.rows().into_iter().find(|row| row.id == id) else {
        return broken(format!("{verb:?} {path} leads to a row of no table"));
    };
    let captures = captures
        .into_iter()
        .map(|(name, text)| (name, text.to_owned()));
    let mut ask = Ask {
        row,
        captures: captures.collect(),
        query: Vec::new(),
        body: None,
    };
    if matches!(verb, Verb::Write | Verb::Patch) {
        ask = ask.body(subject.schemas.sample(row));
    }
    match subject.call(&ask).await? {
        Ok(reply) if !reply.writes.is_empty() => subject.commit(reply.writes).await,
        _ => Ok(()),
    }
}
