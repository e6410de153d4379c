//! Secret engines and auth methods: what is mounted where.

use super::Sys;
use crate::{ClientError, Json, Request, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One mount of an engine or auth method.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Mount {
    /// The kind of engine.
    #[serde(rename = "type")]
    pub kind: String,
    /// What a person wrote about it.
    pub description: String,
    /// Its accessor.
    pub accessor: String,
    /// Its UUID.
    pub uuid: String,
    /// Its settings.
    pub config: MountConfig,
    /// The engine's own options.
    pub options: Option<BTreeMap<String, String>>,
    /// Whether it stays in its own cluster.
    pub local: bool,
    /// Whether its records are encrypted by the seal too.
    pub seal_wrap: bool,
    /// Whether it takes randomness from outside.
    pub external_entropy_access: bool,
    /// The version asked for.
    pub plugin_version: String,
    /// The version that runs.
    pub running_plugin_version: String,
    /// SHA-256 of what runs.
    pub running_sha256: String,
    /// Whether it will go.
    pub deprecation_status: String,
}

/// The settings of a mount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MountConfig {
    /// How long leases last where nothing is asked, in seconds; 0 for the server's.
    pub default_lease_ttl: u64,
    /// How long they can last, in seconds; 0 for the server's.
    pub max_lease_ttl: u64,
    /// Whether caching is off.
    pub force_no_cache: bool,
    /// `default-service`, `default-batch`, `service` or `batch`, of an auth method.
    pub token_type: String,
}

/// What to mount.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EnableMount {
    /// The kind of engine.
    #[serde(rename = "type")]
    pub kind: String,
    /// What a person should know about it.
    pub description: String,
    /// Its settings.
    pub config: TuneMount,
    /// The engine's own options.
    pub options: BTreeMap<String, String>,
    /// Whether it stays in its own cluster.
    pub local: bool,
    /// Whether its records are encrypted by the seal too.
    pub seal_wrap: bool,
    /// Whether it takes randomness from outside.
    pub external_entropy_access: bool,
}

/// Settings to give or to change; what is `None` stays.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TuneMount {
    /// How long leases last where nothing is asked, as a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_lease_ttl: Option<String>,
    /// How long they can last, as a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lease_ttl: Option<String>,
    /// What a person should know about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether caching is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_no_cache: Option<bool>,
    /// Keys of requests that the audit log shows in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// Keys of answers that the audit log shows in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// `unauth` or `hidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing_visibility: Option<String>,
    /// Headers of requests that reach the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passthrough_request_headers: Option<Vec<String>>,
    /// Headers that the engine may answer with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_response_headers: Option<Vec<String>>,
    /// The version to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_version: Option<String>,
    /// The kind of token an auth method gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// The engine's own options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

/// The mount that a path belongs to.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct MountOf {
    /// Where it is mounted, with a trailing slash.
    pub path: String,
    /// The kind of engine.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The engine's own options.
    #[serde(default)]
    pub options: Option<BTreeMap<String, String>>,
}

impl MountOf {
    /// The version of a key-value engine.
    pub fn kv_version(&self) -> u8 {
        let version = self
            .options
            .as_ref()
            .and_then(|options| options.get("version"));
        if version.is_some_and(|version| version == "2") {
            2
        } else {
            1
        }
    }
}

impl Sys<'_> {
    /// The secret engines by their paths.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn mounts(&self) -> Result<BTreeMap<String, Mount>, ClientError> {
        self.client.data(Request::get("sys/mounts")).await
    }

    /// The auth methods by their paths.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn auth_methods(&self) -> Result<BTreeMap<String, Mount>, ClientError> {
        self.client.data(Request::get("sys/auth")).await
    }

    /// Mounts a secret engine.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn enable_mount(&self, path: &str, mount: &EnableMount) -> Result<(), ClientError> {
        self.client
            .done(Request::post(format!("sys/mounts/{path}")).json(mount)?)
            .await
    }

    /// Mounts an auth method.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn enable_auth(&self, path: &str, mount: &EnableMount) -> Result<(), ClientError> {
        self.client
            .done(Request::post(format!("sys/auth/{path}")).json(mount)?)
            .await
    }

    /// Unmounts a secret engine; all its data is gone.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn disable_mount(&self, path: &str) -> Result<(), ClientError> {
        self.client
            .done(Request::delete(format!("sys/mounts/{path}")))
            .await
    }

    /// Unmounts an auth method; all its tokens are revoked.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn disable_auth(&self, path: &str) -> Result<(), ClientError> {
        self.client
            .done(Request::delete(format!("sys/auth/{path}")))
            .await
    }

    /// Changes the settings of a mount; that of an auth method is `auth/<path>`.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn tune(&self, path: &str, tune: &TuneMount) -> Result<Option<Secret>, ClientError> {
        self.client
            .act(Request::post(format!("sys/mounts/{path}/tune")).json(tune)?)
            .await
    }

    /// The settings of a mount.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn tuning(&self, path: &str) -> Result<Json, ClientError> {
        self.client
            .data(Request::get(format!("sys/mounts/{path}/tune")))
            .await
    }

    /// The mount that a path belongs to. A 403 says that there is none, or none that the token has
    /// any right under.
    ///
    /// **Errors**: as [`crate::Client::send`].
    pub async fn mount_of(&self, path: &str) -> Result<MountOf, ClientError> {
        self.client
            .data(Request::get(format!("sys/internal/ui/mounts/{path}")))
            .await
    }
}
