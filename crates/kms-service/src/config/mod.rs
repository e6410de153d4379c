//! [`ServiceConfig`]: the table `[service]` of `kms.toml`.
//!
//! ```toml
//! [service]
//! address = "127.0.0.1:8082"        # where nothing is said
//! tls_cert_path = "server.pem"      # both, or neither
//! tls_key_path = "server.key"
//! client_ca_path = "clients.pem"    # clients may show certificates of this authority
//! allow_plaintext = false           # beyond loopback, behind something that ends TLS
//! body_bytes_max = 25165824
//! requests_max = 256
//! connections_max = 1024
//! timeout = "60s"
//! log_format = "text"               # or json
//! log_level = "info"
//!
//! [[service.tokens]]
//! name = "billing"
//! sha256 = "…"                      # printf %s "$TOKEN" | sha256sum
//! rights = [{ operations = ["encrypt", "decrypt"], keys = ["orders", "team-*"] }]
//!
//! [[service.certificates]]
//! name = "backup"
//! dns = "backup.example"            # or common_name, or uri
//! rights = [{ operations = ["*"], keys = ["*"] }]
//!
//! [service.audit]                   # without it, audit records stand in the log
//! key_path = "audit.key"            # signs them; made where there is none
//! [[service.audit.devices]]
//! type = "file"                     # or socket, or syslog
//! options = { file_path = "/var/log/kms/audit.log" }
//!
//! [service.traces]                  # without it, none are sent
//! endpoint = "http://127.0.0.1:4318" # OTLP over HTTP, the URL before /v1/traces
//! sampling_ratio = 1.0              # of the requests whose callers do not say
//!
//! [service.grpc]
//! address = "127.0.0.1:8083"        # or unix:///run/kms/grpc.sock
//! allow_plaintext = false           # without TLS although there is a certificate
//! local_rights = [{ operations = ["encrypt", "decrypt"], keys = ["age1*"] }]
//!
//! [service.sops]
//! providers = ["age", "vault"]      # by their tables; aws, azure and gcp where they are built in
//!
//! [service.data_keys]
//! kms = "kms://configured?key_encryption_key_id=default"   # or a key service: kms://kmip?…
//! storage = "storage://file?path=/var/lib/kms/data-keys"
//! ```
//!
//! Owns: what may be written there, and what is refused as unsafe: to listen beyond loopback without
//! a way to know callers, or without TLS.

mod draft;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod grpc;
#[cfg(test)]
mod tests;
mod traces;

pub(crate) use grpc::{GrpcAddress, GrpcConfig, SopsProvider};
pub(crate) use traces::TracesConfig;

use crate::callers::{Caller, Proof};
use crate::data_keys::Source;
use crate::data_keys::place::Place;
use crate::tls::TlsFiles;
use secretum_kms::config::{ConfigFault, KmsConfigError, Stage, read_file};
use secretum_kms::{Environment, KmsConfig};
use secretum_kms_audit::AuditConfig;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The most callers of each kind.
pub const CALLERS_MAX: usize = 1000;

/// How the service is reached, by whom, and how much of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// Where it listens.
    pub address: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) grpc: Option<GrpcConfig>,
    pub(crate) audit: Option<AuditConfig>,
    pub(crate) traces: Option<TracesConfig>,
    /// Who may ask; nobody in particular where it is empty.
    pub callers: Vec<(Proof, Caller)>,
    /// What one client, and all together, may use up.
    pub limits: Limits,
    /// How the log looks.
    pub log: Log,
}

impl ServiceConfig {
    /// Where wrapped data keys are kept, where they are.
    pub(crate) fn kept_place(&self) -> Option<&Place> {
        match self.grpc.as_ref()?.data_keys.as_ref()? {
            Source::External { storage, .. } => Some(storage),
            Source::Cluster(_) => None,
        }
    }
}

/// What is not exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body. Default: 24 MiB, for the largest plaintext in base64.
    pub body_bytes_max: usize,
    /// Operations at once. Default: 256.
    pub requests_max: usize,
    /// Connections at once. Default: 1,024.
    pub connections_max: usize,
    /// How long a request takes at most, its body included. Default: 60 s.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 24 << 20,
            requests_max: 256,
            connections_max: 1024,
            timeout: Duration::from_secs(60),
        }
    }
}

/// How the log looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Whether a line is one JSON object.
    pub json: bool,
    /// The least level: error, warn, info, debug or trace.
    pub level: String,
}

/// Reads the whole configuration: the key service, and how it is served.
///
/// **Errors**: [`KmsConfigError`], with the faults of both.
pub fn load(
    file: &Path,
    environment: &Environment,
) -> Result<(KmsConfig, ServiceConfig), KmsConfigError> {
    let text = read_file(file)?;
    let kms = KmsConfig::parse(file, &text, environment);
    parse_service(file, &text, environment, kms)
}

/// When a key was rotated last has to be written down somewhere.
fn rotation_fault(kms: &KmsConfig, service: &ServiceConfig) -> Option<ConfigFault> {
    let rotation = kms.rotation.as_ref()?;
    let grpc = service.grpc.as_ref();
    let source = grpc.and_then(|grpc| grpc.data_keys.as_ref());
    let is_kept = matches!(source, Some(Source::External { .. }));
    let message = match (is_kept, &rotation.state_path) {
        (true, Some(_)) => {
            "the storage of [service.data_keys] holds when keys were rotated; leave `state_path` out"
        }
        (false, None) => {
            "it is written down nowhere when a key was rotated; write state_path = \
             \"/var/lib/kms/rotation\" in [kms.rotation]"
        }
        _ => return None,
    };
    Some(ConfigFault {
        line: Some(rotation.line),
        message: message.to_owned(),
    })
}

fn parse_service(
    file: &Path,
    text: &str,
    environment: &Environment,
    kms: Result<KmsConfig, KmsConfigError>,
) -> Result<(KmsConfig, ServiceConfig), KmsConfigError> {
    // What is not known is taken for the one that permits less.
    let stage = kms.as_ref().map_or(Stage::Production, |kms| kms.stage);
    match (kms, draft::read(text, environment, stage)) {
        (Ok(kms), Ok(service)) => match rotation_fault(&kms, &service) {
            Some(fault) => Err(KmsConfigError {
                file: file.to_owned(),
                faults: vec![fault],
            }),
            None => Ok((kms, service)),
        },
        (Err(error), Ok(_)) => Err(error),
        (Ok(_), Err(faults)) => Err(KmsConfigError {
            file: file.to_owned(),
            faults,
        }),
        (Err(mut error), Err(faults)) => {
            // What does not parse at all is told once.
            for fault in faults {
                let told = error.faults.iter().any(|known| known.line == fault.line);
                if !told {
                    error.faults.push(fault);
                }
            }
            Err(error)
        }
    }
}
