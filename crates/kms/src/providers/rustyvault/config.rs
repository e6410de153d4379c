//! `[kms.rustyvault]`.

use super::{REFRESH, RustyVaultEngine, RustyVaultKeys, RustyVaultProvider};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Reader, Section};
use crate::providers::vault::config as vault;
use crate::providers::vault::{TIMEOUT, VaultServer};
use crate::{KeyId, Provider, Result};
use secretum_client::Address;
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: None,
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "server_url",
    "auth",
    "auth_mount",
    "token",
    "role_id",
    "secret_id",
    "ca_cert_path",
    "client_cert_path",
    "client_key_path",
    "tls_verify",
    "engine",
    "transit_mount",
    "kv_mount",
    "kv_path",
    "refresh",
    "timeout",
    "create_key",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("address", "server_url"),
    ("url", "server_url"),
    ("mount", "transit_mount or kv_mount"),
    ("mount_path", "transit_mount or kv_mount"),
    ("path", "kv_path"),
    ("key_name", "default_key in [kms]"),
    ("ca_path", "ca_cert_path"),
    ("tls_skip_verify", "tls_verify"),
];

/// The methods that RustyVault has, too.
const METHODS: &[&str] = &["token", "approle"];

/// A RustyVault, as whom it is asked, and where its keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RustyVaultSettings {
    /// The server.
    pub server: VaultServer,
    /// Where its keys are.
    pub keys: RustyVaultKeys,
}

impl Settings for RustyVaultSettings {
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let mut keys = self.keys.clone();
        keys.default_key = making.default_key.clone();
        let (rng, clock) = (&making.observers.rng, &making.observers.clock);
        let (rng, clock) = (Arc::clone(rng), Arc::clone(clock));
        let (config, auth) = (self.server.client(), self.server.auth.clone());
        let provider = RustyVaultProvider::new(config, auth, keys, rng, clock)?;
        Ok(Arc::new(provider))
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<RustyVaultSettings> {
    let Asked {
        table: rusty,
        stage,
        at,
    } = asked;
    let before = reader.faults.len();
    let at = rusty.at.unwrap_or(at);
    let address = vault::address(reader, rusty, "server_url", at);
    let auth = vault::auth(reader, rusty, at, METHODS);
    let tls = vault::tls(reader, rusty, stage, at);
    let plain = |address: &Address| address.url().scheme() == "http" && address.socket().is_none();
    // Where there is no transit engine, keys themselves go over this connection.
    if stage == Stage::Production && address.as_ref().is_some_and(plain) {
        let message = "a production environment does not take a server without TLS; write \
                       server_url = \"https://host:8200\"";
        reader.fault(Some(at), message);
    }
    let keys = keys(reader, rusty);
    let timeout = rusty.duration(reader, "timeout").unwrap_or(TIMEOUT);
    let settings = RustyVaultSettings {
        server: VaultServer::new(address?, auth?, tls, timeout),
        keys: keys?,
    };
    (reader.faults.len() == before).then_some(settings)
}

fn keys(reader: &mut Reader<'_>, rusty: Section<'_>) -> Option<RustyVaultKeys> {
    // Which key is the default is told when the provider is made.
    let mut keys = RustyVaultKeys::new(KeyId::new("default").ok()?);
    if let Some(engine) = rusty.text(reader, "engine") {
        keys.engine = match engine.value.as_str() {
            "auto" => RustyVaultEngine::Auto,
            "transit" => RustyVaultEngine::Transit,
            "kv" => RustyVaultEngine::Kv,
            _ => {
                let message = "`engine` is none that is known; write auto, transit or kv";
                reader.fault(Some(engine.at), message);
                return None;
            }
        };
    }
    for (key, place) in [
        ("transit_mount", &mut keys.transit_mount),
        ("kv_mount", &mut keys.kv_mount),
        ("kv_path", &mut keys.kv_path),
    ] {
        let Some(found) = rusty.text(reader, key) else {
            continue;
        };
        if found.value.trim_matches('/').is_empty() || found.value.contains("..") {
            let message =
                format!("`{key}` is the name of a place in the server; write {key} = \"…\"");
            reader.fault(Some(found.at), message);
            return None;
        }
        *place = found.value;
    }
    keys.refresh = rusty.duration(reader, "refresh").unwrap_or(REFRESH);
    keys.create_key = rusty.switch(reader, "create_key").unwrap_or(false);
    Some(keys)
}
