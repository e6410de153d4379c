//! `version-history`: which versions wrote the vault's data.

use crate::arguments::flags::Connection;
use crate::failure::{During, Failure};
use crate::output::secret::envelope;
use crate::output::{console, go_value, structured, table};
use crate::session::Session;
use clap::Args;
use secretum_client::Json;

/// Shows which versions of the server this vault has had, and since when.
#[derive(Args)]
pub(crate) struct VersionHistory {
    #[command(flatten)]
    connection: Connection,
}

impl VersionHistory {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let listed = session.client.list("sys/version-history").await;
        let found = listed
            .during(|| "reading the version history".to_owned())?
            .unwrap_or_default();
        if !session.style.is_table() {
            return structured(&envelope(&found), session.style.format);
        }
        let versions = found.data.get("keys").and_then(Json::as_array);
        let rows = versions.unwrap_or_default().iter().map(|version| {
            let version = go_value::text(version);
            let facts = (found.data.get("key_info")).and_then(|all| all.get(&version));
            let of = |name: &str| facts.and_then(|facts| facts.get(name)).map(go_value::text);
            let installed = of("timestamp_installed").unwrap_or_default();
            vec![version, installed, of("build_date").unwrap_or_default()]
        });
        let heading = ["Version", "Installation Time", "Build Date"];
        console::out(&table::headed(&heading, rows.collect()))
    }
}
