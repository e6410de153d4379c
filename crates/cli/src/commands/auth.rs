//! `auth`: auth methods and where they are mounted.

use crate::arguments::flags::{self, Connection};
use crate::commands::mounts::{self, Column, Kind};
use crate::failure::{During, Failure};
use crate::output::console;
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::ClientError;
use secretum_client::sys::{EnableMount, Mount, Sys, TuneMount};
use std::collections::BTreeMap;

/// What to do with auth methods.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists the auth methods and where they are mounted.
    List(mounts::List),
    /// Mounts an auth method
    ///
    ///   auth enable -path=staff userpass
    #[command(verbatim_doc_comment)]
    Enable(mounts::Enable<Auth>),
    /// Unmounts an auth method.
    ///
    /// All tokens that it gave are revoked.
    Disable(mounts::Disable),
    /// Moves an auth method to another path
    ///
    ///   auth move staff people
    #[command(verbatim_doc_comment)]
    Move(mounts::Move),
    /// Changes the settings of an auth method; what is not given stays.
    Tune(mounts::Tune<Auth>),
    Help(Help),
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
            Self::List(command) => command.run::<Auth>().await,
            Self::Enable(command) => command.run().await,
            Self::Disable(command) => command.run::<Auth>().await,
            Self::Move(command) => command.run::<Auth>().await,
            Self::Tune(command) => command.run().await,
            Self::Help(command) => command.run().await,
        }
    }
}

/// Auth methods, as what is enabled at a path.
pub(crate) struct Auth;

impl Kind for Auth {
    type Entry = Mount;
    type New = EnableMount;

    const NAME: &'static str = "auth method";
    const TABLE: &'static str = "sys/auth";
    const LISTING: &'static str = "listing enabled authentications";

    fn columns(detailed: bool) -> Vec<Column<Mount>> {
        if detailed {
            return mounts::detailed(Column::new("Token Type", |_, mount| {
                mount.config.token_type.clone()
            }));
        }
        let mut columns = mounts::brief();
        columns.push(Column::new("Version", |_, mount| {
            mount.plugin_version.clone()
        }));
        columns
    }

    async fn enable(sys: Sys<'_>, path: &str, mount: &EnableMount) -> Result<(), ClientError> {
        sys.enable_auth(path, mount).await
    }

    async fn disable(sys: Sys<'_>, path: &str) -> Result<(), ClientError> {
        sys.disable_auth(path).await
    }

    fn enabling(kind: &str) -> String {
        format!("enabling {kind} auth")
    }

    fn enabled(kind: &str, path: &str) -> String {
        format!("Enabled {kind} auth method at: {path}/")
    }
}

impl mounts::Engine for Auth {
    type Enabling = TokenType;
    type Tuning = TokenType;

    const TYPE: &'static str = "Kind of auth method";
    const PREFIX: &'static str = "auth/";
}

/// What only auth methods can be told.
#[derive(Args)]
#[group(skip)]
pub(crate) struct TokenType {
    /// Kind of token it gives: service, batch, default-service or default-batch
    #[arg(long, value_name = "KIND")]
    token_type: Option<String>,
}

impl From<TokenType> for TuneMount {
    fn from(flags: TokenType) -> Self {
        Self {
            token_type: flags.token_type,
            ..Self::default()
        }
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
