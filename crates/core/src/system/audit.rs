//! `sys/audit` and `sys/audit-hash`.

use super::{Sys, System};
use crate::audits::AuditRecord;
use crate::limits::{check_description, check_options};
use schemars::JsonSchema;
use secretum_api::fields::KeyValues;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lists the audit devices.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListDevices {}

/// Enables an audit device. From then on no request proceeds that no device could record.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct EnableDevice {
    /// Path of the device.
    path: String,
    /// Its type: `file`, `syslog` or `socket`.
    #[serde(rename = "type", default)]
    kind: String,
    /// A text for people.
    #[serde(default)]
    description: String,
    /// Its options; for `file`: `file_path`, `mode`; for `syslog`: `facility`, `tag`, `address`; for
    /// `socket`: `address`, `socket_type`, `write_timeout`; for all: `log_raw`, `hmac_accessor`,
    /// `elide_list_responses`, `prefix`, `format`, `skip_test`.
    #[serde(default)]
    options: KeyValues,
    /// Whether it belongs to this cluster alone.
    #[serde(default)]
    local: bool,
}

/// Disables an audit device.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct DisableDevice {
    /// Path of the device.
    path: String,
}

/// Gives the public key that the heads of a device's log are signed with, for those who verify it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ReadKey {
    /// Path of the device.
    path: String,
}

/// A public key.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PublicKey {
    /// The key, 32 bytes in hex.
    public_key: String,
    /// `ed25519`.
    algorithm: &'static str,
}

/// Shows a text as an audit device would, to find it in its log.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Hash {
    /// Path of the device.
    path: String,
    /// The text.
    #[serde(default)]
    input: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Device {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    description: String,
    options: BTreeMap<String, String>,
    local: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Hashed {
    hash: String,
}

/// The path as devices are known by, with its slash.
fn folder(path: &str) -> Result<String, Fault> {
    if path.is_empty() {
        return Err(Fault::invalid("the path of the audit device is missing"));
    }
    Ok(format!("{}/", path.trim_end_matches('/')))
}

impl Handle<ListDevices> for Sys {
    type Data = BTreeMap<String, Device>;
    type Error = Fault;

    async fn handle(
        &self,
        _: ListDevices,
        context: &Context,
    ) -> Result<Reply<BTreeMap<String, Device>>, Fault> {
        let records = System::of(context)?.active.audits.records().await?;
        let devices = records.into_iter().map(|record| {
            let AuditRecord {
                path,
                kind,
                description,
                options,
                local,
                ..
            } = record;
            (
                path.clone(),
                Device {
                    path,
                    kind,
                    description,
                    options,
                    local,
                },
            )
        });
        Ok(Reply::data(devices.collect()))
    }
}

impl Handle<EnableDevice> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: EnableDevice, context: &Context) -> Result<Reply<()>, Fault> {
        check_description(&request.description)?;
        check_options(&request.options.0)?;
        let record = AuditRecord::new(
            folder(&request.path)?,
            request.kind,
            request.description,
            request.options.0,
            request.local,
        );
        let active = &System::of(context)?.active;
        let (batch, warnings) = active.audits.prepare(active, record).await?;
        let reply = Reply::wrote(batch);
        Ok(warnings.into_iter().fold(reply, Reply::warn))
    }
}

impl Handle<DisableDevice> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: DisableDevice, context: &Context) -> Result<Reply<()>, Fault> {
        let audits = &System::of(context)?.active.audits;
        // A device that is not there is disabled already.
        let removal = audits.prepare_removal(&folder(&request.path)?).await?;
        Ok(removal.map_or_else(Reply::empty, Reply::wrote))
    }
}

fn device(context: &Context, path: &str) -> Result<Arc<secretum_audit::Device>, Fault> {
    let active = &System::of(context)?.active;
    let device = active.audits.broker.device(&folder(path)?);
    device.ok_or_else(|| Fault::invalid("unknown audit backend"))
}

impl Handle<ReadKey> for Sys {
    type Data = PublicKey;
    type Error = Fault;

    async fn handle(&self, request: ReadKey, context: &Context) -> Result<Reply<PublicKey>, Fault> {
        let device = device(context, &request.path)?;
        Ok(Reply::data(PublicKey {
            public_key: hex::encode(device.public_key()),
            algorithm: "ed25519",
        }))
    }
}

impl Handle<Hash> for Sys {
    type Data = Hashed;
    type Error = Fault;

    async fn handle(&self, request: Hash, context: &Context) -> Result<Reply<Hashed>, Fault> {
        if request.input.is_empty() {
            return Err(Fault::invalid("the \"input\" parameter is empty"));
        }
        let device = device(context, &request.path)?;
        Ok(Reply::data(Hashed {
            hash: device.hash(&request.input),
        }))
    }
}
