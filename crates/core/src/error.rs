//! [`CoreError`]: why the core could not start, unseal or stop.

use secretum_audit::AuditError;
use secretum_barrier::BarrierError;
use secretum_crypto::CryptoError;
use secretum_engine::{Fault, RouteError};
use secretum_storage::StorageError;

/// Why the core could not start, unseal or stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// The rows of a system engine are no table.
    #[error(transparent)]
    Routes(#[from] RouteError),
    /// The barrier refused.
    #[error(transparent)]
    Barrier(#[from] BarrierError),
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The cryptography library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// An audit device that must record every request cannot.
    #[error("the audit device `{path}` cannot be opened: {source}")]
    Audit {
        /// Path of the device.
        path: String,
        /// Why.
        #[source]
        source: AuditError,
    },
    /// Something refused that a caller could have been told of.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<CoreError> for Fault {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Barrier(error) => barrier(error),
            CoreError::Storage(error) => Self::Storage(error),
            CoreError::Fault(fault) => fault,
            other => Self::internal(other),
        }
    }
}

/// What a caller is told of a barrier's refusal.
pub(crate) fn barrier(error: BarrierError) -> Fault {
    match error {
        BarrierError::Sealed => Fault::Sealed,
        BarrierError::Storage(error) => Fault::Storage(error),
        BarrierError::Crypto(_) | BarrierError::Damaged { .. } => Fault::internal(error),
        told => Fault::invalid(told.to_string()),
    }
}
