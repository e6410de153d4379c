//! `enable` and `tune` of secret engines and auth methods, which have settings.

use super::Kind;
use super::settings::Settings;
use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::{console, secret};
use crate::session::Session;
use clap::Args;
use secretum_client::sys::{EnableMount, TuneMount};

/// A kind of engine: what is enabled with settings, which can be changed afterwards.
pub(crate) trait Engine: Kind<New = EnableMount> {
    /// Settings that only this kind has, as flags of `enable`.
    type Enabling: Args + Into<TuneMount>;
    /// The same of `tune`.
    type Tuning: Args + Into<TuneMount>;

    /// What TYPE is, for the help.
    const TYPE: &'static str;
    /// What its paths begin with where all mounts are one table: `auth/`.
    const PREFIX: &'static str;
}

/// The flags of `enable`.
#[derive(Args)]
pub(crate) struct Enable<E: Engine> {
    #[arg(value_name = "TYPE", help = E::TYPE)]
    kind: String,
    /// Where to mount it; at its kind's name where none is given
    #[arg(long)]
    path: Option<String>,
    /// Kind of it, where TYPE is the word `plugin`, as older scripts have it
    #[arg(long, value_name = "TYPE")]
    plugin_name: Option<String>,
    #[command(flatten)]
    own: E::Enabling,
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

/// The flags of `tune`.
#[derive(Args)]
pub(crate) struct Tune<E: Engine> {
    /// Where it is mounted
    path: String,
    #[command(flatten)]
    own: E::Tuning,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    connection: Connection,
}

impl<E: Engine> Enable<E> {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut config = self.settings.over(self.own.into());
        let new = |kind| {
            Ok(EnableMount {
                kind,
                description: config.description.take().unwrap_or_default(),
                options: config.options.take().unwrap_or_default(),
                config,
                local: self.local,
                seal_wrap: self.seal_wrap,
                external_entropy_access: self.external_entropy_access,
            })
        };
        let kind = match (self.kind.trim(), &self.plugin_name) {
            ("plugin", Some(name)) => name,
            _ => &self.kind,
        };
        super::enable::<E>(&self.connection, kind, self.path.as_deref(), new).await
    }
}

impl<E: Engine> Tune<E> {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let tune = self.settings.over(self.own.into());
        let mount = format!("{}{path}", E::PREFIX);
        let tuned = session.client.sys().tune(&mount, &tune).await;
        let answer = tuned.during(|| format!("tuning {} {path}/", E::NAME))?;
        let done = format!("Success! Tuned the {} at: {path}/", E::NAME);
        secret::say(&session.style, &done)?;
        console::warnings(&answer.map(|answer| answer.warnings).unwrap_or_default());
        Ok(())
    }
}
