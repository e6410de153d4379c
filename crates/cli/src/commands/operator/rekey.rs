//! `operator rekey`: new unseal keys.

use super::share::{Input, give};
use crate::arguments::flags::Connection;
use crate::arguments::pgp_key;
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured, table};
use crate::session::Session;
use clap::Args;
use secretum_client::Json;
use secretum_client::sys::{Ceremony, NewShares, Rekey as Ask, RekeyStatus};
use std::fmt::Write;
use zeroize::Zeroizing;

/// Gives the vault new unseal keys, with the consent of those who hold the present ones
///
/// One person begins with -init, and tells the others the nonce. Each then gives a key: as an
/// argument with -nonce, from standard input (-) with -nonce, or asked for at the terminal. The last
/// of them gets the new keys. With -verify at -init the new keys take effect only when they were given
/// back with -verify.
///
///   operator rekey -init -key-shares=5 -key-threshold=3
///   operator rekey
///   operator rekey -init -key-shares=2 -key-threshold=2 -pgp-keys=alice.pgp,bob.asc -backup
///   operator rekey -status
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Rekey {
    /// A present unseal key, or with -verify a new one; - takes it from standard input
    key: Option<String>,
    /// Begin
    #[arg(long)]
    init: bool,
    /// End without new keys; with -verify, begin the verification anew
    #[arg(long)]
    cancel: bool,
    /// Only say how far it is
    #[arg(long)]
    status: bool,
    /// With -init: the new keys take effect only when they were given back. Else: this is about
    /// giving them back
    #[arg(long)]
    verify: bool,
    /// How many new keys there are (also: -n)
    #[arg(long, alias = "n", value_name = "COUNT", default_value_t = 5)]
    key_shares: u64,
    /// How many of them open the vault (also: -t)
    #[arg(long, alias = "t", value_name = "COUNT", default_value_t = 3)]
    key_threshold: u64,
    /// The nonce that -init told
    #[arg(long, value_name = "NONCE")]
    nonce: Option<String>,
    /// Files with PGP public keys, one a new key and in their order, to encrypt them for their holders
    #[arg(long, value_name = "FILES")]
    pgp_keys: Option<String>,
    /// Keep the encrypted keys in the vault, too
    #[arg(long)]
    backup: bool,
    /// Show the encrypted keys that were kept
    #[arg(long)]
    backup_retrieve: bool,
    /// Delete the encrypted keys that were kept
    #[arg(long)]
    backup_delete: bool,
    /// What is rekeyed: barrier, the unseal keys; a vault with unseal keys has no recovery keys
    #[arg(long, value_name = "WHAT", default_value = "barrier")]
    target: String,
    #[command(flatten)]
    connection: Connection,
}

impl Rekey {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if !self.target.trim().eq_ignore_ascii_case("barrier") {
            return Err(Failure::local(format!(
                "`{}` cannot be rekeyed: a vault with unseal keys has no other ones",
                self.target
            )));
        }
        let session = Session::open(&self.connection)?;
        let sys = session.client.sys();
        if self.backup_delete {
            let deleted = sys.delete_rekey_backup().await;
            deleted.during(|| "deleting rekey backed up keys".to_owned())?;
            let done = "Success! Deleted backed up keys (if they existed)";
            return secret::say(&session.style, done);
        }
        if self.backup_retrieve {
            let kept = session.client.read("sys/rekey/backup").await;
            let kept = kept.during(|| "retrieving rekey backed up keys".to_owned())?;
            return secret::show(&kept.unwrap_or_default(), &session.style);
        }
        if self.cancel {
            let cancelled = sys.cancel_ceremony(self.ceremony()).await;
            cancelled.during(|| "canceling rekey".to_owned())?;
            let done = "Success! Canceled rekeying (if it was started)";
            return secret::say(&session.style, done);
        }
        if self.init {
            return self.begin(&session).await;
        }
        if self.status {
            return self.show_status(&session).await;
        }
        self.provide(&session).await
    }

    fn ceremony(&self) -> Ceremony {
        if self.verify {
            Ceremony::Verification
        } else {
            Ceremony::Rekey
        }
    }

    async fn begin(&self, session: &Session) -> Result<(), Failure> {
        let ask = Ask {
            secret_shares: self.key_shares,
            secret_threshold: self.key_threshold,
            pgp_keys: pgp_key::read_list(self.pgp_keys.as_deref())?,
            backup: self.backup,
            require_verification: self.verify,
        };
        let begun = session.client.sys().begin_rekey(&ask).await;
        let begun = begun.during(|| "initializing rekey".to_owned())?;
        if session.style.is_table() && !self.verify {
            console::note(
                "WARNING! The new keys are shown once, when the last present key was given, and take \
                 effect at once. With -verify they take effect only when they were given back.",
            );
        }
        show(session, Ceremony::Rekey, &begun)
    }

    async fn show_status(&self, session: &Session) -> Result<(), Failure> {
        let status = session.client.sys().ceremony(self.ceremony()).await;
        let status = status.during(|| "reading rekey status".to_owned())?;
        show(session, self.ceremony(), &status)
    }

    async fn provide(&self, session: &Session) -> Result<(), Failure> {
        let input = Input {
            key: self.key.as_deref(),
            nonce: self.nonce.as_deref(),
            ceremony: self.ceremony(),
            begin: "operator rekey -init",
            name: "Rekey operation nonce",
        };
        let answer = give(session, &input).await?;
        if answer.get("complete").and_then(Json::as_bool) != Some(true) {
            return self.show_status(session).await;
        }
        if !session.style.is_table() {
            return structured(&answer, session.style.format);
        }
        if self.verify {
            let warning = answer.get("warning").and_then(Json::as_str);
            if let Some(warning) = warning {
                console::warning(&format!("WARNING! {warning}"));
            }
            return console::line(
                "Rekey verification successful. The rekey operation is complete and the new keys are \
                 now active.",
            );
        }
        let new: NewShares = answer.decode().map_err(Failure::display)?;
        console::out(&Zeroizing::new(new_keys(&new)))
    }
}

