//! `kv diff`: what changed between two versions of a secret.

use super::get;
use super::location::{Location, Place};
use crate::arguments::flags::Connection;
use crate::commands::generic::nothing_at;
use crate::failure::Failure;
use crate::output::{console, structured, table};
use crate::session::Session;
use clap::Args;
use secretum_client::{Json, Object};

/// Shows which keys changed between two versions of a secret
///
/// Values are shown with -values only.
///
///   kv diff secret/app/database
///   kv diff -from=3 -to=5 -values secret/app/database
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Diff {
    #[command(flatten)]
    place: Place,
    /// The earlier version; the one before -to where none is named
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// The later version; the newest where none is named
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
    /// Show what the keys held, and hold
    #[arg(long)]
    values: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A version of a secret: its number, and what it holds.
struct Version {
    number: u64,
    data: Object,
}

/// What became of a key.
struct Change<'a> {
    key: &'a str,
    before: Option<&'a Json>,
    now: Option<&'a Json>,
}

impl Diff {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let location = self.place.find(&session).await?;
        location.needs_version_2("kv diff")?;
        let to = version(&session, &location, self.to.unwrap_or(0)).await?;
        let from = self.from.unwrap_or(to.number - 1);
        if from == 0 {
            return Err(Failure::local(format!(
                "version {} is the first one: there is nothing before it",
                to.number
            )));
        }
        let from = version(&session, &location, from).await?;
        let changes = changes(&from.data, &to.data);
        if session.style.is_table() {
            console::out(&as_table(&from, &to, &changes, self.values))
        } else {
            let told = as_json(&from, &to, &changes, self.values);
            structured(&told.into(), session.style.format)
        }
    }
}

async fn version(session: &Session, location: &Location, number: u64) -> Result<Version, Failure> {
    let found = get::read(session, location, number).await?;
    let path = location.api_path("data");
    let found = found.ok_or_else(|| nothing_at(&path))?;
    let metadata = found.data.get("metadata");
    let number = metadata
        .and_then(|metadata| metadata.get("version"))
        .and_then(Json::as_u64)
        .ok_or_else(|| nothing_at(&path))?;
    match found.data.get("data").and_then(Json::as_object) {
        Some(data) => Ok(Version {
            number,
            data: data.clone(),
        }),
        None => Err(Failure::Missing(format!(
            "version {number} of {path} is deleted; there is nothing to compare"
        ))),
    }
}

/// The keys that differ, sorted.
fn changes<'a>(from: &'a Object, to: &'a Object) -> Vec<Change<'a>> {
    let changed = to.iter().map(|(key, now)| Change {
        key,
        before: from.get(key),
        now: Some(now),
    });
    let removed = from.iter().map(|(key, before)| Change {
        key,
        before: Some(before),
        now: to.get(key),
    });
    let mut changes: Vec<_> = changed
        .filter(|change| change.before != change.now)
        .chain(removed.filter(|change| change.now.is_none()))
        .collect();
    changes.sort_unstable_by_key(|change| change.key);
    changes
}

impl Change<'_> {
    fn word(&self) -> &'static str {
        match (self.before, self.now) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        }
    }
}

fn as_table(from: &Version, to: &Version, changes: &[Change<'_>], values: bool) -> String {
    if changes.is_empty() {
        return format!("Versions {} and {} are alike\n", from.number, to.number);
    }
    let text = |value: Option<&Json>| match value {
        None => String::new(),
        Some(value) => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    };
    let rows = changes.iter().map(|change| {
        let mut row = vec![change.key.to_owned(), change.word().to_owned()];
        if values {
            row.extend([text(change.before), text(change.now)]);
        }
        row
    });
    let numbers = [from, to].map(|version| format!("Version {}", version.number));
    let mut heading = vec!["Key", "Change"];
    if values {
        heading.extend(numbers.iter().map(String::as_str));
    }
    table::headed(&heading, rows.collect())
}

fn as_json(from: &Version, to: &Version, changes: &[Change<'_>], values: bool) -> Object {
    let told = changes.iter().map(|change| {
        let mut told = Object::new();
        told.insert("change", change.word());
        for (name, value) in [("from", change.before), ("to", change.now)] {
            if let Some(value) = value.filter(|_| values) {
                told.insert(name, value.clone());
            }
        }
        (change.key, told)
    });
    let mut all = Object::new();
    all.insert("from", from.number);
    all.insert("to", to.number);
    all.insert("changes", told.collect::<Object>());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Json::parse(text).unwrap().as_object().unwrap().clone()
    }

    #[test]
    fn each_key_is_told_once() {
        let from = object(r#"{"same":1,"other":"a","gone":{"x":1},"number":1}"#);
        let to = object(r#"{"number":1.0,"new":null,"other":"b","same":1}"#);
        let told: Vec<_> = changes(&from, &to)
            .into_iter()
            .map(|change| format!("{} {}", change.key, change.word()))
            .collect();
        let expected = [
            "gone removed",
            "new added",
            "number changed",
            "other changed",
        ];
        assert_eq!(told, expected);
        assert!(changes(&from, &from).is_empty());
    }
}
