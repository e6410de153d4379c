//! [`MountSettings`]: what tuning changes of a mount.

use crate::limits::{check_description, check_life, check_names, check_options};
use secretum_engine::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What tuning changes of a mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountSettings {
    pub(crate) description: String,
    pub(crate) config: MountConfig,
    pub(crate) options: BTreeMap<String, String>,
}

/// The settings that every engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MountConfig {
    /// Seconds; 0 for the system's.
    pub(crate) default_lease_ttl: u64,
    /// Seconds; 0 for the system's.
    pub(crate) max_lease_ttl: u64,
    pub(crate) force_no_cache: bool,
    pub(crate) listing_visibility: String,
    pub(crate) token_type: String,
    pub(crate) audit_non_hmac_request_keys: Vec<String>,
    pub(crate) audit_non_hmac_response_keys: Vec<String>,
    pub(crate) passthrough_request_headers: Vec<String>,
    pub(crate) allowed_response_headers: Vec<String>,
    pub(crate) allowed_managed_keys: Vec<String>,
    pub(crate) delegated_auth_accessors: Vec<String>,
    pub(crate) identity_token_key: String,
}

impl MountSettings {
    /// Refuses what is too large, and lives that contradict each other.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let config = &self.config;
        check_description(&self.description)?;
        check_options(&self.options)?;
        for (setting, names) in [
            (
                "audit_non_hmac_request_keys",
                &config.audit_non_hmac_request_keys,
            ),
            (
                "audit_non_hmac_response_keys",
                &config.audit_non_hmac_response_keys,
            ),
            (
                "passthrough_request_headers",
                &config.passthrough_request_headers,
            ),
            ("allowed_response_headers", &config.allowed_response_headers),
            ("allowed_managed_keys", &config.allowed_managed_keys),
            ("delegated_auth_accessors", &config.delegated_auth_accessors),
        ] {
            check_names(setting, names)?;
        }
        check_names(
            "identity_token_key",
            std::slice::from_ref(&config.identity_token_key),
        )?;
        config.check_lives()
    }
}

impl MountConfig {
    fn check_lives(&self) -> Result<(), Fault> {
        check_life("default_lease_ttl", self.default_lease_ttl)?;
        check_life("max_lease_ttl", self.max_lease_ttl)?;
        if self.max_lease_ttl > 0 && self.default_lease_ttl > self.max_lease_ttl {
            return Err(Fault::invalid(format!(
                "default_lease_ttl of {} seconds is greater than max_lease_ttl of {} seconds",
                self.default_lease_ttl, self.max_lease_ttl
            )));
        }
        Ok(())
    }
}
