//! `[kms.vault]`.

use super::{TIMEOUT, VaultAuth, VaultProvider};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Found, Reader, Section};
use crate::{Provider, Result};
use secretum_client::{Address, ClientConfig, TlsConfig};
use secretum_crypto::SecretString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: None,
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "address",
    "namespace",
    "mount",
    "auth",
    "auth_mount",
    "token",
    "role_id",
    "secret_id",
    "role",
    "jwt_path",
    "ca_cert_path",
    "client_cert_path",
    "client_key_path",
    "tls_verify",
    "timeout",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("server_url", "address"),
    ("url", "address"),
    ("mount_path", "mount"),
    ("key_name", "default_key in [kms]"),
    ("tls_skip_verify", "tls_verify"),
];

const METHODS: &[&str] = &["token", "approle", "kubernetes", "cert"];

/// Where a pod finds the token of its service account.
const JWT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A server that speaks Vault's API, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VaultServer {
    /// Its address. Default: the variable VAULT_ADDR.
    pub address: Address,
    /// As whom. Default: by the token of the variable VAULT_TOKEN.
    pub auth: VaultAuth,
    /// Whom to trust beside the authorities of the system.
    pub ca_cert: Option<PathBuf>,
    /// The certificate of the connection.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// Whether the server must prove who it is. Default: yes.
    pub tls_verify: bool,
    /// How long a request may take, with the login before it. Default: [`TIMEOUT`].
    pub timeout: Duration,
}

impl VaultServer {
    /// A server of these; what `tls` has beside, no table says.
    pub(crate) fn new(
        address: Address,
        auth: VaultAuth,
        tls: TlsConfig,
        timeout: Duration,
    ) -> Self {
        Self {
            address,
            auth,
            ca_cert: tls.ca_cert,
            client_cert: tls.client_cert,
            client_key: tls.client_key,
            tls_verify: !tls.skip_verify,
            timeout,
        }
    }

    /// How a client speaks to it.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new(self.address.clone());
        config.timeout = self.timeout;
        config.tls = TlsConfig {
            ca_cert: self.ca_cert.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            skip_verify: !self.tls_verify,
            ..TlsConfig::default()
        };
        config
    }
}

/// A transit engine, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VaultSettings {
    /// Its server.
    pub server: VaultServer,
    /// The namespace. Default: none.
    pub namespace: Option<String>,
    /// Where the engine is mounted. Default: `transit`.
    pub mount: String,
}

impl VaultSettings {
    /// Whether they speak to the engine at this mount of the server at this address.
    pub fn are_of(&self, address: &str, mount: &str) -> bool {
        let same_server = address
            .parse()
            .is_ok_and(|given| self.server.address == given);
        same_server && self.mount.trim_matches('/') == mount.trim_matches('/')
    }
}

