//! `status`: whether the vault is open. The exit code says it too: 0 open, 2 sealed, 1 not known.

use crate::arguments::flags::{Connection, Field};
use crate::failure::{During, Failure};
use crate::output::{Style, console, field, structured, table};
use crate::session::Session;
use clap::Args;
use secretum_client::sys::{Leader, SealStatus};
use secretum_client::{Client, Json, Object};

/// The exit code for a sealed vault.
const SEALED: u8 = 2;

/// The exit code where no server says whether it is sealed.
const NOT_KNOWN: u8 = 1;

/// Shows whether the vault is open.
///
/// Exits with 0 when it is, with 2 when it is sealed, and with 1 when that is not known.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl Status {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let asked = session.client.read("sys/seal-status").await;
        let answer = asked
            .during(|| "checking seal status".to_owned())
            .map_err(not_known)?
            .ok_or_else(|| Failure::local("Error checking seal status: the server gave no data"))?;
        let sealed = show(&answer.data, &session.client, &session.style).await?;
        if sealed {
            Err(Failure::Silent(SEALED))
        } else {
            Ok(())
        }
    }
}

/// Shows a seal status; tells whether the vault is sealed.
///
/// **Errors**: where the answer is no seal status, or the output is gone.
pub(crate) async fn show(data: &Json, client: &Client, style: &Style) -> Result<bool, Failure> {
    let status: SealStatus = data.decode().map_err(|error| {
        Failure::local(format!("the server's answer is no seal status: {error}"))
    })?;
    // A sealed node cannot say who leads.
    let leader = client.sys().leader().await.unwrap_or_default();
    if let Some(name) = &style.field {
        let whole = with_leader(data, &leader);
        let value = whole.get(name).filter(|value| !value.is_null());
        let missing = || Failure::local(format!("Field {name:?} not present in seal status"));
        field(value.ok_or_else(missing)?, style.format)?;
    } else if style.is_table() {
        console::out(&table::pairs(rows(&status, &leader)))?;
    } else {
        structured(&with_leader(data, &leader), style.format)?;
    }
    Ok(status.sealed)
}

/// That it is not known has an exit code of its own, since 2 says that the vault is sealed.
fn not_known(failure: Failure) -> Failure {
    match failure {
        Failure::Server { context, error, .. } => Failure::Server {
            context,
            error,
            code: Some(NOT_KNOWN),
        },
        other => other,
    }
}

fn rows(status: &SealStatus, leader: &Leader) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if status.recovery_seal {
        row("Recovery Seal Type", "shamir".to_owned());
    }
    row("Seal Type", status.kind.clone());
    row("Initialized", status.initialized.to_string());
    row("Sealed", status.sealed.to_string());
    let shares = if status.recovery_seal {
        "Total Recovery Shares"
    } else {
        "Total Shares"
    };
    row(shares, status.n.to_string());
    row("Threshold", status.t.to_string());
    if status.sealed {
        row(
            "Unseal Progress",
            format!("{}/{}", status.progress, status.t),
        );
        row("Unseal Nonce", status.nonce.clone());
    }
    if status.migration {
        row("Seal Migration in Progress", status.migration.to_string());
    }
    row("Version", status.version.clone());
    if !status.build_date.is_empty() {
        row("Build Date", status.build_date.clone());
    } else if !status.commit_date.is_empty() {
        row("Commit Date", status.commit_date.clone());
    }
    row("Storage Type", status.storage_type.clone());
    if !status.cluster_name.is_empty() {
        row("Cluster Name", status.cluster_name.clone());
        row("Cluster ID", status.cluster_id.clone());
    }
    row("HA Enabled", leader.ha_enabled.to_string());
    if leader.ha_enabled {
        rows.extend(leader_rows(status, leader));
    }
    rows
}

fn leader_rows(status: &SealStatus, leader: &Leader) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if status.sealed {
        return rows;
    }
    row("HA Cluster", leader.leader_cluster_address.clone());
    row(
        "HA Mode",
        if leader.is_self { "active" } else { "standby" }.to_owned(),
    );
    if leader.is_self {
        row("Active Since", leader.active_time.clone());
    } else {
        let known = Some(leader.leader_address.clone()).filter(|address| !address.is_empty());
        row(
            "Active Node Address",
            known.unwrap_or_else(|| "<none>".to_owned()),
        );
    }
    if leader.raft_committed_index > 0 {
        row(
            "Raft Committed Index",
            leader.raft_committed_index.to_string(),
        );
    }
    if leader.raft_applied_index > 0 {
        row("Raft Applied Index", leader.raft_applied_index.to_string());
    }
    rows
}

/// The server's own words, and who leads.
fn with_leader(data: &Json, leader: &Leader) -> Json {
    let mut object = data.as_object().cloned().unwrap_or_default();
    object.insert("ha_enabled", leader.ha_enabled);
    if leader.ha_enabled {
        add_leader(&mut object, leader);
    }
    object.into()
}

fn add_leader(object: &mut Object, leader: &Leader) {
    object.insert("is_self", leader.is_self);
    object.insert("active_time", leader.active_time.as_str());
    object.insert("leader_address", leader.leader_address.as_str());
    object.insert(
        "leader_cluster_address",
        leader.leader_cluster_address.as_str(),
    );
    object.insert("raft_committed_index", leader.raft_committed_index);
    object.insert("raft_applied_index", leader.raft_applied_index);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(status: &str, leader: &str) -> Vec<String> {
        let (status, leader) = (
            serde_json::from_str(status).unwrap(),
            serde_json::from_str(leader).unwrap(),
        );
        rows(&status, &leader)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn a_sealed_vault_shows_how_far_it_is() {
        let shown = names(
            r#"{"type":"shamir","sealed":true,"t":3,"n":5,"progress":1}"#,
            "{}",
        );
        assert!(shown.contains(&"Unseal Progress".to_owned()), "{shown:?}");
        assert!(!shown.contains(&"Cluster ID".to_owned()), "{shown:?}");
    }

    #[test]
    fn an_open_one_shows_its_cluster_and_who_leads() {
        let status = r#"{"type":"shamir","t":1,"n":1,"cluster_name":"c","cluster_id":"i"}"#;
        let shown = names(
            status,
            r#"{"ha_enabled":true,"is_self":true,"raft_applied_index":3}"#,
        );
        for name in [
            "Cluster Name",
            "HA Mode",
            "Active Since",
            "Raft Applied Index",
        ] {
            assert!(shown.contains(&name.to_owned()), "{name}: {shown:?}");
        }
        assert!(!shown.contains(&"Unseal Nonce".to_owned()), "{shown:?}");
    }
}
