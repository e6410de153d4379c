//! [`ServiceError`]: why the service does not start.

use crate::data_keys::storage::StorageError;
use secretum_crypto::Timestamp;
use secretum_kms::KmsError;
use secretum_kms::config::{ConfigNotFound, KmsConfigError};
use secretum_kms::rotation::{MoveError, RotationError};
use secretum_kms_audit::AuditLogError;
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
    Audit(#[from] AuditLogError),
    /// The storage of data keys cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The keys of a schedule are rotated elsewhere.
    #[error(
        "the keys of `{provider}` are not rotated from here; leave [kms.rotation] out, and rotate them where they are kept"
    )]
    NotRotated {
        /// The provider.
        provider: &'static str,
    },
    /// There are no data keys to wrap anew.
    #[error(
        "`{}` keeps no data keys; write [service.data_keys] with a storage", file.display()
    )]
    NothingKept {
        /// The configuration.
        file: PathBuf,
    },
    /// Two configurations name two storages.
    #[error(
        "`{}` names another storage of data keys; data keys go to another key service in their storage, so name the same one in both", file.display()
    )]
    OtherStorage {
        /// The configuration of the new key service.
        file: PathBuf,
    },
    /// Another server, or command, is at it.
    #[error(
        "another server, or another command, wraps these data keys anew and holds `rotation/lease` in their storage{}; start this again when it is done, or five minutes behind the end of one that was killed",
        until.map(|until| format!(" until {until} at least")).unwrap_or_default()
    )]
    Rotating {
        /// Until when, at the least.
        until: Option<Timestamp>,
    },
    /// Data keys were not wrapped anew.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// Data keys did not go to another key service.
    #[error("the data keys were not all moved; start it again, and it goes on: {0}")]
    Move(#[from] MoveError),
    /// Some data keys stay as they are.
    #[error(
        "{left} data keys do not open, and stay as they are; the names of their records are told above. A record of the first version needs its identifier: ask for it once, then start this again"
    )]
    Left {
        /// How many.
        left: u64,
    },
    /// Traces cannot be sent anywhere.
    #[error("traces cannot be sent: {0}")]
    Traces(secretum_process::TracesError),
    /// The system gives no threads or signals.
    #[error("the system does not let the service run: {0}")]
    System(std::io::Error),
}
