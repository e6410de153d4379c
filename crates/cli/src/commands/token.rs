//! `token`: makes, shows, prolongs and revokes tokens.

mod create;

use crate::arguments::flags::{self, Connection, Field};
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured};
use crate::session::Session;
use clap::{Args, Subcommand, ValueEnum};
use secretum_client::sys::Leases;
use secretum_client::token::{Revocation, Which};
use secretum_client::{Json, Secret, SecretString};

/// What to do with tokens.
#[derive(Subcommand)]
pub(crate) enum Command {
    Create(Box<create::Create>),
    Lookup(Lookup),
    Renew(Renew),
    Revoke(Revoke),
    Capabilities(Capabilities),
}

/// Shows what is known of a token; without an argument, of one's own.
#[derive(Args)]
pub(crate) struct Lookup {
    /// The token, or its accessor; - takes it from standard input
    token: Option<String>,
    /// The argument is an accessor
    #[arg(long, requires = "token")]
    accessor: bool,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Prolongs a token; without an argument, one's own.
#[derive(Args)]
pub(crate) struct Renew {
    /// The token, or its accessor; - takes it from standard input
    token: Option<String>,
    /// The argument is an accessor
    #[arg(long, requires = "token")]
    accessor: bool,
    /// How long it should live from now on (also: -i); the server may grant less
    #[arg(long, alias = "i", value_name = "DURATION", value_parser = flags::duration)]
    increment: Option<String>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Revokes a token.
///
/// The tokens it made and its leases go with it.
#[derive(Args)]
pub(crate) struct Revoke {
    /// The token, its accessor, or with -mode=path a path; - takes it from standard input
    #[arg(required_unless_present = "own")]
    token: Option<String>,
    /// The argument is an accessor
    #[arg(long)]
    accessor: bool,
    /// Revoke one's own token
    #[arg(long = "self", id = "own", conflicts_with_all = ["token", "accessor"])]
    own: bool,
    /// What goes: orphan leaves the tokens it made; path revokes all that was made below a path
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    #[command(flatten)]
    connection: Connection,
}

/// What else goes with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Leaves the tokens it made.
    Orphan,
    /// All that was made below a path.
    Path,
}

/// Shows what a token may do at a path; without a token, what one's own may
///
///   token capabilities secret/data/app
///   token capabilities hvs.… secret/data/app
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Capabilities {
    /// The token or its accessor, if it is not one's own, and the path
    #[arg(value_name = "[TOKEN] PATH", required = true, num_args = 1..=2)]
    arguments: Vec<String>,
    /// The first argument is an accessor
    #[arg(long)]
    accessor: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run().await,
            Self::Lookup(command) => command.run().await,
            Self::Renew(command) => command.run().await,
            Self::Revoke(command) => command.run().await,
            Self::Capabilities(command) => command.run().await,
        }
    }
}

/// A token named on the command line, kept for as long as a [`Which`] points to it.
enum Named {
    Own,
    Token(SecretString),
    Accessor(String),
}

impl Named {
    fn of(session: &Session, given: Option<&str>, accessor: bool) -> Result<Self, Failure> {
        match given {
            None => Ok(Self::Own),
            Some(given) if accessor => Ok(Self::Accessor(given.trim().to_owned())),
            Some(given) => session.secret(Some(given), "Token").map(Self::Token),
        }
    }

    fn which(&self) -> Which<'_> {
        match self {
            Self::Own => Which::Own,
            Self::Token(token) => Which::Token(token),
            Self::Accessor(accessor) => Which::Accessor(accessor),
        }
    }
}

impl Lookup {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let named = Named::of(&session, self.token.as_deref(), self.accessor)?;
        let found = session.client.token().lookup(named.which()).await;
        show(found.during(|| "looking up token".to_owned())?, &session)
    }
}

impl Renew {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let named = Named::of(&session, self.token.as_deref(), self.accessor)?;
        let renewed = session
            .client
            .token()
            .renew(named.which(), self.increment.as_deref())
            .await;
        show(renewed.during(|| "renewing token".to_owned())?, &session)
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        if let (Some(Mode::Path), Some(path)) = (self.mode, &self.token) {
            let path = flags::path(path)?;
            let below = Leases::Below(&path);
            let revoked = session.client.sys().revoke_leases(below, true).await;
            revoked.during(|| "revoking token".to_owned())?;
        } else {
            let named = Named::of(&session, self.token.as_deref(), self.accessor)?;
            let what = match (self.mode, &named) {
                (None, _) => Revocation::Tree,
                (Some(Mode::Orphan), Named::Token(_)) => Revocation::OrphanChildren,
                (Some(_), _) => {
                    return Err(Failure::local("-mode does not go with -accessor or -self"));
                }
            };
            let revoked = session.client.token().revoke(named.which(), what).await;
            revoked.during(|| "revoking token".to_owned())?;
        }
        secret::say(&session.style, "Success! Revoked token (if it existed)")
    }
}

impl Capabilities {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let (token, path) = match self.arguments.as_slice() {
            [token, path] => (Some(token), path),
            [path] if !self.accessor => (None, path),
            _ => {
                return Err(Failure::local(
                    "not enough arguments: with -accessor it takes an accessor and a path",
                ));
            }
        };
        let path = path.trim();
        let sys = session.client.sys();
        let asked = match token {
            None => sys.capabilities_self(path).await,
            Some(accessor) if self.accessor => {
                sys.capabilities_accessor(accessor.trim(), path).await
            }
            Some(token) => {
                sys.capabilities(&session.secret(Some(token), "Token")?, path)
                    .await
            }
        };
        let capabilities = asked.during(|| "listing capabilities".to_owned())?;
        if session.style.is_table() {
            console::line(&capabilities.join(", "))
        } else {
            structured(&Json::from(capabilities), session.style.format)
        }
    }
}

fn show(answer: Option<Secret>, session: &Session) -> Result<(), Failure> {
    match answer {
        Some(answer) => secret::show(&answer, &session.style),
        None => Err(Failure::Missing(
            "the server says nothing of this token".to_owned(),
        )),
    }
}
