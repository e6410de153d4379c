//! `kv rollback`: makes an earlier version the newest one.

use super::location::Place;
use super::{get, tree};
use crate::arguments::flags::Connection;
use crate::commands::generic::nothing_at;
use crate::commands::outcome;
use crate::failure::Failure;
use crate::session::Session;
use clap::Args;
use secretum_client::Json;
use secretum_client::kv::WriteOptions;

/// Writes what an earlier version holds as a new version.
///
/// It fails where the secret changes meanwhile.
#[derive(Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    place: Place,
    /// The earlier version
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    version: u64,
    #[command(flatten)]
    connection: Connection,
}

impl Rollback {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let location = self.place.find(&session).await?;
        location.needs_version_2("kv rollback")?;
        let path = location.api_path("data");
        let reader = session.reader();
        let newest = get::read(&reader, &location, 0)
            .await?
            .ok_or_else(|| nothing_at(&path))?;
        let metadata = newest.data.get("metadata");
        let newest = metadata.and_then(|metadata| metadata.get("version"));
        let cas = newest
            .and_then(Json::as_u64)
            .ok_or_else(|| nothing_at(&path))?;
        // The secret ends when it did before.
        let ttl = tree::expires(metadata).map(tree::ttl_until);
        let earlier = get::read(&reader, &location, self.version).await?;
        let earlier = earlier.ok_or_else(|| nothing_at(&path))?;
        let data = earlier
            .data
            .get("data")
            .filter(|data| !data.is_null())
            .ok_or_else(|| {
                Failure::Missing(format!(
                    "version {} of {path} is deleted; there is nothing to go back to",
                    self.version
                ))
            })?;
        let written = session
            .client
            .kv2(&location.mount)
            .put_with(
                &location.path,
                data,
                &WriteOptions {
                    cas: Some(cas),
                    ttl,
                },
            )
            .await;
        outcome::written(written, &session, &path)
    }
}
