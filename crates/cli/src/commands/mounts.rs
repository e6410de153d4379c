//! What `secrets`, `auth` and `audit` share: things that are enabled at a path, listed and disabled.
//!
//! A kind of them is a struct without fields that says what is its own: [`Kind`], and [`Engine`]
//! where it is an engine with settings. The commands are written once, for any kind.

mod columns;
mod engine;
mod relocation;
mod settings;

pub(crate) use columns::{Column, brief, detailed, replication};
pub(crate) use engine::{Enable, Engine, Tune};
pub(crate) use relocation::Move;

use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured};
use crate::session::Session;
use clap::Args;
use secretum_client::ClientError;
use secretum_client::sys::Sys;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The exit code where there is none to list.
const NONE: u8 = 2;

/// A kind of thing that is enabled at a path.
pub(crate) trait Kind {
    /// What the server tells of one.
    type Entry: DeserializeOwned;
    /// What is sent to enable one.
    type New;

    /// What one is called: `secrets engine`.
    const NAME: &'static str;
    /// The path of the API that lists them: `sys/mounts`.
    const TABLE: &'static str;
    /// What was being done when listing them failed.
    const LISTING: &'static str;
    /// What is said where there is none, which then counts as a failure; else the table is empty.
    const NONE: Option<&'static str> = None;

    /// The columns of the table of them.
    fn columns(detailed: bool) -> Vec<Column<Self::Entry>>;

    async fn enable(sys: Sys<'_>, path: &str, new: &Self::New) -> Result<(), ClientError>;

    async fn disable(sys: Sys<'_>, path: &str) -> Result<(), ClientError>;

    /// What was being done when enabling one of this type failed.
    fn enabling(kind: &str) -> String;

    /// What is said when one of this type is enabled.
    fn enabled(kind: &str, path: &str) -> String {
        format!("Enabled the {kind} {} at: {path}/", Self::NAME)
    }

    /// What was being done when disabling one failed.
    fn disabling(path: &str) -> String {
        format!("disabling {} at {path}/", Self::NAME)
    }

    /// What is said when one is disabled.
    fn disabled(path: &str) -> String {
        format!("Disabled the {} (if it existed) at: {path}/", Self::NAME)
    }
}

/// The flags of `list`.
#[derive(Args)]
pub(crate) struct List {
    /// Show all that is known of each
    #[arg(long)]
    detailed: bool,
    #[command(flatten)]
    connection: Connection,
}

/// The flags of `disable`.
#[derive(Args)]
pub(crate) struct Disable {
    /// Where it is mounted
    path: String,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    pub(crate) async fn run<K: Kind>(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let found = session.client.read(K::TABLE).await;
        let found = found.during(|| K::LISTING.to_owned())?.unwrap_or_default();
        if !session.style.is_table() {
            return structured(&found.data, session.style.format);
        }
        let entries: BTreeMap<String, K::Entry> = found
            .data
            .decode()
            .map_err(|error| Failure::local(format!("cannot read the list: {error}")))?;
        if let (Some(text), true) = (K::NONE, entries.is_empty()) {
            console::line(text)?;
            return Err(Failure::Silent(NONE));
        }
        console::out(&columns::table(&K::columns(self.detailed), &entries))
    }
}

impl Disable {
    pub(crate) async fn run<K: Kind>(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let disabled = K::disable(session.client.sys(), &path).await;
        disabled.during(|| K::disabling(&path))?;
        secret::say(&session.style, &format!("Success! {}", K::disabled(&path)))
    }
}

/// Enables one of a type, at its type's name where no path is given, and says so.
pub(crate) async fn enable<K: Kind>(
    connection: &Connection,
    kind: &str,
    path: Option<&str>,
    new: impl FnOnce(String) -> Result<K::New, Failure>,
) -> Result<(), Failure> {
    let session = Session::open(connection)?;
    let kind = kind.trim();
    let path = flags::path(path.unwrap_or(kind))?;
    let new = new(kind.to_owned())?;
    let enabled = K::enable(session.client.sys(), &path, &new).await;
    enabled.during(|| K::enabling(kind))?;
    secret::say(
        &session.style,
        &format!("Success! {}", K::enabled(kind, &path)),
    )
}
