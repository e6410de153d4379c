//! `secrets`: secret engines and where they are mounted.

use crate::commands::mounts::{self, Column, Kind};
use crate::failure::Failure;
use clap::{Args, Subcommand};
use secretum_client::ClientError;
use secretum_client::sys::{EnableMount, Mount, Sys, TuneMount};

/// What to do with secret engines.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists the secret engines and where they are mounted.
    List(mounts::List),
    /// Mounts a secret engine
    ///
    ///   secrets enable -path=app -version=2 kv
    #[command(verbatim_doc_comment)]
    Enable(mounts::Enable<Secrets>),
    /// Unmounts a secret engine.
    ///
    /// All its data is gone and its leases are revoked.
    Disable(mounts::Disable),
    /// Moves a mount to another path, with all it holds
    ///
    ///   secrets move app teams/app
    #[command(verbatim_doc_comment)]
    Move(mounts::Move),
    /// Changes the settings of a mount; what is not given stays.
    Tune(mounts::Tune<Secrets>),
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run::<Secrets>().await,
            Self::Enable(command) => command.run().await,
            Self::Disable(command) => command.run::<Secrets>().await,
            Self::Move(command) => command.run::<Secrets>().await,
            Self::Tune(command) => command.run().await,
        }
    }
}

/// Secret engines, as what is enabled at a path.
pub(crate) struct Secrets;

impl Kind for Secrets {
    type Entry = Mount;
    type New = EnableMount;

    const NAME: &'static str = "secrets engine";
    const TABLE: &'static str = "sys/mounts";
    const LISTING: &'static str = "listing secrets engines";

    fn columns(detailed: bool) -> Vec<Column<Mount>> {
        if !detailed {
            return mounts::brief();
        }
        mounts::detailed(Column::new("Force No Cache", |_, mount| {
            mount.config.force_no_cache.to_string()
        }))
    }

    async fn enable(sys: Sys<'_>, path: &str, mount: &EnableMount) -> Result<(), ClientError> {
        sys.enable_mount(path, mount).await
    }

    async fn disable(sys: Sys<'_>, path: &str) -> Result<(), ClientError> {
        sys.disable_mount(path).await
    }

    fn enabling(_: &str) -> String {
        "enabling".to_owned()
    }
}

impl mounts::Engine for Secrets {
    type Enabling = Enabling;
    type Tuning = Tuning;

    const TYPE: &'static str = "Kind of engine";
    const PREFIX: &'static str = "";
}

/// Settings of a new secret engine.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Enabling {
    /// Version of the engine (kv: 1 or 2)
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// Do not cache
    #[arg(long)]
    force_no_cache: bool,
}

/// Settings of a secret engine that change.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Tuning {
    /// Version of the engine (kv: 2, from 1)
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
}

impl From<Enabling> for TuneMount {
    fn from(flags: Enabling) -> Self {
        let Enabling {
            version,
            force_no_cache,
        } = flags;
        Self {
            force_no_cache: force_no_cache.then_some(true),
            ..Tuning { version }.into()
        }
    }
}

impl From<Tuning> for TuneMount {
    fn from(flags: Tuning) -> Self {
        let version = |number: u64| [("version".to_owned(), number.to_string())].into();
        Self {
            options: flags.version.map(version),
            ..Self::default()
        }
    }
}
