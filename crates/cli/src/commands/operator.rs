//! `operator`: makes, opens, closes and cares for a vault.

mod generate_root;
mod init;
mod members;
mod rekey;
mod share;

use crate::arguments::flags::Connection;
use crate::commands::status;
use crate::failure::{During, Failure};
use crate::output::rights::Right;
use crate::output::{console, secret, structured, table};
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::sys::KeyStatus;
use secretum_client::{Json, Secret};

/// What to do with a vault.
#[derive(Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Unseal(Unseal),
    Seal(Seal),
    Rotate(Rotate),
    KeyStatus(ShowKeyStatus),
    Rekey(rekey::Rekey),
    GenerateRoot(generate_root::GenerateRoot),
    StepDown(StepDown),
    Members(members::Members),
}

/// Gives one unseal key; when enough have been given, the vault opens.
///
/// Without an argument the key is asked for at the terminal, or read from standard input. A key in an
/// argument stays in the shell's history.
#[derive(Args)]
pub(crate) struct Unseal {
    /// The key, in base64 or hexadecimal; - takes it from standard input
    key: Option<String>,
    /// Forget the keys given so far
    #[arg(long, conflicts_with = "key")]
    reset: bool,
    /// Unseal in order to change the seal
    #[arg(long)]
    migrate: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Closes the vault: it forgets its keys, and answers nothing until it is unsealed.
#[derive(Args)]
pub(crate) struct Seal {
    #[command(flatten)]
    connection: Connection,
}

/// Adds a key to the keyring; what is written from now on is encrypted under it.
///
/// What was written before stays readable.
#[derive(Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    connection: Connection,
}

/// Shows the newest key of the keyring: its number, its age, and how often it encrypted.
#[derive(Args)]
pub(crate) struct ShowKeyStatus {
    #[command(flatten)]
    connection: Connection,
}

/// Has the active node hand the lead to another one.
///
/// A node that stands alone keeps it.
#[derive(Args)]
pub(crate) struct StepDown {
    #[command(flatten)]
    connection: Connection,
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Init(command) => command.run().await,
            Self::Unseal(command) => command.run().await,
            Self::Seal(command) => command.run().await,
            Self::Rotate(command) => command.run().await,
            Self::KeyStatus(command) => command.run().await,
            Self::Rekey(command) => command.run().await,
            Self::GenerateRoot(command) => command.run().await,
            Self::StepDown(command) => command.run().await,
            Self::Members(command) => command.run().await,
        }
    }
}

impl Unseal {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let answer = if self.reset {
            session
                .client
                .sys()
                .unseal_reset()
                .await
                .during(|| "resetting unseal process".to_owned())?
        } else {
            let key = session.secret(self.key.as_deref(), "Unseal Key")?;
            let unsealed = session.client.sys().unseal(&key, self.migrate).await;
            unsealed.during(|| "unsealing".to_owned())?
        };
        status::show(&answer, &session.client, &session.style)
            .await
            .map(drop)
    }
}

impl Seal {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        session
            .client
            .sys()
            .seal()
            .await
            .during(|| "sealing".to_owned())?;
        secret::say(&session.style, "Success! Vault is sealed.")
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        if session.shows_policy {
            return Err(Failure::Rights(vec![
                Right::new("sys/rotate", &["create", "update", "sudo"]),
                Right::new("sys/key-status", &["read"]),
            ]));
        }
        session
            .client
            .sys()
            .rotate()
            .await
            .during(|| "rotating key".to_owned())?;
        secret::say(&session.style, "Success! Rotated key\n")?;
        show_key_status(&session).await
    }
}

impl ShowKeyStatus {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        show_key_status(&session).await
    }
}

impl StepDown {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let stepped = session.client.sys().step_down().await;
        stepped.during(|| "stepping down".to_owned())?;
        secret::say(&session.style, "Success! Stepped down.")
    }
}

async fn show_key_status(session: &Session) -> Result<(), Failure> {
    let asked = session.client.read("sys/key-status").await;
    let found: Secret = asked
        .during(|| "reading key status".to_owned())?
        .unwrap_or_default();
    if !session.style.is_table() {
        return structured(&found.data, session.style.format);
    }
    console::out(&key_table(&found.data)?)
}

fn key_table(data: &Json) -> Result<String, Failure> {
    let status: KeyStatus = data
        .decode()
        .map_err(|error| Failure::local(format!("cannot read the key status: {error}")))?;
    let installed = match status.install_time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%d %b %y %H:%M UTC").to_string(),
        Err(_) => status.install_time,
    };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    Ok(table::plain(&[
        row("Key Term", status.term.to_string()),
        row("Install Time", installed),
        row("Encryption Count", status.encryptions.to_string()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_status_has_no_heading() {
        let data =
            Json::parse(r#"{"term":2,"install_time":"2026-11-22T08:11:26.3Z","encryptions":20}"#);
        assert_eq!(
            key_table(&data.unwrap()).unwrap(),
            "Key Term            2\nInstall Time        22 Nov 26 08:11 UTC\nEncryption Count    20\n"
        );
    }
}
