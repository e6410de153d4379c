//! `kv list` and `kv scan`: the names below a path.

use super::location::Place;
use crate::arguments::flags::Connection;
use crate::commands::generic::show_listing;
use crate::failure::{During, Failure};
use crate::session::Session;
use clap::Args;

/// Lists the names below a path; a name with a slash at its end is a folder
///
/// Names are not secret, values are: do not put secrets into names.
///
///   kv list -mount=secret
///   kv list secret/app
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

/// Lists the names below a path and all its folders.
#[derive(Args)]
pub(crate) struct Scan {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = self.place.find_any(&session).await?.api_path("metadata");
        let found = session
            .client
            .list(&path)
            .await
            .during(|| format!("listing {path}"))?;
        show_listing(found, &session, &path, false)
    }
}

impl Scan {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = self.place.find_any(&session).await?.api_path("metadata");
        let found = session
            .client
            .scan(&path)
            .await
            .during(|| format!("scanning {path}"))?;
        show_listing(found, &session, &path, false)
    }
}
