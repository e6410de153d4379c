//! [`ServiceError`]: why the service does not start.

use crate::data_keys::storage::StorageError;
use secretum_audit::AuditError;
use secretum_kms::KmsError;
use secretum_kms::config::{ConfigNotFound, KmsConfigError};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the service does not start, or does not take new certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// There is no configuration where one is looked for.
    #[error(transparent)]
    NoConfig(#[from] ConfigNotFound),
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] KmsConfigError),
    /// The key service cannot be set up.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// A file of TLS cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of TLS holds something else.
    #[error("`{}` holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// Certificate and key cannot be used.
    #[error("the certificate `{}` cannot be used: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// The address is taken, or not ours.
    #[error(
        "cannot listen on {address}: {source}; see what listens there, or set another address in [service]"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The socket is taken, or cannot be made.
    #[error(
        "cannot listen on `{}`: {source}; see what listens there, or set another address in [service.grpc]",
        path.display()
    )]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An audit device cannot be used.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Two audit devices get into each other's way.
    #[error("audit device {number} writes where one before it does; give it a place of its own")]
    AuditTwice {
        /// Which one, from 1.
        number: usize,
    },
    /// The storage of data keys cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system gives no threads or signals.
    #[error("the system does not let the service run: {0}")]
    System(std::io::Error),
}
