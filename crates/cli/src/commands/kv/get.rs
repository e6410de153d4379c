//! `kv get`: reads a secret.

use super::location::{Location, Place};
use super::show;
use crate::arguments::flags::{Connection, Field};
use crate::commands::generic::nothing_at;
use crate::failure::{During, Failure};
use crate::output::{console, secret};
use crate::session::Session;
use clap::Args;
use secretum_client::{Json, Secret};

/// Reads a secret
///
///   kv get -mount=secret app/database
///   kv get -field=password secret/app/database
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Get {
    #[command(flatten)]
    place: Place,
    /// Version to read; 0 for the newest
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    version: i64,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl Get {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let location = self.place.find(&session).await?;
        let path = location.api_path("data");
        // Vault takes a negative number for the newest version too.
        let version = u64::try_from(self.version).unwrap_or(0);
        let found = read(&session, &location, version)
            .await?
            .ok_or_else(|| nothing_at(&path))?;
        if location.version == 2 && found.wrap_info.is_none() {
            show_version(&found, &path, &session)
        } else if location.version == 1 && found.wrap_info.is_none() {
            show_plain(&found, &session)
        } else {
            secret::show(&found, &session.style)
        }
    }
}

/// Reads a secret, of version 2 a version of it (0 for the newest).
pub(crate) async fn read(
    session: &Session,
    location: &Location,
    version: u64,
) -> Result<Option<Secret>, Failure> {
    let path = location.api_path("data");
    let found = if location.version == 2 {
        let version = (version > 0).then_some(version);
        session
            .client
            .kv2(&location.mount)
            .get(&location.path, version)
            .await
    } else {
        location.allows_version(version)?;
        session.client.read(&path).await
    };
    found.during(|| format!("reading {path}"))
}

impl Location {
    /// Fails where a version is asked of an engine that has none.
    fn allows_version(&self, version: u64) -> Result<(), Failure> {
        if version > 0 {
            self.needs_version_2("-version")
        } else {
            Ok(())
        }
    }
}

fn show_version(found: &Secret, path: &str, session: &Session) -> Result<(), Failure> {
    let Some(name) = &session.style.field else {
        return show::version(found, path, &session.style);
    };
    let data = found.data.get("data").filter(|data| !data.is_null());
    let data = data.ok_or_else(|| Failure::Missing(format!("No data found at {path}")))?;
    field(data, name, session)?;
    console::warnings(&found.warnings);
    Ok(())
}

fn show_plain(found: &Secret, session: &Session) -> Result<(), Failure> {
    match &session.style.field {
        Some(name) => field(&found.data, name, session),
        None if session.style.is_table() => {
            let data = found.data.as_object().cloned().unwrap_or_default();
            let banner = crate::output::table::banner_over("Data", &data);
            console::out(&(banner + &crate::output::table::members(&data)))?;
            console::warnings(&found.warnings);
            Ok(())
        }
        None => secret::show(found, &session.style),
    }
}

/// Shows a key of the secret; `data` is all of it where no key has that name.
fn field(data: &Json, name: &str, session: &Session) -> Result<(), Failure> {
    if name == "data" && data.get("data").is_none() {
        return crate::output::field(data, session.style.format);
    }
    show::key(data, name, &session.style)
}
