//! `operator init`: makes the vault.

use crate::arguments::flags::Connection;
use crate::arguments::pgp_key;
use crate::failure::{During, Failure};
use crate::output::{console, structured};
use crate::session::Session;
use clap::Args;
use secretum_client::sys::{Init as Ask, InitAnswer};
use secretum_client::{Json, Object, SecretString};
use std::fmt::Write;
use zeroize::Zeroizing;

/// The exit code of -status where there is no vault.
const NOT_INITIALIZED: u8 = 2;

/// Makes the vault, and prints its unseal keys and its first token
///
/// They are shown this once.
///
///   operator init -key-shares=5 -key-threshold=3
///   operator init -format=json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Init {
    /// How many unseal keys there are (also: -n)
    #[arg(long, alias = "n", value_name = "COUNT", default_value_t = 5)]
    key_shares: u64,
    /// How many of them open the vault (also: -t)
    #[arg(long, alias = "t", value_name = "COUNT", default_value_t = 3)]
    key_threshold: u64,
    /// Files with PGP public keys, one an unseal key and in their order, to encrypt them for their
    /// holders
    #[arg(long, value_name = "FILES")]
    pgp_keys: Option<String>,
    /// File with a PGP public key, to encrypt the root token for its holder
    #[arg(long, value_name = "FILE")]
    root_token_pgp_key: Option<String>,
    /// How many recovery keys there are, where another service unseals
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    recovery_shares: u64,
    /// How many of them are needed
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    recovery_threshold: u64,
    /// Only say whether there is a vault: exits with 0 if so, with 2 if not
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Init {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        if self.status {
            return show_status(&session).await;
        }
        // A server that is not reached, or too old to say, is asked all the same.
        let recovery = session
            .scout()
            .sys()
            .seal_status()
            .await
            .is_ok_and(|status| status.recovery_seal);
        let ask = Ask {
            secret_shares: if recovery { 0 } else { self.key_shares },
            secret_threshold: if recovery { 0 } else { self.key_threshold },
            pgp_keys: pgp_key::read_list(self.pgp_keys.as_deref())?,
            root_token_pgp_key: self
                .root_token_pgp_key
                .as_deref()
                .map(pgp_key::read)
                .transpose()?,
            recovery_shares: recovery.then_some(self.recovery_shares),
            recovery_threshold: recovery.then_some(self.recovery_threshold),
            recovery_pgp_keys: Vec::new(),
        };
        let answer = session
            .client
            .sys()
            .init(&ask)
            .await
            .during(|| "initializing".to_owned())?;
        if session.style.is_table() {
            console::out(&Zeroizing::new(text(&answer, &ask)))
        } else {
            structured(&object(&answer, &ask), session.style.format)
        }
    }
}

async fn show_status(session: &Session) -> Result<(), Failure> {
    let initialized = session.client.sys().initialized().await;
    let initialized = initialized.during(|| "checking initialization status".to_owned())?;
    if session.style.is_table() {
        console::line(if initialized {
            "Vault is initialized"
        } else {
            "Vault is not initialized"
        })?;
    } else {
        structured(&Json::from(initialized), session.style.format)?;
    }
    if initialized {
        Ok(())
    } else {
        Err(Failure::Silent(NOT_INITIALIZED))
    }
}

fn text(answer: &InitAnswer, ask: &Ask) -> String {
    let mut text = String::new();
    let recovery = answer.recovery_keys_base64.as_deref().unwrap_or_default();
    // Writing to a string cannot fail.
    for (number, key) in (1..).zip(&answer.keys_base64) {
        let _ = writeln!(text, "Unseal Key {number}: {}", key.expose());
    }
    for (number, key) in (1..).zip(recovery) {
        let _ = writeln!(text, "Recovery Key {number}: {}", key.expose());
    }
    let _ = write!(
        text,
        "\nInitial Root Token: {}\n\n",
        answer.root_token.expose()
    );
    let (shares, threshold) = (ask.secret_shares, ask.secret_threshold);
    let _ = if recovery.is_empty() {
        writeln!(
            text,
            "The vault has {shares} unseal keys, and {threshold} of them open it. Give each to another\n\
             person, now: they are not shown again, and they are stored nowhere. After every\n\
             start or seal the vault stays closed until {threshold} of them are given. Without them\n\
             nobody can open it, ever."
        )
    } else {
        writeln!(
            text,
            "The vault opens by itself. Its recovery keys allow what must not be one person's\n\
             decision; give each to another person, now: they are not shown again."
        )
    };
    text
}

fn object(answer: &InitAnswer, ask: &Ask) -> Json {
    let list = |keys: &[SecretString]| -> Json {
        keys.iter()
            .map(SecretString::expose)
            .collect::<Vec<_>>()
            .into()
    };
    let mut object = Object::new();
    object.insert("unseal_keys_b64", list(&answer.keys_base64));
    object.insert("unseal_keys_hex", list(&answer.keys));
    object.insert("unseal_shares", ask.secret_shares);
    object.insert("unseal_threshold", ask.secret_threshold);
    let recovery = answer.recovery_keys_base64.as_deref().unwrap_or_default();
    object.insert("recovery_keys_b64", list(recovery));
    let recovery = answer.recovery_keys.as_deref().unwrap_or_default();
    object.insert("recovery_keys_hex", list(recovery));
    object.insert("recovery_keys_shares", ask.recovery_shares.unwrap_or(0));
    object.insert(
        "recovery_keys_threshold",
        ask.recovery_threshold.unwrap_or(0),
    );
    object.insert("root_token", answer.root_token.expose());
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_token_stand_where_scripts_look_for_them() {
        let answer: InitAnswer = serde_json::from_str(
            r#"{"keys":["aa","bb"],"keys_base64":["qg==","uw=="],"root_token":"hvs.x"}"#,
        )
        .unwrap();
        let ask = Ask {
            secret_shares: 2,
            secret_threshold: 2,
            pgp_keys: Vec::new(),
            root_token_pgp_key: None,
            recovery_shares: None,
            recovery_threshold: None,
            recovery_pgp_keys: Vec::new(),
        };
        let shown = text(&answer, &ask);
        assert!(
            shown.starts_with(
                "Unseal Key 1: qg==\nUnseal Key 2: uw==\n\nInitial Root Token: hvs.x\n"
            )
        );
        let json = object(&answer, &ask);
        assert_eq!(
            json.get("unseal_keys_b64").unwrap().to_string(),
            r#"["qg==","uw=="]"#
        );
        assert_eq!(json.get("root_token").unwrap().as_str(), Some("hvs.x"));
    }
}
