//! `[kms.azure]`.

use super::{AzureAlgorithm, AzureCredentials, AzureProvider, AzureSettings};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Found, Reader, Section};
use crate::{Provider, Result};
use secretum_crypto::SecretString;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: Some("key_name"),
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "vault_url",
    "key_name",
    "key_version",
    "tenant_id",
    "client_id",
    "client_secret",
    "client_certificate_path",
    "credentials",
    "algorithm",
    "authority_host",
    "ca_path",
    "verify_challenge_resource",
    "timeout",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("vault_name", "vault_url = \"https://NAME.vault.azure.net\""),
    ("url", "vault_url"),
    ("endpoint", "vault_url"),
    ("key", "key_name"),
    ("key_id", "key_name"),
    ("default_key_id", "key_name"),
    ("secret", "client_secret"),
    ("client_certificate", "client_certificate_path"),
    ("certificate_path", "client_certificate_path"),
];

const TENANT_VARIABLE: &str = "AZURE_TENANT_ID";
const CLIENT_VARIABLE: &str = "AZURE_CLIENT_ID";
const SECRET_VARIABLE: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE_VARIABLE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const POD_TOKEN_VARIABLE: &str = "AZURE_FEDERATED_TOKEN_FILE";

impl Settings for AzureSettings {
    fn provider(&self, _making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(AzureProvider::new(self.clone())))
    }
}

fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<AzureSettings> {
    let Asked {
        table: azure,
        stage,
        at,
    } = asked;
    let before = reader.faults.len();
    let at = azure.at.unwrap_or(at);
    let vault_url = vault_url(reader, azure, at);
    let credentials = credentials(reader, azure, stage, at);
    let mut settings = AzureSettings::new(vault_url?, credentials?);
    if let Some(algorithm) = algorithm(reader, azure) {
        settings.algorithm = algorithm;
    }
    settings.authority_host = secure(reader, azure, "authority_host").map(|found| found.value);
    if azure.has("ca_path") {
        settings.ca = azure.path(reader, "ca_path");
    }
    let verify = azure.switch(reader, "verify_challenge_resource");
    settings.verify_challenge_resource = verify.unwrap_or(true);
    if stage == Stage::Production && verify == Some(false) {
        let message = "`verify_challenge_resource` is false for emulators only; leave it out";
        reader.fault(Some(at), message);
    }
    settings.timeout = azure.duration(reader, "timeout");
    if azure.has("key_version") && !azure.has("key_name") {
        let message = "`key_version` in [kms.azure] is of `key_name`, which is missing; write both";
        reader.fault(Some(at), message);
    }
    (reader.faults.len() == before).then_some(settings)
}

fn vault_url(reader: &mut Reader<'_>, azure: Section<'_>, at: usize) -> Option<String> {
    if !azure.has("vault_url") {
        let message =
            "[kms.azure] has no vault_url; write vault_url = \"https://NAME.vault.azure.net\"";
        reader.fault(Some(at), message);
        return None;
    }
    secure(reader, azure, "vault_url").map(|found| found.value)
}

/// The address of a server with TLS: the library speaks nothing else.
fn secure(reader: &mut Reader<'_>, azure: Section<'_>, key: &str) -> Option<Found<String>> {
    let found = azure.text(reader, key)?;
    let host = found.value.strip_prefix("https://");
    if host.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) {
        return Some(found);
    }
    // What it is may come from a variable, and is not shown.
    let message = format!("`{key}` is not the address of a server with TLS; write https://host");
    reader.fault(Some(found.at), message);
    None
}

fn algorithm(reader: &mut Reader<'_>, azure: Section<'_>) -> Option<AzureAlgorithm> {
    let Found { value, at } = azure.text(reader, "algorithm")?;
    match value.as_str() {
        "RSA-OAEP-256" => Some(AzureAlgorithm::RsaOaep256),
        "A256GCM" => Some(AzureAlgorithm::A256Gcm),
        _ => {
            let message = "`algorithm` is RSA-OAEP-256, or A256GCM in a managed HSM";
            reader.fault(Some(at), message);
            None
        }
    }
}

