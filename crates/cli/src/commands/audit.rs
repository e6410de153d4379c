//! `audit`: where requests are recorded.

use crate::arguments::data;
use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::{console, secret, structured, table};
use crate::session::Session;
use clap::{Args, Subcommand};
use secretum_client::Json;
use secretum_client::sys::{AuditDevice, EnableAudit};
use std::collections::BTreeMap;

/// The exit code where there is no audit device.
const NONE: u8 = 2;

/// What to do with audit devices.
#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    Enable(Enable),
    Disable(Disable),
}

/// Lists the audit devices.
#[derive(Args)]
pub(crate) struct List {
    /// Show options and replication too
    #[arg(long)]
    detailed: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Makes an audit device
///
/// The server writes below its audit directory only.
///
///   audit enable file file_path=audit.log
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Enable {
    /// file, stdout, syslog, socket and the like
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Options of the device
    #[arg(value_name = "KEY=VALUE", allow_negative_numbers = true)]
    options: Vec<String>,
    /// What people should know about it
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Name of the device; its type where none is given
    #[arg(long)]
    path: Option<String>,
    /// Keep it in this cluster
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Removes an audit device.
///
/// What it recorded stays; its texts can no longer be found by hash.
#[derive(Args)]
pub(crate) struct Disable {
    /// Name of the device
    path: String,
    #[command(flatten)]
    connection: Connection,
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run().await,
            Self::Enable(command) => command.run().await,
            Self::Disable(command) => command.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let found = session.client.read("sys/audit").await;
        let found = found
            .during(|| "listing audits".to_owned())?
            .unwrap_or_default();
        if !session.style.is_table() {
            return structured(&found.data, session.style.format);
        }
        let devices: BTreeMap<String, AuditDevice> = found
            .data
            .decode()
            .map_err(|error| Failure::local(format!("cannot read the list: {error}")))?;
        if devices.is_empty() {
            console::line("No audit devices are enabled.")?;
            return Err(Failure::Silent(NONE));
        }
        console::out(&if self.detailed {
            detailed(&devices)
        } else {
            brief(&devices)
        })
    }
}

impl Enable {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let kind = self.kind.trim().to_owned();
        let path = flags::path(self.path.as_deref().unwrap_or(&kind))?;
        let options = data::read(&self.options, &mut std::io::stdin().lock())?;
        let text = |value: &Json| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let device = EnableAudit {
            kind: kind.clone(),
            description: self.description,
            options: options
                .iter()
                .map(|(key, value)| (key.to_owned(), text(value)))
                .collect(),
            local: self.local,
        };
        let enabled = session.client.sys().enable_audit(&path, &device).await;
        enabled.during(|| "enabling audit device".to_owned())?;
        secret::say(
            &session.style,
            &format!("Success! Enabled the {kind} audit device at: {path}/"),
        )
    }
}

impl Disable {
    async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let path = flags::path(&self.path)?;
        let disabled = session.client.sys().disable_audit(&path).await;
        disabled.during(|| "disabling audit device".to_owned())?;
        let done = format!("Success! Disabled audit device (if it was enabled) at: {path}/");
        secret::say(&session.style, &done)
    }
}

fn brief(devices: &BTreeMap<String, AuditDevice>) -> String {
    let row = |(path, device): (&String, &AuditDevice)| {
        vec![
            path.clone(),
            device.kind.clone(),
            device.description.clone(),
        ]
    };
    table::headed(
        &["Path", "Type", "Description"],
        devices.iter().map(row).collect(),
    )
}

fn detailed(devices: &BTreeMap<String, AuditDevice>) -> String {
    let row = |(path, device): (&String, &AuditDevice)| {
        let pairs: Vec<_> = device
            .options
            .iter()
            .flatten()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        vec![
            path.clone(),
            device.kind.clone(),
            device.description.clone(),
            if device.local { "local" } else { "replicated" }.to_owned(),
            pairs.join(" "),
        ]
    };
    let heading = ["Path", "Type", "Description", "Replication", "Options"];
    table::headed(&heading, devices.iter().map(row).collect())
}
