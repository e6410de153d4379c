//! What may be told of a mount.

use crate::life::Lives;
use crate::mounts::{Mount, MountConfig};
use schemars::JsonSchema;
use secretum_engine::Class;
use serde::Serialize;
use std::collections::BTreeMap;

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_managed_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delegated_auth_accessors: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    identity_token_key: String,
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
            external_entropy_access: record.external_entropy_access,
            options: Some(settings.options.clone()).filter(|options| !options.is_empty()),
            config: ConfigInfo::own(&settings.config, record.class()),
            deprecation_status: "supported",
            plugin_version: "",
            running_plugin_version: format!("v{}+builtin", env!("CARGO_PKG_VERSION")),
            running_sha256: "",
        }
    }
}

impl ConfigInfo {
    /// The settings, with these lives.
    pub(super) fn of(config: &MountConfig, class: Class, lives: Lives) -> Self {
        let config = config.clone();
        Self {
            default_lease_ttl: lives.default,
            max_lease_ttl: lives.max,
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
            allowed_managed_keys: config.allowed_managed_keys,
            delegated_auth_accessors: config.delegated_auth_accessors,
            identity_token_key: config.identity_token_key,
        }
    }

    /// The settings with the mount's own lives, which are 0 where it has none.
    fn own(config: &MountConfig, class: Class) -> Self {
        let lives = Lives {
            default: config.default_lease_ttl,
            max: config.max_lease_ttl,
        };
        Self::of(config, class, lives)
    }
}
