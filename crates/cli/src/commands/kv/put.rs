//! `kv put`: writes a secret.

use super::location::{Location, Place};
use super::show;
use crate::arguments::data;
use crate::arguments::flags::{self, Connection, Field};
use crate::commands::outcome;
use crate::failure::{During, Failure};
use crate::session::Session;
use clap::Args;
use secretum_client::kv::WriteOptions;
use secretum_client::{Json, Secret};

/// Writes a secret, over all keys that were there; with version 2, as a new version
///
/// Data are key=value; key=@file takes the value from a file, key=- from standard input. @file and
/// - take all of it, as JSON.
///
///   kv put -mount=secret app/database user=app password=-
///   kv put -cas=0 secret/app @app.json
///   kv put -ttl=1h secret/one-time password=-
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Put {
    #[command(flatten)]
    place: Place,
    /// What to write
    #[arg(value_name = "KEY=VALUE", allow_negative_numbers = true)]
    data: Vec<String>,
    /// Write only if this is the newest version; 0 if there is none yet
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    cas: Option<i64>,
    /// How long the version lives (90s, 1h, 7d), after which it is destroyed; version 2 only
    #[arg(long, value_name = "DURATION", value_parser = flags::duration)]
    ttl: Option<String>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl Put {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let body = given(&self.data)?;
        let session = Session::with_field(&self.connection, self.field)?;
        let location = self.place.find(&session).await?;
        let cas = check_and_set(self.cas, &location)?;
        let ttl = self.ttl;
        if ttl.is_some() {
            location.needs_version_2("-ttl")?;
        }
        let path = location.api_path("data");
        let written = if location.version == 2 {
            session
                .client
                .kv2(&location.mount)
                .put_with(&location.path, &body, &WriteOptions { cas, ttl })
                .await
        } else {
            session
                .client
                .kv1(&location.mount)
                .put(&location.path, &body)
                .await
        };
        let written = written.during(|| outcome::writing(&path))?;
        show_written(written.as_ref(), &path, &location, &session)
    }
}

/// The data of a write, of which there must be some.
pub(crate) fn given(arguments: &[String]) -> Result<Json, Failure> {
    if arguments.is_empty() {
        return Err(Failure::local(
            "Must supply data: key=value, @file, or - for standard input",
        ));
    }
    data::read(arguments, &mut std::io::stdin().lock()).map(Json::from)
}

/// The version that a write must follow. Vault's users write -1 for any.
pub(crate) fn check_and_set(cas: Option<i64>, location: &Location) -> Result<Option<u64>, Failure> {
    match cas.map(u64::try_from) {
        Some(Ok(cas)) => location.needs_version_2("-cas").map(|()| Some(cas)),
        Some(Err(_)) | None => Ok(None),
    }
}

/// Shows what a write got back.
pub(crate) fn show_written(
    written: Option<&Secret>,
    path: &str,
    location: &Location,
    session: &Session,
) -> Result<(), Failure> {
    match written {
        Some(written) if location.version == 2 && written.wrap_info.is_none() => {
            show::written(written, path, &session.style)
        }
        written => outcome::show_written(written, session, path),
    }
}
