//! `kv enable-versioning`: turns an engine of version 1 into one of version 2.

use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::secret;
use crate::session::Session;
use clap::Args;
use secretum_client::sys::TuneMount;
use std::collections::BTreeMap;

/// Turns an engine of version 1 into one of version 2; its secrets become first versions.
///
/// There is no way back.
#[derive(Args)]
pub(crate) struct EnableVersioning {
    /// Where the engine is mounted
    mount: String,
    #[command(flatten)]
    connection: Connection,
}

impl EnableVersioning {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let mount = flags::path(&self.mount)?;
        let options = BTreeMap::from([("version".to_owned(), "2".to_owned())]);
        let tune = TuneMount {
            options: Some(options),
            ..TuneMount::default()
        };
        let tuned = session.client.sys().tune(&mount, &tune).await;
        tuned.during(|| format!("tuning secrets engine {mount}/"))?;
        secret::say(
            &session.style,
            &format!("Success! Tuned the secrets engine at: {mount}/"),
        )
    }
}