impl Settings for VaultSettings {
    fn provider(&self, _making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let mut config = self.server.client();
        config.namespace.clone_from(&self.namespace);
        let provider = VaultProvider::new(config, self.server.auth.clone(), &self.mount)?;
        Ok(Arc::new(provider))
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<VaultSettings> {
    let Asked {
        table: vault,
        stage,
        at,
    } = asked;
    let before = reader.faults.len();
    let at = vault.at.unwrap_or(at);
    let address = address(reader, vault, "address", at);
    let auth = auth(reader, vault, at, METHODS);
    let tls = tls(reader, vault, stage, at);
    let mut text = |key: &str| vault.text(reader, key).map(|found| found.value);
    let namespace = text("namespace").filter(|text| !text.is_empty());
    let mount = text("mount").unwrap_or("transit".to_owned());
    let timeout = vault.duration(reader, "timeout").unwrap_or(TIMEOUT);
    let settings = VaultSettings {
        server: VaultServer::new(address?, auth?, tls, timeout),
        namespace,
        mount,
    };
    (reader.faults.len() == before).then_some(settings)
}

/// Whom to trust, and what to show.
pub(crate) fn tls(
    reader: &mut Reader<'_>,
    vault: Section<'_>,
    stage: Stage,
    at: usize,
) -> TlsConfig {
    let verify = vault.switch(reader, "tls_verify").unwrap_or(true);
    if !verify && stage == Stage::Production {
        reader.fault(
            Some(at),
            "a production environment does not take tls_verify = false; write ca_cert_path",
        );
    }
    let tls = TlsConfig {
        ca_cert: vault.path(reader, "ca_cert_path"),
        client_cert: vault.path(reader, "client_cert_path"),
        client_key: vault.path(reader, "client_key_path"),
        skip_verify: !verify,
        ..TlsConfig::default()
    };
    if tls.client_cert.is_some() != tls.client_key.is_some() {
        let message = format!(
            "[{}] has one of client_cert_path and client_key_path; write both",
            vault.name
        );
        reader.fault(Some(at), message);
    }
    tls
}

/// The server, below this key.
pub(crate) fn address(
    reader: &mut Reader<'_>,
    vault: Section<'_>,
    key: &str,
    at: usize,
) -> Option<Address> {
    let found = match vault.has(key) {
        true => vault.text(reader, key)?,
        false => {
            let names = ["SECRETUM_ADDR", "VAULT_ADDR", "BAO_ADDR"];
            let value = names.iter().find_map(|name| reader.environment.get(name));
            match value {
                Some(value) => Found { value, at },
                None => {
                    reader.fault(
                        Some(at),
                        format!(
                            "[{}] has no `{key}`; write {key} = \"https://host:8200\", or set \
                             VAULT_ADDR",
                            vault.name
                        ),
                    );
                    return None;
                }
            }
        }
    };
    let parsed = found.value.parse();
    if parsed.is_err() {
        // What it is may come from a variable, and is not shown.
        reader.fault(
            Some(found.at),
            format!("`{key}` is not the address of a server; write https://host:port"),
        );
    }
    parsed.ok()
}

/// As whom, by one of these methods.
pub(crate) fn auth(
    reader: &mut Reader<'_>,
    vault: Section<'_>,
    at: usize,
    methods: &[&str],
) -> Option<VaultAuth> {
    let method = match vault.has("auth") {
        true => vault.text(reader, "auth")?,
        false => Found {
            value: "token".to_owned(),
            at,
        },
    };
    let mount = vault.text(reader, "auth_mount").map(|found| found.value);
    let mount = |default: &str| mount.clone().unwrap_or(default.to_owned());
    let known = methods.iter().find(|known| **known == method.value);
    match known.copied().unwrap_or_default() {
        "token" => token(reader, vault, at),
        "approle" => {
            let role_id = needed(reader, vault, "role_id", at);
            let secret_id = needed(reader, vault, "secret_id", at);
            Some(VaultAuth::AppRole {
                mount: mount("approle"),
                role_id: role_id?,
                secret_id: Arc::new(SecretString::new(secret_id?)),
            })
        }
        "kubernetes" => Some(VaultAuth::Kubernetes {
            mount: mount("kubernetes"),
            role: needed(reader, vault, "role", at)?,
            jwt_path: vault
                .path(reader, "jwt_path")
                .unwrap_or(PathBuf::from(JWT_PATH)),
        }),
        "cert" => Some(VaultAuth::Certificate {
            mount: mount("cert"),
            role: vault.text(reader, "role").map(|found| found.value),
        }),
        _ => {
            let message = format!(
                "`auth` is none that is known; write one of {}",
                methods.join(", ")
            );
            reader.fault(Some(method.at), message);
            None
        }
    }
}

fn token(reader: &mut Reader<'_>, vault: Section<'_>, at: usize) -> Option<VaultAuth> {
    let names = ["SECRETUM_TOKEN", "VAULT_TOKEN", "BAO_TOKEN"];
    let token = match vault.has("token") {
        true => Some(needed(reader, vault, "token", at)?),
        false => names.iter().find_map(|name| reader.environment.get(name)),
    };
    if token.is_none() {
        reader.fault(
            Some(at),
            format!(
                "[{}] has no `token`; write token = \"${{VAULT_TOKEN}}\" and set it, or another auth",
                vault.name
            ),
        );
    }
    Some(VaultAuth::Token(Arc::new(SecretString::new(token?))))
}

fn needed(
    reader: &mut Reader<'_>,
    vault: Section<'_>,
    key: &'static str,
    at: usize,
) -> Option<String> {
    let found = match vault.has(key) {
        true => Some(vault.text(reader, key)?),
        false => None,
    };
    let value = found.map(|found| found.value);
    let value = value.filter(|value| !value.is_empty());
    if value.is_none() {
        reader.fault(
            Some(at),
            format!(
                "[{}] has no `{key}`, which its auth needs; write {key} = \"…\"",
                vault.name
            ),
        );
    }
    value
}
