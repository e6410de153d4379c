//! [`KmsConfig`]: `kms.toml` into a service, or into every fault in it.
//!
//! ```toml
//! [kms]
//! environment = "${PROVISIONING_ENV:-dev}"   # dev or prod: which of the two backends serves
//! dev_backend = "age"
//! prod_backend = "age"                       # refused, unless [kms.age] says it again
//! default_key = "default"                    # the key where a caller names none
//!
//! [kms.age]
//! public_key_path = "~/.config/kms/public.txt"
//! private_key_path = "~/.config/kms/private.txt"
//! armor = false
//! allow_in_production = true                 # the second saying
//!
//! [kms.local]
//! keys_path = "keys.txt"                     # or keys_variable, SECRETUM_KMS_KEYS where neither is
//!
//! [kms.vault]
//! address = "${VAULT_ADDR}"                  # https://host:8200; this is where it comes from anyway
//! mount = "transit"
//! namespace = "team"
//! auth = "approle"                           # token, approle, kubernetes or cert
//! role_id = "…"                              # kubernetes and cert: role, kubernetes: jwt_path
//! secret_id = "${SECRET_ID}"                 # token: token, VAULT_TOKEN where it is not there
//! ca_cert_path = "ca.pem"                    # client_cert_path, client_key_path, tls_verify
//!
//! [kms.rustyvault]
//! server_url = "https://host:8200"           # VAULT_ADDR where it is not there
//! auth = "approle"                           # token or approle, with the keys that [kms.vault] has
//! engine = "auto"                            # transit, kv, or what the server has
//! transit_mount = "transit"
//! kv_mount = "secret"                        # a key-value engine of version 1
//! kv_path = "secretum-kms"                   # below it the keys stand
//! refresh = "5m"                             # how long a key is remembered
//! create_key = true                          # makes the default key where it is missing
//!
//! [kms.kmip]
//! host = "kmip.example"                      # port, 5696 where it is not there
//! client_cert_path = "client.pem"            # and client_key_path
//! client_key_path = "client-key.pem"
//! ca_path = "ca.pem"
//! default_key_id = "app"                     # as default_key in [kms], for this backend
//! version = "1.4"                            # the newest of both where it is not there
//! timeout = "10s"                            # server_name, connections_max
//!
//! [kms.aws]
//! region = "eu-central-1"                    # AWS_REGION, a profile or the machine where it is not there
//! key_id = "alias/app"                       # as default_key in [kms]; also a key's id or ARN
//! endpoint_url = "https://vpce.example"      # each of these is optional
//! profile = "team"                           # access_key_id, secret_access_key, session_token
//! timeout = "10s"
//!
//! [kms.azure]
//! vault_url = "https://v.vault.azure.net"
//! key_name = "app"                           # as default_key in [kms]
//! key_version = "0a1b"                       # the newest where it is not there
//! tenant_id = "t"                            # these three: AZURE_TENANT_ID and so on, or credentials
//! client_id = "c"
//! client_secret = "${AZURE_CLIENT_SECRET}"
//! client_certificate_path = "app.pem"        # instead of a secret
//! credentials = "workload_identity"          # or managed_identity, developer_tools
//! algorithm = "RSA-OAEP-256"                 # A256GCM in a managed HSM
//! authority_host = "https://login.example"   # ca_path, verify_challenge_resource, timeout
//!
//! [kms.gcp]
//! project = "p"                              # GOOGLE_CLOUD_PROJECT where it is not there
//! location = "europe-west3"                  # GOOGLE_CLOUD_LOCATION where it is not there
//! key_ring = "r"
//! key = "app"                                # as default_key in [kms]; in whole it names the three above
//! endpoint = "https://kms.example"           # each of these is optional
//! credentials_path = "~/gcp.json"
//! timeout = "10s"                            # anonymous = true for emulators
//!
//! [kms.cosmian]
//! server_url = "${COSMIAN_KMS_URL}"          # https://host:9998; this is where it comes from anyway
//! api_key = "${COSMIAN_API_KEY}"             # and this
//! default_key_id = "app"
//! tls_verify = true                          # ca_path, client_cert_path, client_key_path, timeout
//!
//! [kms.cache]                                # each of these is optional
//! enabled = true
//! entries_max = 1000
//! ttl = "300s"
//!
//! [kms.retry]
//! retries_max = 3
//! delay_min = "100ms"
//! delay_max = "10s"
//! deadline = "30s"
//! timeout = "10s"
//!
//! [kms.circuit_breaker]
//! enabled = true
//! failures_to_open = 5
//! open_for = "30s"
//! successes_to_close = 3
//! probes_max = 1
//!
//! [kms.rate_limit]
//! per_second = 100
//! burst = 200
//! wait_max = "1s"
//!
//! [kms.rotation]                             # by `kms-service`, and by no other program
//! every = "90d"
//! keys = ["default"]                         # the default key where they are not there
//! state_path = "/var/lib/kms/rotation"       # where no storage of data keys is configured
//! ```
//!
//! A table `[service]` beside it is not looked at here: it belongs to `kms-service`.
//!
//! In every text `${VAR}` and `${VAR:-default}` stand for variables of the environment, and a leading
//! `~/` in a path for the home folder. Durations end in `ms`, `s`, `m`, `h` or `d`. Of the backends that do
//! not serve, only the names of the keys are checked.
//!
//! Owns: which keys there are beside the tables of the providers, what they mean, and what is said about a
//! fault: its line, its cause, and what to write in its place. Each provider reads its own table.
//!
//! Must not know: how a provider does its work.

