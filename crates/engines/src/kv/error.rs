//! [`KvError`]: why a KV engine refused.

use secretum_engine::Fault;

// Fixed texts stay fixed on the way: an audit record shows them in the clear.
const CAS_MISMATCH: &str = "check-and-set parameter did not match the current version";
const CAS_REQUIRED: &str = "check-and-set parameter required for this call";
const METADATA_CAS_MISMATCH: &str =
    "metadata check-and-set parameter does not match the current version";
const METADATA_CAS_REQUIRED: &str = "metadata check-and-set parameter required for this call";
const METADATA_CAS_OF_NEW: &str = "metadata_cas must be 0 when creating new metadata";
const NO_DATA: &str = "no data provided";
const NO_VERSIONS: &str = "No version number provided";
const NO_SOURCE: &str = "there is no secret at the source";
const SAME_PATH: &str = "source and destination are the same path";
const OCCUPIED: &str = "there is a secret at the destination already; to overwrite it with its \
                        history, name its newest version in `cas`";
const TOO_LARGE_TO_TRANSFER: &str = "all versions of the secret together are larger than one write \
                                     can hold; destroy versions that are not needed, and try again";

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
    /// The change of settings named another version of the metadata than the newest.
    #[error("{}", METADATA_CAS_MISMATCH)]
    MetadataCasMismatch,
    /// The change of settings had to name the newest version of the metadata.
    #[error("{}", METADATA_CAS_REQUIRED)]
    MetadataCasRequired,
    /// Settings of a secret that is not there named a version of its metadata.
    #[error("{}", METADATA_CAS_OF_NEW)]
    MetadataCasOfNew,
    /// The write holds no secret.
    #[error("{}", NO_DATA)]
    NoData,
    /// No version was named.
    #[error("{}", NO_VERSIONS)]
    NoVersions,
    /// There is nothing to copy or move.
    #[error("{}", NO_SOURCE)]
    NoSource,
    /// A secret was to be copied or moved to where it is.
    #[error("{}", SAME_PATH)]
    SamePath,
    /// A copy or move would overwrite a secret, and was not told to.
    #[error("{}", OCCUPIED)]
    Occupied,
    /// A secret that is copied or moved does not fit into one write.
    #[error("{}", TOO_LARGE_TO_TRANSFER)]
    TooLargeToTransfer,
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
            KvError::MetadataCasMismatch => Self::invalid(METADATA_CAS_MISMATCH),
            KvError::MetadataCasRequired => Self::invalid(METADATA_CAS_REQUIRED),
            KvError::MetadataCasOfNew => Self::invalid(METADATA_CAS_OF_NEW),
            KvError::NoData => Self::invalid(NO_DATA),
            KvError::NoVersions => Self::invalid(NO_VERSIONS),
            KvError::NoSource => Self::NotFoundBecause(NO_SOURCE.into()),
            KvError::SamePath => Self::invalid(SAME_PATH),
            KvError::Occupied => Self::invalid(OCCUPIED),
            KvError::TooLargeToTransfer => Self::TooLarge(TOO_LARGE_TO_TRANSFER.into()),
            KvError::Patch(text) => Self::invalid(text),
        }
    }
}
