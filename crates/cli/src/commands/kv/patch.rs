//! `kv patch`: changes some keys of a secret.

use super::location::{Location, Place};
use super::{get, put};
use crate::arguments::data;
use crate::arguments::flags::{Connection, Field};
use crate::commands::outcome;
use crate::failure::{During, Failure};
use crate::session::Session;
use clap::{Args, ValueEnum};
use secretum_client::{ClientError, Json, Object, Secret};

/// Changes some keys of a secret, and leaves the others: a new version of it
///
/// The engine must be of version 2.
///
///   kv patch -mount=secret app/database password=-
///   kv patch -remove-data=old secret/app
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Patch {
    #[command(flatten)]
    place: Place,
    /// What to change; written as for put
    #[arg(value_name = "KEY=VALUE", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Key to remove; may be given more than once
    #[arg(long, value_name = "KEY")]
    remove_data: Vec<String>,
    /// How: the server merges (patch), or this command reads and writes (rw); patch, and rw where
    /// the server cannot merge, if none is given
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// Change it only if this is the newest version
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    cas: Option<i64>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Who merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// The server.
    Patch,
    /// This command: reads, and writes.
    Rw,
}

/// Status: the server knows no PATCH.
const METHOD_NOT_ALLOWED: u16 = 405;

impl Patch {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let changes = changes(&self.data, &self.remove_data)?;
        let session = Session::with_field(&self.connection, self.field)?;
        let location = self.place.find(&session).await?;
        // Vault's exit code for this is the one of a refusal by the server.
        let version = location.needs_version_2("kv patch");
        version.map_err(|failure| Failure::Missing(failure.to_string()))?;
        let cas = put::check_and_set(self.cas, &location)?;
        let path = location.api_path("data");
        let written = match self.method {
            Some(Method::Rw) => read_and_write(&session, &location, &changes, cas).await?,
            method => match by_server(&session, &location, &changes, cas).await {
                Err(error) if method.is_none() && error.status() == Some(METHOD_NOT_ALLOWED) => {
                    read_and_write(&session, &location, &changes, cas).await?
                }
                written => written.during(|| outcome::writing(&path))?,
            },
        };
        put::show_written(written.as_ref(), &path, &location, &session)
    }
}

fn changes(arguments: &[String], removed: &[String]) -> Result<Object, Failure> {
    if arguments.is_empty() && removed.is_empty() {
        return Err(Failure::local(
            "Must supply data: key=value, @file, or - for standard input",
        ));
    }
    let mut changes = data::read(arguments, &mut std::io::stdin().lock())?;
    for key in removed {
        changes.insert(key.as_str(), Json::Null);
    }
    Ok(changes)
}

async fn by_server(
    session: &Session,
    location: &Location,
    changes: &Object,
    cas: Option<u64>,
) -> Result<Option<Secret>, ClientError> {
    session
        .client
        .kv2(&location.mount)
        .patch(&location.path, changes, cas)
        .await
}

/// Reads the newest version and writes the next one, which must follow the one that was read.
async fn read_and_write(
    session: &Session,
    location: &Location,
    changes: &Object,
    cas: Option<u64>,
) -> Result<Option<Secret>, Failure> {
    let path = location.api_path("data");
    let reader = session.reader();
    let found = get::read(&reader, location, 0).await?.unwrap_or_default();
    let data = found.data.get("data").and_then(Json::as_object);
    let data = data.ok_or_else(|| {
        Failure::Missing(format!(
            "No data found at {path}; patch only works on existing data"
        ))
    })?;
    let read = found
        .data
        .get("metadata")
        .and_then(|metadata| metadata.get("version"));
    let cas = cas.or_else(|| read.and_then(Json::as_u64));
    let merged = merge(data, changes);
    let written = session
        .client
        .kv2(&location.mount)
        .put(&location.path, &merged, cas)
        .await;
    written.during(|| outcome::writing(&path))
}

/// A JSON merge patch (RFC 7396).
fn merge(data: &Object, changes: &Object) -> Object {
    let mut merged = data.clone();
    for (key, change) in changes.iter() {
        match (merged.get(key), change) {
            (_, Json::Null) => {
                merged.remove(key);
            }
            (Some(Json::Object(old)), Json::Object(new)) => {
                let value = merge(old, new);
                merged.insert(key, value);
            }
            (_, Json::Object(new)) => merged.insert(key, merge(&Object::new(), new)),
            (_, value) => merged.insert(key, value.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_follows_rfc_7396() {
        for (data, changes, merged) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (
                r#"{}"#,
                r#"{"a":{"bb":{"ccc":null}}}"#,
                r#"{"a":{"bb":{}}}"#,
            ),
            (r#"{"e":null}"#, r#"{"a":1.0}"#, r#"{"e":null,"a":1.0}"#),
            (r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
        ] {
            let object = |text: &str| Json::parse(text).unwrap().as_object().unwrap().clone();
            assert_eq!(
                Json::from(merge(&object(data), &object(changes))).to_string(),
                merged
            );
        }
    }
}
