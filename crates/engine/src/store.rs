//! [`MountStorage`]: an engine's own part of the storage.

use crate::Fault;
use bytes::Bytes;
use secretum_storage::{Key, PageOf, Precondition, Revision, Storage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How many rows one look at the storage brings.
pub const LIST_PAGE: usize = 1_000;

/// The keys of one mount, over any storage.
#[derive(Debug, Clone)]
pub struct MountStorage {
    storage: Arc<dyn Storage>,
    prefix: Key,
}

/// A stored value and its revision.
#[derive(Clone)]
pub struct Record {
    /// The value.
    pub value: Bytes,
    /// The commit that wrote it.
    pub revision: Revision,
}

impl Record {
    /// Reads the value as JSON.
    ///
    /// **Errors**: [`Fault::Internal`] where it is none; the barrier has vouched for the bytes, so
    /// a newer version wrote it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.value).map_err(|error| unreadable("record", &error))
    }
}

/// Its value may hold a secret, and is not shown.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// The fault of a stored value that is no JSON, or not of its type: where it went wrong, and nothing
/// of the value, which the error's own text may quote.
pub fn unreadable(what: &str, error: &serde_json::Error) -> Fault {
    let (kind, column) = (error.classify(), error.column());
    Fault::Internal(format!(
        "a stored {what} cannot be read: {kind:?} error at byte {column}"
    ))
}

/// The precondition that a record is still as it was read.
pub fn expect(record: Option<&Record>) -> Precondition {
    record.map_or(Precondition::Absent, |record| {
        Precondition::At(record.revision)
    })
}

/// A value as the JSON text that is stored.
///
/// **Errors**: [`Fault::Internal`] where it cannot be written as JSON.
pub fn to_json<T: Serialize>(value: &T) -> Result<Bytes, Fault> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(Fault::internal)
}

impl MountStorage {
    /// The part of `storage` below `prefix`.
    pub fn new(storage: Arc<dyn Storage>, prefix: Key) -> Self {
        Self { storage, prefix }
    }

    /// The storage key of a key of this mount.
    ///
    /// **Errors**: [`Fault::Storage`] where it is too long.
    pub fn key(&self, key: &str) -> Result<Key, Fault> {
        Ok(self.prefix.join(key)?)
    }

    /// Reads a record.
    ///
    /// **Errors**: [`Fault::Storage`].
    pub async fn get(&self, key: &str) -> Result<Option<Record>, Fault> {
        let entry = self.storage.get(&self.key(key)?).await?;
        Ok(entry.map(|entry| Record {
            value: entry.value,
            revision: entry.revision,
        }))
    }

    /// Paths of everything below a folder, relative to it; as [`MountStorage::children`] otherwise.
    ///
    /// **Errors**: [`Fault::Storage`].
    pub async fn descendants(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Fault> {
        self.names(folder, after, limit, PageOf::Keys).await
    }

    /// Names directly below a folder (empty, or ending with `/`); folders end with `/`.
    ///
    /// Without a limit the whole listing, sorted. With one, that many names behind `after`, in the
    /// stable order of the storage, which is not alphabetical.
    ///
    /// **Errors**: [`Fault::Storage`].
    pub async fn children(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Fault> {
        self.names(folder, after, limit, PageOf::Children).await
    }

    async fn names(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
        what: PageOf,
    ) -> Result<Vec<String>, Fault> {
        let prefix = self.key(folder)?;
        let mut after = after.map(|after| prefix.join(after)).transpose()?;
        let mut names = Vec::new();
        loop {
            let room = limit.map_or(LIST_PAGE, |limit| (limit - names.len()).min(LIST_PAGE));
            let page = self
                .storage
                .page(&prefix, after.as_ref(), room, what)
                .await?;
            for row in &page.rows {
                let name = row.key.strip_prefix(&prefix).unwrap_or_default();
                names.push(String::from_utf8_lossy(name).into_owned());
            }
            after = page.rows.last().map(|row| row.key.clone());
            let full = limit.is_some_and(|limit| names.len() >= limit);
            if !page.more || full || after.is_none() {
                break;
            }
        }
        if limit.is_none() {
            names.sort_unstable();
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_value_is_shown() {
        let record = Record {
            value: Bytes::from_static(br#"{"a":"hunter2"}"#),
            revision: Revision(7),
        };
        let fault = record
            .json::<std::collections::BTreeMap<String, u64>>()
            .unwrap_err();
        for shown in [
            fault.to_string(),
            format!("{fault:?}"),
            format!("{record:?}"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
