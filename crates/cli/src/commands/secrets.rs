//! `secrets`: secret engines and where they are mounted.

use crate::arguments::flags::{self, Connection};
use crate::commands::mounts::{self, Kind, Settings};
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured};
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::sys::EnableMount;

/// What to do with secret engines.
#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    Enable(Enable),
    Disable(Disable),
    Tune(Tune),
}

/// Lists the secret engines and where they are mounted.
#[derive(Args)]
pub(crate) struct List {
    /// Show all that is known of each
    #[arg(long)]
    detailed: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Mounts a secret engine
///
///   secrets enable -path=app -version=2 kv
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Enable {
    /// Kind of engine
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Where to mount it; at its kind's name where none is given
    #[arg(long)]
    path: Option<String>,
    /// Version of the engine (kv: 1 or 2)
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// Do not cache
    #[arg(long)]
    force_no_cache: bool,
    /// Keep it in this cluster
    #[arg(long)]
    local: bool,
    /// Encrypt its records by the seal too
    #[arg(long)]
    seal_wrap: bool,
    /// Let it take randomness from outside
    #[arg(long)]
    external_entropy_access: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    connection: Connection,
}

/// Unmounts a secret engine.
///
/// All its data is gone and its leases are revoked.
#[derive(Args)]
pub(crate) struct Disable {
    /// Where it is mounted
    path: String,
    #[command(flatten)]
    connection: Connection,
}

/// Changes the settings of a mount; what is not given stays.
#[derive(Args)]
pub(crate) struct Tune {
    /// Where it is mounted
    path: String,
    /// Version of the engine (kv: 2, from 1)
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    connection: Connection,
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run().await,
            Self::Enable(command) => command.run().await,
            Self::Disable(command) => command.run().await,
            Self::Tune(command) => command.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let found = session.client.read("sys/mounts").await;
        let found = found
            .during(|| "listing secrets engines".to_owned())?
            .unwrap_or_default();
        if !session.style.is_table() {
            return structured(&found.data, session.style.format);
        }
        let mounts = found
            .data
            .decode()
            .map_err(|error| Failure::local(format!("cannot read the list: {error}")))?;
        let shown = if self.detailed {
            mounts::detailed
        } else {
            mounts::brief
        };
        console::out(&shown(&mounts, Kind::Secrets))
    }
}

impl Enable {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let kind = self.kind.trim().to_owned();
        let path = flags::path(self.path.as_deref().unwrap_or(&kind))?;
        let mut config = self.settings.tune();
        let mut options = config.options.take().unwrap_or_default();
        if let Some(version) = self.version {
            options.insert("version".to_owned(), version.to_string());
        }
        config.force_no_cache = self.force_no_cache.then_some(true);
        let mount = EnableMount {
            kind: kind.clone(),
            description: config.description.take().unwrap_or_default(),
            config,
            options,
            local: self.local,
            seal_wrap: self.seal_wrap,
            external_entropy_access: self.external_entropy_access,
        };
        let enabled = session.client.sys().enable_mount(&path, &mount).await;
        enabled.during(|| "enabling".to_owned())?;
        secret::say(
            &session.style,
            &format!("Success! Enabled the {kind} secrets engine at: {path}/"),
        )
    }
}

impl Disable {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let disabled = session.client.sys().disable_mount(&path).await;
        disabled.during(|| format!("disabling secrets engine at {path}/"))?;
        let done = format!("Success! Disabled the secrets engine (if it existed) at: {path}/");
        secret::say(&session.style, &done)
    }
}

impl Tune {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let mut tune = self.settings.tune();
        if let Some(version) = self.version {
            let options = tune.options.get_or_insert_default();
            options.insert("version".to_owned(), version.to_string());
        }
        let tuned = session.client.sys().tune(&path, &tune).await;
        let answer = tuned.during(|| format!("tuning secrets engine {path}/"))?;
        secret::say(
            &session.style,
            &format!("Success! Tuned the secrets engine at: {path}/"),
        )?;
        console::warnings(&answer.map(|answer| answer.warnings).unwrap_or_default());
        Ok(())
    }
}
