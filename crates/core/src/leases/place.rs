//! [`Place`]: where a lease is kept, and [`Index`]: what leads there.

use secretum_crypto::HmacKey;
use secretum_engine::{Fault, to_json, unreadable};
use secretum_storage::{Key, StorageError};
use serde::{Deserialize, Serialize};

/// Where a lease is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// UUID of the mount that issued it.
    pub(crate) mount: String,
    /// The path that issued it, relative to the mount, and its word.
    pub(crate) path: String,
}

impl Place {
    /// Its storage key.
    pub(crate) fn key(&self) -> Result<Key, StorageError> {
        Self::folder(&self.mount, &self.path)
    }

    /// What the keys of all leases below a path of a mount begin with.
    pub(crate) fn folder(mount: &str, path: &str) -> Result<Key, StorageError> {
        Key::try_from(format!("sys/lease/{mount}/{path}"))
    }

    /// The place of a stored lease; `None` for another key.
    pub(crate) fn of(key: &Key) -> Option<Self> {
        let text = std::str::from_utf8(key.as_bytes()).ok()?;
        let (mount, path) = text.strip_prefix("sys/lease/")?.split_once('/')?;
        Some(Self {
            mount: mount.to_owned(),
            path: path.to_owned(),
        })
    }

    /// The path that issued it, and its word.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", &self.path))
    }

    /// Reads what an index entry holds.
    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(value).map_err(|error| unreadable("place of a lease", &error))
    }

    /// What an index entry holds: the keys of the index show no path.
    pub(super) fn to_bytes(&self) -> Result<bytes::Bytes, Fault> {
        to_json(self)
    }
}

/// What leads to a lease.
#[derive(Debug)]
pub(super) struct Index {
    hash: String,
}

impl Index {
    pub(super) fn new(key: &HmacKey, place: &Place) -> Self {
        let text = format!("{}/{}", place.mount, place.path);
        Self {
            hash: key.sign_hex(text.as_bytes()),
        }
    }

    /// By the time when something is to be done.
    pub(super) fn due(&self, seconds: i64) -> Result<Key, StorageError> {
        // Times before 1970 do not come, and all are past.
        Key::try_from(format!("{DUE}{:016x}/{}", seconds.max(0), self.hash))
    }

    /// By the token that it belongs to.
    pub(super) fn owned(&self, token: &str) -> Result<Key, StorageError> {
        Key::try_from(format!("sys/token/lease/{token}/{}", self.hash))
    }

    /// Among those that cannot be ended.
    pub(super) fn irrevocable(&self) -> Result<Key, StorageError> {
        Key::try_from(format!("{IRREVOCABLE}{}", self.hash))
    }
}

/// Where the leases of a token are found.
pub(super) fn owned_by(token: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/token/lease/{token}/"))
}

/// Where leases are found by the time when something is to be done.
pub(crate) const DUE: &str = "sys/lease-expiry/";

/// Where those are found that cannot be ended.
pub(super) const IRREVOCABLE: &str = "sys/irrevocable/";
