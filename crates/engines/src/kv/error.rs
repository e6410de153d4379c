//! [`KvError`]: why a KV engine refused.

use secretum_engine::Fault;

/// Why a KV engine refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// There is nothing.
    #[error("not found")]
    NotFound,
    /// The write named another version than the newest.
    #[error("check-and-set parameter did not match the current version")]
    CasMismatch,
    /// The write had to name the newest version.
    #[error("check-and-set parameter required for this call")]
    CasRequired,
    /// The write holds no secret.
    #[error("no data provided")]
    NoData,
    /// No version was named.
    #[error("No version number provided")]
    NoVersions,
    /// Custom metadata over a limit.
    #[error("{0}")]
    CustomMetadata(String),
    /// A patch that cannot be applied.
    #[error("{0}")]
    Patch(&'static str),
    /// Anything below.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<KvError> for Fault {
    fn from(error: KvError) -> Self {
        match error {
            KvError::NotFound => Self::NotFound,
            KvError::Fault(fault) => fault,
            told => Self::invalid(told.to_string()),
        }
    }
}
