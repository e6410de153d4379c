//! The first failure of a node, which stops its writes, and what an error of the file system
//! means to an operator.

use crate::StorageError;
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first failure of a node; nothing is written behind it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<StorageError>>>);

impl Failure {
    /// Notes a failure, where it is the first one, and gives back an error for those who only
    /// know the system's.
    pub(crate) fn set(&self, error: StorageError) -> io::Error {
        let answer = io::Error::other(error.to_string());
        let mut first = self.0.lock();
        if first.is_none() {
            tracing::error!(%error, "the storage takes no more writes");
            *first = Some(error);
        }
        answer
    }

    /// The first failure.
    pub(crate) fn get(&self) -> Option<StorageError> {
        self.0.lock().clone()
    }

    /// The first failure, as an answer to a write that may or may not have been applied.
    pub(crate) fn stopped(&self) -> Option<StorageError> {
        self.get().map(|first| match first {
            refused @ (StorageError::Full { .. }
            | StorageError::ReadOnly { .. }
            | StorageError::Stopped { .. }) => refused,
            other => StorageError::Stopped {
                reason: other.to_string(),
            },
        })
    }
}

/// What an error of the file system means.
pub(crate) fn explain(path: &Path, error: io::Error) -> StorageError {
    let path = PathBuf::from(path);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StorageError::Full { path }
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StorageError::ReadOnly { path }
        }
        io::ErrorKind::InvalidData => StorageError::Corrupt {
            path,
            what: error.to_string(),
        },
        io::ErrorKind::UnexpectedEof => StorageError::Corrupt {
            path,
            what: "it ends too early".to_owned(),
        },
        _ => StorageError::Io {
            path,
            source: Arc::new(error),
        },
    }
}

/// A damaged file.
pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> StorageError {
    StorageError::Corrupt {
        path: PathBuf::from(path),
        what: what.into(),
    }
}
