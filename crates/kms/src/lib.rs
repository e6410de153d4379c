//! One interface over every key service.
//!
//! An application encrypts through [`KeyManagementService`]; which service stands behind it is
//! configuration.
//!
//! Owns: the trait and its types; the form of a [`Ciphertext`]; the narrow [`Provider`] trait that
//! a key service is attached by, with a folder for each in [`providers`]; and [`ProviderKms`], which
//! supplies whatever a provider lacks; and, above the trait, [`EncryptedEnvelope`] for bytes and
//! [`stream`] for files; and `ttlv`, the form of KMIP's messages, in which two providers speak.
//!
//! Must not know: the vault. Of it, only the HTTP client is used, by the providers that speak its
//! API.
//!
//! Data flows through it like this:
//!
//! ```text
//!   caller ─▶ envelope, stream ─▶ ProviderKms ─▶ Provider ─▶ the key service
//!                                 context, data keys,    wrap and unwrap
//!                                 re-encryption, limits
//! ```

mod bound_key;
mod ciphertext;
mod codec;
#[cfg(feature = "config")]
pub mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod context;
mod data_key;
mod envelope;
mod error;
mod flights;
mod key;
pub mod key_file;
#[cfg(any(feature = "cosmian", feature = "kmip"))]
mod kmip;
mod layer;
mod operation;
mod provider;
pub mod providers;
mod resilience;
pub mod rotation;
mod service;
pub mod stream;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
#[cfg(test)]
mod test_answers;
#[cfg(any(feature = "cosmian", feature = "kmip", feature = "vault"))]
#[cfg(test)]
mod test_certificates;
#[cfg(feature = "local")]
#[cfg(test)]
mod test_keys;
#[cfg(feature = "config")]
#[cfg(test)]
#[allow(dead_code, reason = "each provider has its peers")]
mod test_peers;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
#[cfg(test)]
mod test_process;
#[cfg(any(feature = "azure", feature = "gcp"))]
#[cfg(test)]
mod test_python;
#[cfg(feature = "tls")]
mod tls;
#[cfg(any(feature = "cosmian", feature = "kmip"))]
pub mod ttlv;

pub use ciphertext::{CIPHERTEXT_BYTES_MAX, Ciphertext, Form};
pub use codec::{FormatError, Thing};
#[cfg(feature = "config")]
pub use config::{Environment, KmsConfig, KmsConfigError, create_kms, create_resilient_kms};
pub use context::{
    CONTEXT_BYTES_MAX, CONTEXT_ENTRIES_MAX, CONTEXT_KEY_BYTES_MAX, CONTEXT_VALUE_BYTES_MAX,
    EncryptionContext,
};
pub use data_key::{DATA_KEY_BYTES_MAX, DataEncryptionKey, DataKeySpec};
pub use envelope::{ENVELOPE_PLAINTEXT_BYTES_MAX, EncryptedEnvelope};
pub use error::{Cause, KmsError};
pub use key::{
    KEY_ID_BYTES_MAX, KEY_VERSION_BYTES_MAX, KEYS_PAGE_MAX, KeyId, KeyInfo, KeyPage, KeyVersion,
};
pub use layer::{PLAINTEXT_BYTES_MAX, ProviderKms};
pub use operation::KmsOperation;
pub use provider::{Provider, Traits, Wrapped};
#[cfg(feature = "age")]
pub use providers::age::{AgeFiles, AgeProvider, AgeRecipients, AgeSettings};
#[cfg(feature = "aws")]
pub use providers::aws::{AwsCredentials, AwsProvider, AwsSettings};
#[cfg(feature = "azure")]
pub use providers::azure::{AzureAlgorithm, AzureCredentials, AzureProvider, AzureSettings};
#[cfg(feature = "cosmian")]
pub use providers::cosmian::{CosmianProvider, CosmianServer};
#[cfg(feature = "gcp")]
pub use providers::gcp::{GcpCredentials, GcpProvider, GcpSettings};
#[cfg(feature = "kmip")]
pub use providers::kmip::{KmipProvider, KmipServer};
#[cfg(feature = "local")]
pub use providers::local::{EnvKeyProvider, LocalKeys};
#[cfg(feature = "rustyvault")]
pub use providers::rustyvault::{
    RustyVaultEngine, RustyVaultKeys, RustyVaultProvider, RustyVaultSettings,
};
#[cfg(feature = "vault")]
pub use providers::vault::{VaultAuth, VaultProvider, VaultServer, VaultSettings};
pub use resilience::{
    AuditedKms, AuditedOrigin, CANCELLED, CacheStats, CachedKms, Call, CircuitBreakerConfig,
    CircuitBreakerKms, CircuitState, DURATION_BUCKETS_US, KmsAuditEvent, KmsAuditSink,
    KmsCacheConfig, KmsMetrics, KmsMetricsSnapshot, Observers, OperationMetrics, RateLimitConfig,
    RateLimitKms, ResilientKms, ResilientKmsConfig, RetryConfig, RetryKms, SinkError, TimeoutKms,
    Wrapper,
};
pub use rotation::{KeyRotationManager, KeyRotationResult};
pub use secretum_crypto::SecretBytes;
pub use service::{Capabilities, Health, KeyManagementService, SuppliedBy};

/// Result of an operation of the key management service.
pub type Result<T> = std::result::Result<T, KmsError>;

/// The examples of the guide, so that they are compiled and run.
#[cfg(all(doctest, feature = "local"))]
#[doc = include_str!("../../../docs/kms/library.md")]
mod guide {}
