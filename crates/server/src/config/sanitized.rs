//! The configuration as operators may see it over the API: nothing in it is a secret.

use super::Config;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;

/// The configuration as a JSON object, under the names that Vault's clients know.
pub fn sanitized(config: &Config) -> Arc<RawValue> {
    let listeners: Vec<Value> = (config.listeners.iter())
        .map(|listener| {
            json!({
                "type": listener.address.kind(),
                "config": {
                    "address": listener.address.to_string(),
                    "tls_disable": listener.tls.is_none(),
                },
            })
        })
        .collect();
    let told = json!({
        "api_addr": config.api_addr.as_ref().map(ToString::to_string).unwrap_or_default(),
        "cluster_addr": config.cluster_addr.as_ref().map(ToString::to_string).unwrap_or_default(),
        "cluster_name": config.cluster_name.clone().unwrap_or_default(),
        "default_lease_ttl": config.default_lease_ttl.as_secs(),
        "max_lease_ttl": config.max_lease_ttl.as_secs(),
        "disable_mlock": config.disable_mlock,
        "listeners": listeners,
        "log_format": config.log_format.name(),
        "log_level": config.log_level.name(),
        "raw_storage_endpoint": config.raw_storage_endpoint,
        "storage": { "type": config.storage.type_name() },
    });
    Arc::from(to_raw_value(&told).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}
