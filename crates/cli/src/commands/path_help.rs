//! `path-help`: the help of a path.

use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::{console, structured};
use crate::session::Session;
use clap::Args;
use secretum_client::Object;

/// Shows the help of a path: what can be done there, and with which parameters.
#[derive(Args)]
pub(crate) struct PathHelp {
    /// Path of the API
    path: String,
    #[command(flatten)]
    connection: Connection,
}

impl PathHelp {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = flags::path(&self.path)?;
        let session = Session::open(&self.connection)?;
        let help = session
            .client
            .help(&path)
            .await
            .during(|| "retrieving help".to_owned())?;
        if session.style.is_table() {
            return console::line(help.trim());
        }
        let object: Object = [("help", help)].into_iter().collect();
        structured(&object.into(), session.style.format)
    }
}
