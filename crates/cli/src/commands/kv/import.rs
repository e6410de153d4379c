//! `kv import`: a tree of secrets from a file.
//!
//! First every secret is compared with what the server has, then those that differ are written, under
//! the version that they were compared with. What was written counts as the same the next time, so
//! that an import that was cut off goes on where it was.

use super::location::{Location, Place};
use super::tree::{self, AT_ONCE, Entry, INTERRUPTED, Input, TREE_BYTES_MAX};
use crate::arguments::flags::Connection;
use crate::failure::{During, Failure};
use crate::output::rights::Right;
use crate::output::{bar, console, structured};
use crate::session::Session;
use clap::Args;
use futures::StreamExt;
use secretum_client::kv::{MetadataSettings, WriteOptions};
use secretum_client::{Json, Object};
use std::io::Read;
use std::time::Duration;
use tokio::sync::Notify;

/// Writes the secrets of a file: one that kv export wrote, one secret as JSON, or a dotenv file
///
/// Each secret is created, the same, or in conflict with what is there; -dry-run only tells. Run it
/// again after an interruption: what is written already counts as the same.
///
///   kv import backup.json -mount=secret -dry-run
///   kv import backup.json secret/restored
///   kv import -on-conflict=overwrite .env secret/app/config
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Import {
    /// The file; - for standard input
    file: String,
    #[command(flatten)]
    place: Place,
    /// What the file holds
    #[arg(long, value_enum, default_value = "auto")]
    input: Input,
    /// Tell what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// What becomes of secrets that are there and differ
    #[arg(long, value_enum, default_value = "fail")]
    on_conflict: OnConflict,
    #[command(flatten)]
    connection: Connection,
}

/// What becomes of secrets that are there and differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnConflict {
    /// They stay as they are.
    Skip,
    /// They get a new version.
    Overwrite,
    /// Nothing at all is written.
    Fail,
}

/// What becomes of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Created,
    Changed,
    Same,
    Conflict,
    /// Its time to live has ended.
    Over,
}

/// Ends of a secret so near to each other are the same: one is written as a time to live in seconds.
const END_TOLERANCE: Duration = Duration::from_secs(5);

/// A secret, and what becomes of it.
struct Step {
    entry: Entry,
    status: Status,
    /// The version that the server has.
    version: u64,
}

