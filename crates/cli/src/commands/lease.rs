//! `lease`: shows, prolongs and ends what was handed out for a time.

use crate::arguments::flags::{self, Connection, Field};
use crate::failure::{During, Failure};
use crate::output::{console, secret};
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::Secret;
use secretum_client::sys::Leases;

/// What to do with leases.
#[derive(Subcommand)]
pub(crate) enum Command {
    Lookup(Lookup),
    Renew(Renew),
    Revoke(Revoke),
}

/// Shows what is known of a lease.
#[derive(Args)]
pub(crate) struct Lookup {
    /// Id of the lease
    id: String,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Prolongs a lease.
#[derive(Args)]
pub(crate) struct Renew {
    /// Id of the lease
    id: String,
    /// How long it should live from now on (also: -i); the server may grant less
    #[arg(long, alias = "i", value_name = "DURATION", value_parser = flags::duration)]
    increment: Option<String>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Ends leases, and with them what was handed out
///
///   lease revoke database/creds/readonly/2f6a614c…
///   lease revoke -prefix database/creds
///   lease revoke -prefix -force database/creds
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Revoke {
    /// Id of the lease, or with -prefix what the ids begin with
    id: String,
    /// End all leases of which the ids begin with this, up to a slash
    #[arg(long)]
    prefix: bool,
    /// Give up leases that cannot be ended (also: -f); what they stand for may go on
    #[arg(long, alias = "f", requires = "prefix")]
    force: bool,
    /// Wait until they have ended
    #[arg(long)]
    sync: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Lookup(command) => command.run().await,
            Self::Renew(command) => command.run().await,
            Self::Revoke(command) => command.run().await,
        }
    }
}

impl Lookup {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let found = session.client.sys().lease(self.id.trim()).await;
        let during = || format!("looking up lease id {}", self.id);
        show(found.during(during)?, &session)
    }
}

impl Renew {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let sys = session.client.sys();
        let renewed = sys.renew_lease(self.id.trim(), self.increment.as_deref());
        let during = || format!("renewing {}", self.id);
        show(renewed.await.during(during)?, &session)
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let id = self.id.trim();
        let prefix = flags::path(id)?;
        let (which, done) = match (self.prefix, self.force) {
            (false, _) => (Leases::One(id), format!("Success! Revoked lease: {id}")),
            (true, false) => (
                Leases::Below(&prefix),
                format!("Success! Revoked any leases with prefix: {id}"),
            ),
            (true, true) => (
                Leases::BelowByForce(&prefix),
                format!("Success! Force revoked any leases with prefix: {id}"),
            ),
        };
        if self.force {
            console::note(
                "Warning! What leases stand for may go on where it could not be ended: look there.",
            );
        }
        let revoked = session.client.sys().revoke_leases(which, self.sync).await;
        revoked.during(|| format!("revoking {id}"))?;
        let done = if self.sync || self.force {
            done
        } else {
            "All revocation operations queued successfully!".to_owned()
        };
        secret::say(&session.style, &done)
    }
}

fn show(answer: Option<Secret>, session: &Session) -> Result<(), Failure> {
    match answer {
        Some(answer) => secret::show(&answer, &session.style),
        None => Err(Failure::Missing(
            "the server says nothing of this lease".to_owned(),
        )),
    }
}
