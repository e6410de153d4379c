//! [`KvError`]: why a KV engine refused.

use secretum_engine::Fault;

// Fixed texts stay fixed on the way: an audit record shows them in the clear.
const CAS_MISMATCH: &str = "check-and-set parameter did not match the current version";
const CAS_REQUIRED: &str = "check-and-set parameter required for this call";
const NO_DATA: &str = "no data provided";
const NO_VERSIONS: &str = "No version number provided";

/// Why a KV engine refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// There is nothing.
    #[error("not found")]
    NotFound,
    /// The write named another version than the newest.
    #[error("{}", CAS_MISMATCH)]
    CasMismatch,
    /// The write had to name the newest version.
    #[error("{}", CAS_REQUIRED)]
    CasRequired,
    /// The write holds no secret.
    #[error("{}", NO_DATA)]
    NoData,
    /// No version was named.
    #[error("{}", NO_VERSIONS)]
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
            KvError::CustomMetadata(text) => Self::invalid(text),
            KvError::CasMismatch => Self::invalid(CAS_MISMATCH),
            KvError::CasRequired => Self::invalid(CAS_REQUIRED),
            KvError::NoData => Self::invalid(NO_DATA),
            KvError::NoVersions => Self::invalid(NO_VERSIONS),
            KvError::Patch(text) => Self::invalid(text),
        }
    }
}
