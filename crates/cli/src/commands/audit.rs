//! `audit`: where requests are recorded.

mod verify;

use crate::arguments::data;
use crate::arguments::fault::near;
use crate::arguments::flags::Connection;
use crate::commands::mounts::{self, Column, Kind};
use crate::failure::Failure;
use clap::{Args, Subcommand};
use secretum_client::sys::{AuditDevice, EnableAudit, Sys};
use secretum_client::{ClientError, Json};
use std::collections::BTreeMap;

/// What to do with audit devices.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists the audit devices.
    #[command(mut_arg("detailed", |flag| flag.help("Show options and replication too")))]
    List(mounts::List),
    Enable(Enable),
    /// Removes an audit device.
    ///
    /// What it recorded stays; its texts can no longer be found by hash.
    #[command(mut_arg("path", |path| path.help("Name of the device")))]
    Disable(mounts::Disable),
    Key(verify::Key),
    Verify(verify::Verify),
}

/// Makes an audit device
///
/// The server writes below its audit directory only.
///
///   audit enable file file_path=/var/log/secretum/audit.log
///   audit enable syslog tag=secretum facility=AUTH
///   audit enable socket address=logs.example:9090 socket_type=tcp
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Enable {
    /// file, syslog or socket
    #[arg(value_name = "TYPE", value_parser = kind)]
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

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run::<Audit>().await,
            Self::Enable(command) => command.run().await,
            Self::Disable(command) => command.run::<Audit>().await,
            Self::Key(command) => command.run().await,
            Self::Verify(command) => command.run(),
        }
    }
}

/// The kinds of devices of this version.
const KINDS: [&str; 3] = ["file", "socket", "syslog"];

/// A kind that is none of those, and near one, is a slip; other servers may have others.
fn kind(text: &str) -> Result<String, String> {
    match near(text, KINDS.into_iter()) {
        Some(meant) if meant != text => Err(format!("did you mean {meant}?")),
        _ => Ok(text.to_owned()),
    }
}

impl Enable {
    async fn run(self) -> Result<(), Failure> {
        let new = |kind| {
            Ok(EnableAudit {
                kind,
                description: self.description,
                options: texts(&self.options)?,
                local: self.local,
            })
        };
        mounts::enable::<Audit>(&self.connection, &self.kind, self.path.as_deref(), new).await
    }
}

/// The options of a device, every value as text.
fn texts(options: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let options = data::read(options, &mut std::io::stdin().lock())?;
    let text = |value: &Json| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    Ok(options
        .iter()
        .map(|(key, value)| (key.to_owned(), text(value)))
        .collect())
}

/// Audit devices, as what is enabled at a path.
struct Audit;

impl Kind for Audit {
    type Entry = AuditDevice;
    type New = EnableAudit;

    const NAME: &'static str = "audit device";
    const TABLE: &'static str = "sys/audit";
    const LISTING: &'static str = "listing audits";
    const NONE: Option<&'static str> = Some("No audit devices are enabled.");

    fn columns(detailed: bool) -> Vec<Column<AuditDevice>> {
        let mut columns = vec![
            Column::new("Path", |path, _| path.to_owned()),
            Column::new("Type", |_, device: &AuditDevice| device.kind.clone()),
            Column::new("Description", |_, device| device.description.clone()),
        ];
        if detailed {
            columns.extend([
                Column::new("Replication", |_, device: &AuditDevice| {
                    mounts::replication(device.local)
                }),
                Column::new("Options", |_, device| options(device)),
            ]);
        }
        columns
    }

    async fn enable(sys: Sys<'_>, path: &str, device: &EnableAudit) -> Result<(), ClientError> {
        sys.enable_audit(path, device).await
    }

    async fn disable(sys: Sys<'_>, path: &str) -> Result<(), ClientError> {
        sys.disable_audit(path).await
    }

    fn enabling(_: &str) -> String {
        "enabling audit device".to_owned()
    }

    fn disabling(_: &str) -> String {
        "disabling audit device".to_owned()
    }

    fn disabled(path: &str) -> String {
        format!("Disabled audit device (if it was enabled) at: {path}/")
    }
}

fn options(device: &AuditDevice) -> String {
    let pairs: Vec<_> = device
        .options
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(" ")
}
