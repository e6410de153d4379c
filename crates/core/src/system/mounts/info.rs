//! What may be told of a mount.

use crate::mounts::{Mount, MountConfig};
use schemars::JsonSchema;
use secretum_engine::Class;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What may be told of a mount.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MountInfo {
    #[serde(rename = "type")]
    kind: String,
    description: String,
    accessor: String,
    uuid: String,
    local: bool,
    seal_wrap: bool,
    external_entropy_access: bool,
    options: Option<BTreeMap<String, String>>,
    config: ConfigInfo,
    deprecation_status: &'static str,
    plugin_version: &'static str,
    running_plugin_version: String,
    running_sha256: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ConfigInfo {
    default_lease_ttl: u64,
    max_lease_ttl: u64,
    force_no_cache: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    listing_visibility: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audit_non_hmac_request_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audit_non_hmac_response_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passthrough_request_headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_response_headers: Vec<String>,
}

impl MountInfo {
    pub(crate) fn of(mount: &Mount) -> Self {
        let record = &mount.record;
        let settings = &record.settings;
        Self {
            kind: record.kind.clone(),
            description: settings.description.clone(),
            accessor: record.accessor.clone(),
            uuid: record.uuid.clone(),
            local: record.local,
            seal_wrap: record.seal_wrap,
            external_entropy_access: false,
            options: Some(settings.options.clone()).filter(|options| !options.is_empty()),
            config: ConfigInfo::of(&settings.config, record.class(), None),
            deprecation_status: "supported",
            plugin_version: "",
            running_plugin_version: format!("v{}+builtin", env!("CARGO_PKG_VERSION")),
            running_sha256: "",
        }
    }
}

impl ConfigInfo {
    /// The settings as they are, or with the system's lives where there are none of its own.
    pub(super) fn of(
        config: &MountConfig,
        class: Class,
        system: Option<(Duration, Duration)>,
    ) -> Self {
        let config = config.clone();
        let or = |own: u64, system: Option<u64>| if own == 0 { system.unwrap_or(0) } else { own };
        Self {
            default_lease_ttl: or(config.default_lease_ttl, system.map(|s| s.0.as_secs())),
            max_lease_ttl: or(config.max_lease_ttl, system.map(|s| s.1.as_secs())),
            force_no_cache: config.force_no_cache,
            listing_visibility: config.listing_visibility,
            token_type: (class == Class::Auth).then(|| match config.token_type.as_str() {
                "" => "default-service".to_owned(),
                _ => config.token_type,
            }),
            audit_non_hmac_request_keys: config.audit_non_hmac_request_keys,
            audit_non_hmac_response_keys: config.audit_non_hmac_response_keys,
            passthrough_request_headers: config.passthrough_request_headers,
            allowed_response_headers: config.allowed_response_headers,
        }
    }
}