/// Those that are named; else those that are there: a secret, a certificate, the token of a pod, in production the
/// machine's identity, in development who is logged in.
fn credentials(
    reader: &mut Reader<'_>,
    azure: Section<'_>,
    stage: Stage,
    at: usize,
) -> Option<AzureCredentials> {
    let variable = |reader: &Reader<'_>, name: &str| reader.environment.get(name);
    let tenant_id = azure
        .filled(reader, "tenant_id")
        .or_else(|| variable(reader, TENANT_VARIABLE));
    let client_id = azure
        .filled(reader, "client_id")
        .or_else(|| variable(reader, CLIENT_VARIABLE));
    let named = azure.filled(reader, "credentials");
    let mut own = azure.filled(reader, "client_secret").map(Proof::Secret);
    if azure.has("client_certificate_path") {
        let path = azure.path(reader, "client_certificate_path")?;
        let both = own.replace(Proof::Certificate(path)).is_some();
        if both {
            let message = "[kms.azure] has both client_secret and client_certificate_path; leave one \
                           of them out";
            reader.fault(Some(at), message);
            return None;
        }
    }
    if own.is_some() && named.is_some() {
        let message = "[kms.azure] has credentials, and client_secret or client_certificate_path; \
                       leave one of them out";
        reader.fault(Some(at), message);
        return None;
    }
    let held = || {
        let secret = variable(reader, SECRET_VARIABLE).map(Proof::Secret);
        secret.or_else(|| {
            let path = variable(reader, CERTIFICATE_VARIABLE)?;
            Some(Proof::Certificate(path.into()))
        })
    };
    let proof = own.or_else(held);
    let in_pod = variable(reader, POD_TOKEN_VARIABLE).is_some();
    match (named.as_deref(), proof, stage) {
        (None, Some(proof), _) => of_application(reader, at, (tenant_id, client_id), proof),
        (Some("workload_identity"), ..) => Some(AzureCredentials::WorkloadIdentity {
            tenant_id,
            client_id,
        }),
        (None, None, _) if in_pod => Some(AzureCredentials::WorkloadIdentity {
            tenant_id,
            client_id,
        }),
        (Some("managed_identity"), ..) | (None, None, Stage::Production) => {
            Some(AzureCredentials::ManagedIdentity { client_id })
        }
        (Some("developer_tools"), ..) | (None, None, Stage::Development) => {
            Some(AzureCredentials::DeveloperTools)
        }
        (Some(_), ..) => {
            let message = "`credentials` in [kms.azure] is workload_identity, managed_identity or \
                           developer_tools; or leave it out and write client_secret or \
                           client_certificate_path";
            reader.fault(Some(at), message);
            None
        }
    }
}

/// How an application proves who it is.
enum Proof {
    Secret(String),
    Certificate(PathBuf),
}

fn of_application(
    reader: &mut Reader<'_>,
    at: usize,
    (tenant_id, client_id): (Option<String>, Option<String>),
    proof: Proof,
) -> Option<AzureCredentials> {
    let (Some(tenant_id), Some(client_id)) = (tenant_id, client_id) else {
        let has = match proof {
            Proof::Secret(_) => "client_secret",
            Proof::Certificate(_) => "client_certificate_path",
        };
        let message =
            format!("[kms.azure] has a {has} without tenant_id and client_id; write all three");
        reader.fault(Some(at), message);
        return None;
    };
    Some(match proof {
        Proof::Secret(secret) => AzureCredentials::Secret {
            tenant_id,
            client_id,
            client_secret: Arc::new(SecretString::new(secret)),
        },
        Proof::Certificate(path) => AzureCredentials::Certificate {
            tenant_id,
            client_id,
            path,
        },
    })
}