pub(crate) mod backend;
mod create;
mod environment;
mod expand;
mod fault;
mod find;
mod read;
mod rotation;
pub(crate) mod section;
mod values;

pub use self::backend::Backend;
pub use self::create::{create_key, create_kms, create_provider, create_resilient_kms};
pub use self::environment::Environment;
pub use self::fault::{ConfigFault, KmsConfigError, read_file};
pub use self::find::{ConfigNotFound, find};
pub use self::rotation::RotationSchedule;
pub use self::section::duration;
pub use self::values::BackendValues;

use crate::{KeyId, ResilientKmsConfig};
use std::path::Path;

/// The most bytes of a configuration file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// Which service, and what stands around it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KmsConfig {
    /// Whether real secrets are at stake.
    pub stage: Stage,
    /// The key where a caller names none. Default: `default`.
    pub default_key: KeyId,
    /// The service.
    pub backend: Backend,
    /// The wrappers. Default: [`ResilientKmsConfig::development`] or
    /// [`ResilientKmsConfig::production`], by the stage.
    pub resilience: ResilientKmsConfig,
    /// Which keys are rotated by schedule, where some are.
    pub rotation: Option<RotationSchedule>,
}

/// Whether real secrets are at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `dev`, `development`, `test`, `local`.
    Development,
    /// `prod`, `production`, `staging`.
    Production,
}

impl Stage {
    /// The key that names the backend which serves.
    fn backend_key(self) -> &'static str {
        match self {
            Self::Development => "dev_backend",
            Self::Production => "prod_backend",
        }
    }
}

impl KmsConfig {
    /// Reads a configuration from its text; `file` is its name in faults.
    ///
    /// **Errors**: [`KmsConfigError`], with every fault.
    pub fn parse(
        file: &Path,
        text: &str,
        environment: &Environment,
    ) -> Result<Self, KmsConfigError> {
        Self::parse_for(file, text, environment, None)
    }

    /// The same; where a backend is named, for that one, whichever the stage has: for who serves with more than
    /// one.
    ///
    /// **Errors**: [`KmsConfigError`], with every fault.
    pub fn parse_for(
        file: &Path,
        text: &str,
        environment: &Environment,
        backend: Option<&str>,
    ) -> Result<Self, KmsConfigError> {
        read::parse(text, environment, backend).map_err(|faults| KmsConfigError {
            file: file.to_owned(),
            faults,
        })
    }

    /// Reads the settings of one backend, where they stand in no file.
    ///
    /// **Errors**: what is wrong with them, by the names that keys of its table have.
    pub fn of_values(
        values: BackendValues<'_>,
        environment: &Environment,
    ) -> Result<Self, Vec<ConfigFault>> {
        values::parse(values, environment)
    }

    /// Reads a configuration file.
    ///
    /// **Errors**: [`KmsConfigError`], also where the file cannot be read.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, KmsConfigError> {
        Self::parse(file, &read_file(file)?, environment)
    }
}

#[cfg(feature = "age")]
#[cfg(feature = "local")]
#[cfg(test)]
mod tests;
