//! Audit devices.

use super::Sys;
use crate::{ClientError, Request};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One audit device.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AuditDevice {
    /// `file`, `syslog`, `socket` and the like.
    #[serde(rename = "type")]
    pub kind: String,
    /// What a person wrote about it.
    pub description: String,
    /// Its own options.
    pub options: Option<BTreeMap<String, String>>,
    /// Where it stands.
    pub path: String,
    /// Whether it stays in its own cluster.
    pub local: bool,
}

/// An audit device to make.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EnableAudit {
    /// `file`, `syslog`, `socket` and the like.
    #[serde(rename = "type")]
    pub kind: String,
    /// What a person should know about it.
    pub description: String,
    /// Its own options.
    pub options: BTreeMap<String, String>,
    /// Whether it stays in its own cluster.
    pub local: bool,
}

impl Sys<'_> {
    /// The audit devices by their paths.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn audit_devices(&self) -> Result<BTreeMap<String, AuditDevice>, ClientError> {
        self.client.data(Request::get("sys/audit")).await
    }

    /// Makes an audit device.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn enable_audit(&self, path: &str, device: &EnableAudit) -> Result<(), ClientError> {
        self.client
            .done(Request::put(format!("sys/audit/{path}")).json(device)?)
            .await
    }

    /// Removes an audit device.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn disable_audit(&self, path: &str) -> Result<(), ClientError> {
        self.client
            .done(Request::delete(format!("sys/audit/{path}")))
            .await
    }

    /// The public key that the heads of a device's log are signed with, in hex.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn audit_key(&self, path: &str) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            public_key: String,
        }
        let request = Request::get(format!("sys/audit-key/{path}"));
        Ok(self.client.data::<Answer>(request).await?.public_key)
    }

    /// A text as a device's log shows it, for searching the log.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn audit_hash(&self, path: &str, input: &str) -> Result<String, ClientError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            input: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {
            hash: String,
        }
        let request = Request::put(format!("sys/audit-hash/{path}")).json(&Ask { input })?;
        Ok(self.client.data::<Answer>(request).await?.hash)
    }
}
