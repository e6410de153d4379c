//! `kv delete`, `kv undelete`, `kv destroy`: versions that go, and come back.

use super::location::{Location, Place};
use crate::arguments::flags::Connection;
use crate::commands::outcome;
use crate::failure::Failure;
use crate::session::Session;
use clap::Args;
use secretum_client::kv::VersionChange;

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
            kv.change(VersionChange::Delete, &location.path, &self.versions)
                .await
        };
        outcome::deleted(deleted, &session, &path)
    }

    pub(crate) async fn undelete(self) -> Result<(), Failure> {
        self.change(VersionChange::Undelete).await
    }

    pub(crate) async fn destroy(self) -> Result<(), Failure> {
        self.change(VersionChange::Destroy).await
    }

    async fn change(self, change: VersionChange) -> Result<(), Failure> {
        let (session, location) = self.open().await?;
        location.needs_version_2(&format!("kv {}", change.area()))?;
        let kv = session.client.kv2(&location.mount);
        let changed = kv.change(change, &location.path, &self.versions).await;
        outcome::written(changed, &session, &location.api_path(change.area()))
    }

    async fn open(&self) -> Result<(Session, Location), Failure> {
        let session = Session::open(&self.connection)?;
        let location = self.place.find(&session).await?;
        Ok((session, location))
    }
}
