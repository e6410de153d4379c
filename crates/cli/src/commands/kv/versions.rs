//! `kv delete`, `kv undelete`, `kv destroy`: versions that go, and come back.

use super::location::{Location, Place};
use crate::arguments::flags::Connection;
use crate::commands::outcome;
use crate::failure::Failure;
use crate::session::Session;
use clap::Args;

/// Which versions of which secret.
#[derive(Args)]
pub(crate) struct Versions {
    #[command(flatten)]
    place: Place,
    /// Numbers of the versions, with commas between; may be given more than once
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    versions: Vec<u64>,
    #[command(flatten)]
    connection: Connection,
}

impl Versions {
    pub(crate) async fn delete(self) -> Result<(), Failure> {
        let (session, location) = self.open().await?;
        let path = location.api_path("data");
        let deleted = if self.versions.is_empty() {
            session.client.delete(&path).await
        } else {
            location.needs_version_2("-versions")?;
            let kv = session.client.kv2(&location.mount);
            kv.delete_versions(&location.path, &self.versions).await
        };
        outcome::deleted(deleted, &session, &path)
    }

    pub(crate) async fn undelete(self) -> Result<(), Failure> {
        let (session, location) = self.open_version_2("kv undelete").await?;
        let kv = session.client.kv2(&location.mount);
        let undeleted = kv.undelete(&location.path, &self.versions).await;
        outcome::written(undeleted, &session, &location.api_path("undelete"))
    }

    pub(crate) async fn destroy(self) -> Result<(), Failure> {
        let (session, location) = self.open_version_2("kv destroy").await?;
        let kv = session.client.kv2(&location.mount);
        let destroyed = kv.destroy(&location.path, &self.versions).await;
        outcome::written(destroyed, &session, &location.api_path("destroy"))
    }

    async fn open(&self) -> Result<(Session, Location), Failure> {
        let session = Session::open(&self.connection)?;
        let location = self.place.find(&session).await?;
        Ok((session, location))
    }

    async fn open_version_2(&self, command: &str) -> Result<(Session, Location), Failure> {
        let (session, location) = self.open().await?;
        location.needs_version_2(command)?;
        Ok((session, location))
    }
}