/// How it went.
#[derive(Default)]
struct Outcome {
    done: usize,
    failed: Vec<(String, String)>,
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let text = read(&self.file)?;
        let session = Session::open(&self.connection)?.unwrapped();
        let location = self.place.find_any(&session).await?;
        let entries = tree::parse(&text, self.input, &location.path)?;
        if session.shows_policy {
            return Err(Failure::Rights(rights(&location, &entries)));
        }
        let steps = self.compare(&session, &location, entries).await?;
        let is_stuck = self.on_conflict == OnConflict::Fail
            && steps.iter().any(|step| step.status == Status::Conflict);
        if self.dry_run || is_stuck {
            show(&steps, &session)?;
            if self.dry_run {
                return Ok(());
            }
            return Err(Failure::Missing(
                "there are conflicts, and nothing was written; -on-conflict=skip leaves these \
                 secrets alone, -on-conflict=overwrite gives them a new version"
                    .to_owned(),
            ));
        }
        let outcome = write(&session, &location, &steps).await?;
        finish(&steps, &outcome, &session)
    }

    async fn compare(
        &self,
        session: &Session,
        location: &Location,
        entries: Vec<Entry>,
    ) -> Result<Vec<Step>, Failure> {
        let all = entries.len();
        let progress = bar::of_things(all, "comparing");
        let reader = session.reader();
        let mut reads = futures::stream::iter(entries)
            .take_until(Box::pin(tokio::signal::ctrl_c()))
            .map(|entry| {
                let reader = &reader;
                async move {
                    let current = tree::current(reader, location, &entry.path).await;
                    current.map(|current| self.step(entry, &current))
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut steps = Vec::with_capacity(all);
        while let Some(step) = reads.next().await {
            progress.inc(1);
            steps.push(step?);
        }
        progress.finish_and_clear();
        if steps.len() < all {
            console::note("interrupted: nothing was written");
            return Err(Failure::Silent(INTERRUPTED));
        }
        steps.sort_unstable_by(|one, other| one.entry.path.cmp(&other.entry.path));
        Ok(steps)
    }

    fn step(&self, entry: Entry, current: &tree::Current) -> Step {
        let keeps_custom = || {
            let wanted = pairs(entry.custom.as_ref());
            entry.custom.is_none()
                || current.custom.is_none()
                || pairs(current.custom.as_ref()) == wanted
        };
        let status = match &current.entry {
            _ if entry.is_over() => Status::Over,
            None if keeps_custom() => Status::Created,
            Some(there) if is_same(there, &entry) => Status::Same,
            _ if self.on_conflict == OnConflict::Overwrite => Status::Changed,
            _ => Status::Conflict,
        };
        Step {
            entry,
            status,
            version: current.version,
        }
    }
}

/// Whether nothing needs to be written; the order of keys does not count.
fn is_same(there: &Entry, wanted: &Entry) -> bool {
    let same_data = there.data.sorted() == wanted.data.sorted();
    let (own, other) = (wanted.custom.as_ref(), there.custom.as_ref());
    let same_end = match (wanted.expires, there.expires) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one.since(other).max(other.since(one)) <= END_TOLERANCE,
    };
    same_data && same_end && (own.is_none() || pairs(own) == pairs(other))
}

/// Custom metadata, in order.
fn pairs(custom: Option<&Json>) -> Vec<String> {
    let pairs = custom.and_then(Json::as_object).cloned();
    let pairs = pairs.unwrap_or_default();
    let mut pairs: Vec<String> = (pairs.iter())
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.sort_unstable();
    pairs
}

fn read(file: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::local(format!("cannot read `{file}`: {error}"));
    let input: Box<dyn Read> = match file {
        "-" => Box::new(std::io::stdin()),
        file => Box::new(std::fs::File::open(file).map_err(failed)?),
    };
    let mut text = String::new();
    let most = u64::try_from(TREE_BYTES_MAX).unwrap_or(u64::MAX);
    input
        .take(most.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() > TREE_BYTES_MAX {
        return Err(Failure::local(format!(
            "`{file}` is larger than {TREE_BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}

fn rights(location: &Location, entries: &[Entry]) -> Vec<Right> {
    let of = |entry: &Entry| {
        let at = location.at(&entry.path);
        let data = Right::new(at.api_path("data"), &["read", "create", "update"]);
        let custom = entry.custom.as_ref().filter(|_| location.version == 2);
        let custom = custom.map(|_| Right::new(at.api_path("metadata"), &["create", "update"]));
        std::iter::once(data).chain(custom)
    };
    entries.iter().flat_map(of).collect()
}

/// Writes what is to be written. What is under way at an interruption ends first.
async fn write(session: &Session, location: &Location, steps: &[Step]) -> Result<Outcome, Failure> {
    let wanted: Vec<&Step> = (steps.iter())
        .filter(|step| matches!(step.status, Status::Created | Status::Changed))
        .collect();
    let progress = bar::of_things(wanted.len(), "writing");
    let broken = Notify::new();
    let stop = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = broken.notified() => {}
        }
    };
    let mut writes = futures::stream::iter(wanted)
        .take_until(Box::pin(stop))
        .map(|step| async move { (step, put(session, location, step).await) })
        .buffer_unordered(AT_ONCE);
    let mut outcome = Outcome::default();
    while let Some((step, written)) = writes.next().await {
        progress.inc(1);
        match written {
            Ok(()) => outcome.done += 1,
            Err(Failure::Server {
                error,
                context,
                code,
            }) => {
                if error.status().is_none_or(|status| status >= 500) {
                    // The others would fail as well.
                    broken.notify_one();
                }
                let failure = Failure::Server {
                    error,
                    context,
                    code,
                };
                outcome
                    .failed
                    .push((step.entry.path.clone(), failure.to_string()));
            }
            Err(other) => return Err(other),
        }
    }
    progress.finish_and_clear();
    Ok(outcome)
}

async fn put(session: &Session, location: &Location, step: &Step) -> Result<(), Failure> {
    let (path, data) = (step.entry.path.as_str(), &step.entry.data);
    let doing = || format!("writing {path}");
    if location.version != 2 {
        let written = session.client.kv1(&location.mount).put(path, data).await;
        return written.map(drop).during(doing);
    }
    let kv = session.client.kv2(&location.mount);
    // First what is bound to the version that was compared.
    let options = WriteOptions {
        cas: Some(step.version),
        ttl: step.entry.ttl(),
    };
    let written = kv.put_with(path, data, &options).await;
    written.during(doing)?;
    if let Some(custom) = &step.entry.custom {
        let pairs = custom.as_object().into_iter().flat_map(Object::iter);
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let settings = MetadataSettings {
            custom_metadata: Some(
                pairs
                    .map(|(key, value)| (key.to_owned(), text(value)))
                    .collect(),
            ),
            ..MetadataSettings::default()
        };
        kv.put_metadata(path, &settings).await.during(doing)?;
    }
    Ok(())
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Changed => "changed",
        Status::Same => "same",
        Status::Conflict => "conflict",
        Status::Over => "over",
    }
}

/// Says what becomes of each secret.
fn show(steps: &[Step], session: &Session) -> Result<(), Failure> {
    if session.style.is_table() {
        let line = |step: &Step| format!("{:8}  {}\n", word(step.status), step.entry.path);
        return console::out(&steps.iter().map(line).collect::<String>());
    }
    let told = steps
        .iter()
        .map(|step| (step.entry.path.as_str(), word(step.status)));
    structured(&told.collect::<Object>().into(), session.style.format)
}

/// Says how it went.
fn finish(steps: &[Step], outcome: &Outcome, session: &Session) -> Result<(), Failure> {
    let count = |status| steps.iter().filter(|step| step.status == status).count();
    let wanted = count(Status::Created) + count(Status::Changed);
    let failed = outcome.failed.len();
    let left = wanted.saturating_sub(outcome.done + failed);
    let counts = [
        ("written", outcome.done),
        ("same", count(Status::Same)),
        ("skipped", count(Status::Conflict) + count(Status::Over)),
        ("failed", failed),
        ("not begun", left),
    ];
    for (path, reason) in &outcome.failed {
        console::note(&format!("{path}: {reason}"));
    }
    if session.style.is_table() {
        let counts = counts.map(|(word, count)| format!("{count} {word}"));
        console::line(&counts.join(", "))?;
    } else {
        let counts = counts.map(|(word, count)| {
            (
                word.replace(' ', "_"),
                u64::try_from(count).unwrap_or(u64::MAX),
            )
        });
        let told: Object = counts.into_iter().collect();
        structured(&told.into(), session.style.format)?;
    }
    if left == 0 && failed == 0 {
        return Ok(());
    }
    console::note("the same command goes on where this one ended");
    // Nothing failed, so somebody stopped it.
    Err(Failure::Silent(if failed == 0 { INTERRUPTED } else { 2 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::Timestamp;

    #[test]
    fn the_order_of_keys_makes_no_difference() {
        let entry = |data: &str, custom: Option<&str>| Entry {
            path: "a".to_owned(),
            data: Json::parse(data).unwrap().as_object().unwrap().clone(),
            custom: custom.map(|text| Json::parse(text).unwrap()),
            expires: None,
        };
        let at = |seconds| Some(Timestamp::from_unix_seconds(seconds));
        let ending = |expires| Entry {
            expires,
            ..entry("{}", None)
        };
        for (there, wanted, same) in [
            (at(100), None, true),
            (None, at(100), false),
            (at(100), at(105), true),
            (at(105), at(100), true),
            (at(100), at(106), false),
        ] {
            assert_eq!(
                is_same(&ending(there), &ending(wanted)),
                same,
                "{there:?} {wanted:?}"
            );
        }
        let there = entry(r#"{"a":1,"b":2}"#, Some(r#"{"x":"1","y":"2"}"#));
        for (data, custom, same) in [
            (r#"{"b":2,"a":1}"#, Some(r#"{"y":"2","x":"1"}"#), true),
            (r#"{"b":2,"a":1}"#, None, true),
            (r#"{"b":2,"a":1}"#, Some(r#"{"x":"1"}"#), false),
            (r#"{"a":1}"#, None, false),
            (r#"{"a":1.0,"b":2}"#, None, false),
        ] {
            assert_eq!(
                is_same(&there, &entry(data, custom)),
                same,
                "{data} {custom:?}"
            );
        }
    }
}
