//! `auth`: auth methods and where they are mounted.

use crate::arguments::flags::{self, Connection};
use crate::commands::mounts::{self, Kind, Settings};
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured};
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::sys::{EnableMount, Mount};
use std::collections::BTreeMap;

/// What to do with auth methods.
#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    Enable(Enable),
    Disable(Disable),
    Tune(Tune),
    Help(Help),
}

/// Lists the auth methods and where they are mounted.
#[derive(Args)]
pub(crate) struct List {
    /// Show all that is known of each
    #[arg(long)]
    detailed: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Mounts an auth method
///
///   auth enable -path=staff userpass
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Enable {
    /// Kind of auth method
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Where to mount it; at its kind's name where none is given
    #[arg(long)]
    path: Option<String>,
    /// Kind of token it gives: service, batch, default-service or default-batch
    #[arg(long, value_name = "KIND")]
    token_type: Option<String>,
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

/// Unmounts an auth method.
///
/// All tokens that it gave are revoked.
#[derive(Args)]
pub(crate) struct Disable {
    /// Where it is mounted
    path: String,
    #[command(flatten)]
    connection: Connection,
}

/// Changes the settings of an auth method; what is not given stays.
#[derive(Args)]
pub(crate) struct Tune {
    /// Where it is mounted
    path: String,
    /// Kind of token it gives: service, batch, default-service or default-batch
    #[arg(long, value_name = "KIND")]
    token_type: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    connection: Connection,
}

/// Shows how to log in with an auth method, as the method itself explains it.
#[derive(Args)]
pub(crate) struct Help {
    /// Kind of auth method, or where it is mounted
    #[arg(value_name = "TYPE or PATH")]
    method: String,
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
            Self::Help(command) => command.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let found = session.client.read("sys/auth").await;
        let found = found
            .during(|| "listing enabled authentications".to_owned())?
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
        console::out(&shown(&mounts, Kind::Auth))
    }
}

impl Enable {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let kind = self.kind.trim().to_owned();
        let path = flags::path(self.path.as_deref().unwrap_or(&kind))?;
        let mut config = self.settings.tune();
        config.token_type = self.token_type;
        let mount = EnableMount {
            kind: kind.clone(),
            description: config.description.take().unwrap_or_default(),
            options: config.options.take().unwrap_or_default(),
            config,
            local: self.local,
            seal_wrap: self.seal_wrap,
            external_entropy_access: self.external_entropy_access,
        };
        let enabled = session.client.sys().enable_auth(&path, &mount).await;
        enabled.during(|| format!("enabling {kind} auth"))?;
        secret::say(
            &session.style,
            &format!("Success! Enabled {kind} auth method at: {path}/"),
        )
    }
}

impl Disable {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let disabled = session.client.sys().disable_auth(&path).await;
        disabled.during(|| format!("disabling auth method at {path}/"))?;
        let done = format!("Success! Disabled the auth method (if it existed) at: {path}/");
        secret::say(&session.style, &done)
    }
}

impl Tune {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let mut tune = self.settings.tune();
        tune.token_type = self.token_type;
        let tuned = session
            .client
            .sys()
            .tune(&format!("auth/{path}"), &tune)
            .await;
        let answer = tuned.during(|| format!("tuning auth method {path}/"))?;
        secret::say(
            &session.style,
            &format!("Success! Tuned the auth method at: {path}/"),
        )?;
        console::warnings(&answer.map(|answer| answer.warnings).unwrap_or_default());
        Ok(())
    }
}

impl Help {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let method = flags::path(&self.method)?;
        let mounts = session.client.sys().auth_methods().await;
        let mounts = mounts.during(|| "listing auth methods".to_owned())?;
        let path = mounted_at(&mounts, &method).ok_or_else(|| {
            Failure::local(format!(
                "no auth method `{method}`; `auth list` shows those there are"
            ))
        })?;
        let help = session.client.help(&format!("auth/{path}")).await;
        console::line(help.during(|| "retrieving help".to_owned())?.trim())
    }
}

/// Where a method is mounted that is named by its path or its kind.
fn mounted_at<'a>(mounts: &'a BTreeMap<String, Mount>, method: &str) -> Option<&'a str> {
    let by_path = mounts
        .keys()
        .find(|path| path.trim_end_matches('/') == method);
    let by_kind = || {
        mounts
            .iter()
            .find(|(_, mount)| mount.kind == method)
            .map(|(path, _)| path)
    };
    by_path.or_else(by_kind).map(String::as_str)
}
