//! [`AuditLogError`]: why records cannot be written.

use secretum_audit::AuditError;
use secretum_kms::KmsError;

/// Why records cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// A device cannot be used.
    #[error(transparent)]
    Device(#[from] AuditError),
    /// Two devices get into each other's way.
    #[error("audit device {number} writes where one before it does; give it a place of its own")]
    Twice {
        /// Which one, from 1.
        number: usize,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KmsError),
}
