//! `kv copy` and `kv move`: a secret with all its versions, at another path of its mount.

use super::location::{Location, Place};
use crate::arguments::flags::{Connection, Field};
use crate::failure::{During, Failure};
use crate::output::rights::Right;
use crate::output::secret;
use crate::session::Session;
use clap::Args;

/// From where to where.
#[derive(Args)]
pub(crate) struct Transfer {
    /// Path of the secret: below -mount, or with the mount before it
    source: String,
    /// Where to: below -mount, or with the mount before it
    destination: String,
    /// Where the engine is mounted; both paths are then below it
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,
    /// Overwrite the secret at the destination, with its history, if this is its newest version
    #[arg(long, value_name = "NUMBER")]
    cas: Option<u64>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Whether the source stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Copy,
    Move,
}

impl Transfer {
    pub(crate) async fn copy(self) -> Result<(), Failure> {
        self.run(Kind::Copy).await
    }

    pub(crate) async fn rename(self) -> Result<(), Failure> {
        self.run(Kind::Move).await
    }

    async fn run(self, kind: Kind) -> Result<(), Failure> {
        let (command, area, done) = match kind {
            Kind::Copy => ("kv copy", "copy", "copied"),
            Kind::Move => ("kv move", "move", "moved"),
        };
        let session = Session::with_field(&self.connection, self.field)?;
        let place = |path| Place::new(path, self.mount.clone());
        let source = place(self.source).find(&session).await?;
        let destination = place(self.destination).find(&session).await?;
        source.needs_version_2(command)?;
        in_one_mount(&source, &destination)?;
        if session.shows_policy {
            return Err(Failure::Rights(rights(
                kind,
                &source,
                &destination,
                self.cas,
            )));
        }
        let kv = session.client.kv2(&source.mount);
        let (from, to) = (source.path.as_str(), destination.path.as_str());
        let told = match kind {
            Kind::Copy => kv.copy(from, to, self.cas).await,
            Kind::Move => kv.rename(from, to, self.cas).await,
        };
        let told = told.during(|| format!("writing data to {}", destination.api_path(area)))?;
        let done = format!(
            "Success! Secret {done}: {} to {}",
            source.api_path("data"),
            destination.api_path("data")
        );
        let shows_data = session.style.field.is_some() || !session.style.is_table();
        let shows_token = told.as_ref().is_some_and(|told| told.wrap_info.is_some());
        let answer = told.filter(|_| shows_data || shows_token);
        secret::show_written(answer.as_ref(), &session.style, &done)
    }
}

/// Fails where the two are in different mounts, which no single write covers.
fn in_one_mount(source: &Location, destination: &Location) -> Result<(), Failure> {
    if source.mount == destination.mount {
        return Ok(());
    }
    Err(Failure::local(format!(
        "`{}/` and `{}/` are different mounts, and one write covers one of them only: take `kv export` \
         and `kv import`, which keep the newest version, and delete what is left over yourself",
        source.mount, destination.mount
    )))
}

/// What the server asks for.
fn rights(kind: Kind, source: &Location, destination: &Location, cas: Option<u64>) -> Vec<Right> {
    let area = if kind == Kind::Move { "move" } else { "copy" };
    let write: &[&str] = &["create", "update"];
    let overwrite: &[&str] = &["create", "update", "delete"];
    let read: &[&str] = &["read"];
    let take: &[&str] = &["read", "delete"];
    vec![
        Right::new(destination.api_path(area), write),
        Right::new(source.api_path("data"), read),
        Right::new(source.api_path("undelete"), &["update"]),
        Right::new(
            source.api_path("metadata"),
            if kind == Kind::Move { take } else { read },
        ),
        Right::new(destination.api_path("data"), write),
        Right::new(
            destination.api_path("metadata"),
            if cas.is_some() { overwrite } else { write },
        ),
    ]
}
