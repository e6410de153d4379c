//! [`StorageError`]: why a storage refused.

use crate::{KEY_BYTES_MAX, Key, Revision};
use std::path::PathBuf;
use std::sync::Arc;

impl StorageError {
    /// Whether its text helps whoever sent the request, and tells nothing of this machine.
    pub fn is_for_callers(&self) -> bool {
        matches!(
            self,
            Self::KeyTooLong { .. }
                | Self::BatchTooLarge { .. }
                | Self::NotLeader
                | Self::Closed
                | Self::Sealed
        )
    }

    /// Whether a commit that ended in this is sure to have changed nothing, and never will: after any
    /// other failure a restart finds out.
    pub fn applied_nothing(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::KeyTooLong { .. }
                | Self::BatchTooLarge { .. }
                | Self::Full { .. }
                | Self::ReadOnly { .. }
                | Self::Sealed
        )
    }
}

/// Why a storage call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A precondition did not hold; nothing was applied.
    #[error("another write changed `{key}` first")]
    Conflict {
        /// The key whose precondition did not hold.
        key: Key,
    },
    /// The key is longer than [`KEY_BYTES_MAX`].
    #[error(
        "a key of {bytes} bytes is over the limit of {KEY_BYTES_MAX} bytes: use a shorter path"
    )]
    KeyTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The batch is larger than the backend takes.
    #[error("a write of {bytes} bytes is over the limit of {max} bytes")]
    BatchTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The change feed no longer reaches back that far.
    #[error("changes before revision {} are gone", .resume.0)]
    TooOld {
        /// From where the feed goes on.
        resume: Revision,
    },
    /// This node does not lead.
    #[error("this node is not the leader")]
    NotLeader,
    /// The disk is full; nothing was applied.
    #[error("no space left to write `{}`: free some space, then restart the server", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The disk or the file cannot be written; nothing was applied.
    #[error("`{}` cannot be written: check the mount and the permissions of the data directory", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the data directory open.
    #[error("`{}` is in use by another process: stop that server first", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// A file holds what it cannot hold.
    #[error("`{}` is damaged ({what}): restore the data directory from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, and at which offset where it is known.
        what: String,
    },
    /// The directory was written by another product or a newer version.
    #[error("`{}` cannot be used: {what}", path.display())]
    Foreign {
        /// The data directory or the file that gave it away.
        path: PathBuf,
        /// What it is, and what to do instead.
        what: String,
    },
    /// Any other failure of a file.
    #[error("`{}` cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// An earlier failure stopped the backend; nothing more is written until a restart.
    #[error("the storage stopped after an earlier failure: {reason}")]
    Stopped {
        /// The failure.
        reason: String,
    },
    /// The storage was closed.
    #[error("the storage is closed")]
    Closed,
    /// The value cannot be read through this view (a barrier's integrity check failed, or it is
    /// sealed).
    #[error("`{key}` cannot be read: {reason}")]
    Unreadable {
        /// The key.
        key: Key,
        /// Why.
        reason: String,
    },
    /// The view is sealed.
    #[error("the barrier is sealed")]
    Sealed,
}
