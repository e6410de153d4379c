//! `kv delete`, `kv undelete`, `kv destroy`: versions that go, and come back.

use super::location::{Location, Place};
use crate::arguments::flags::Connection;
use crate::failure::{During, Failure};
use crate::output::secret;
use crate::session::Session;
use clap::Args;

/// Deletes a secret.
///
/// With version 2 it is the newest version, or those named, and they can be brought back by `kv
/// undelete`.
#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    place: Place,
    /// Versions to delete, with commas between; may be given more than once
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    versions: Vec<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// Brings deleted versions back.
#[derive(Args)]
pub(crate) struct Undelete {
    #[command(flatten)]
    place: Place,
    /// Versions to bring back, with commas between; may be given more than once
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', required = true)]
    versions: Vec<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// Removes the data of versions for ever.
#[derive(Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    place: Place,
    /// Versions to remove, with commas between; may be given more than once
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', required = true)]
    versions: Vec<u64>,
    #[command(flatten)]
    connection: Connection,
}

impl Delete {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, location) = open(&self.connection, &self.place).await?;
        let path = location.api_path("data");
        let deleted = if self.versions.is_empty() {
            session.client.delete(&path).await
        } else {
            location.needs_version_2("-versions")?;
            session
                .client
                .kv2(&location.mount)
                .delete_versions(&location.path, &self.versions)
                .await
        };
        let answer = deleted.during(|| format!("deleting {path}"))?;
        let done = format!("Success! Data deleted (if it existed) at: {path}");
        secret::show_written(answer.as_ref(), &session.style, &done)
    }
}

impl Undelete {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, location) = open(&self.connection, &self.place).await?;
        location.needs_version_2("kv undelete")?;
        let path = location.api_path("undelete");
        let kv = session.client.kv2(&location.mount);
        let undeleted = kv.undelete(&location.path, &self.versions).await;
        let answer = undeleted.during(|| format!("writing data to {path}"))?;
        let done = format!("Success! Data written to: {path}");
        secret::show_written(answer.as_ref(), &session.style, &done)
    }
}

impl Destroy {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (session, location) = open(&self.connection, &self.place).await?;
        location.needs_version_2("kv destroy")?;
        let path = location.api_path("destroy");
        let kv = session.client.kv2(&location.mount);
        let destroyed = kv.destroy(&location.path, &self.versions).await;
        let answer = destroyed.during(|| format!("writing data to {path}"))?;
        let done = format!("Success! Data written to: {path}");
        secret::show_written(answer.as_ref(), &session.style, &done)
    }
}

async fn open(connection: &Connection, place: &Place) -> Result<(Session, Location), Failure> {
    let session = Session::open(connection)?;
    let location = place.find(&session).await?;
    Ok((session, location))
}