fn show(session: &Session, ceremony: Ceremony, status: &Json) -> Result<(), Failure> {
    if !session.style.is_table() {
        return structured(status, session.style.format);
    }
    let status: RekeyStatus = status.decode().map_err(Failure::display)?;
    console::out(&table::pairs(rows(ceremony, &status)))
}

fn rows(ceremony: Ceremony, status: &RekeyStatus) -> Vec<(String, String)> {
    let row = |name: &str, value: String| (name.to_owned(), value);
    if ceremony == Ceremony::Verification {
        return vec![
            row("Started", status.started.to_string()),
            row("New Shares", status.n.to_string()),
            row("New Threshold", status.t.to_string()),
            row("Verification Nonce", status.nonce.clone()),
            row(
                "Verification Progress",
                format!("{}/{}", status.progress, status.t),
            ),
        ];
    }
    let mut rows = vec![
        row("Nonce", status.nonce.clone()),
        row("Started", status.started.to_string()),
    ];
    if status.started {
        rows.push(row(
            "Rekey Progress",
            format!("{}/{}", status.progress, status.required),
        ));
        rows.push(row("New Shares", status.n.to_string()));
        rows.push(row("New Threshold", status.t.to_string()));
        rows.push(row(
            "Verification Required",
            status.verification_required.to_string(),
        ));
        if !status.verification_nonce.is_empty() {
            rows.push(row("Verification Nonce", status.verification_nonce.clone()));
        }
    }
    if let Some(prints) = &status.pgp_fingerprints {
        rows.push(row("PGP Fingerprints", format!("[{}]", prints.join(" "))));
        rows.push(row("Backup", status.backup.to_string()));
    }
    rows
}

/// The new keys, for people.
fn new_keys(new: &NewShares) -> String {
    let mut text = String::from("\n");
    // Writing to a string cannot fail.
    for (index, key) in new.keys_base64.iter().enumerate() {
        let (number, key) = (index + 1, key.expose());
        let print = new.pgp_fingerprints.as_ref();
        let _ = match print.and_then(|prints| prints.get(index)) {
            Some(print) => writeln!(text, "Key {number} fingerprint: {print}; value: {key}"),
            None => writeln!(text, "Key {number}: {key}"),
        };
    }
    let _ = writeln!(text, "\nOperation nonce: {}", new.nonce);
    if let Some(warning) = &new.warning {
        let _ = writeln!(text, "\nWARNING! {warning}");
    }
    if new.backup {
        text.push_str(
            "\nThe encrypted keys are kept in the vault: `operator rekey -backup-retrieve` shows them,\n\
             `operator rekey -backup-delete` deletes them.\n",
        );
    }
    let _ = if new.verification_required {
        writeln!(
            text,
            "\nThe present unseal keys stay in force until enough of these were given back, each with\n\
             `operator rekey -verify -nonce={}`.",
            new.verification_nonce
        )
    } else {
        writeln!(
            text,
            "\nThese keys are in force, and those before open the vault no more. Give each to its holder,\n\
             now: they are not shown again."
        )
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(json: &str) -> NewShares {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn new_keys_stand_where_scripts_look_for_them() {
        let plain = new(r#"{"nonce":"n","keys":["aa","bb"],"keys_base64":["qg==","uw=="]}"#);
        let text = new_keys(&plain);
        assert!(text.starts_with("\nKey 1: qg==\nKey 2: uw==\n\nOperation nonce: n\n"));
        assert!(text.contains("those before open the vault no more"));
        let sealed = new(
            r#"{"nonce":"n","keys_base64":["qg=="],"pgp_fingerprints":["ff"],"backup":true,
                "verification_required":true,"verification_nonce":"v"}"#,
        );
        let text = new_keys(&sealed);
        assert!(text.contains("Key 1 fingerprint: ff; value: qg==\n"));
        assert!(text.contains("-backup-retrieve") && text.contains("-verify -nonce=v"));
    }

    #[test]
    fn a_rekey_that_is_not_begun_has_no_progress() {
        let idle = RekeyStatus::default();
        let names = |rows: Vec<(String, String)>| -> Vec<String> {
            rows.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(rows(Ceremony::Rekey, &idle)), ["Nonce", "Started"]);
        let status: RekeyStatus = serde_json::from_str(
            r#"{"nonce":"n","started":true,"t":2,"n":3,"progress":1,"required":4,
                "pgp_fingerprints":["aa","bb"],"verification_nonce":"v"}"#,
        )
        .unwrap();
        let shown = rows(Ceremony::Rekey, &status);
        let of = |name: &str| shown.iter().find(|row| row.0 == name).unwrap().1.as_str();
        assert_eq!(of("Rekey Progress"), "1/4");
        assert_eq!(of("PGP Fingerprints"), "[aa bb]");
        assert_eq!(of("Verification Nonce"), "v");
        let verification = rows(Ceremony::Verification, &status);
        assert!(verification.contains(&("Verification Progress".into(), "1/2".into())));
    }
}
