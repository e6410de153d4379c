//! [`MountStorage`]: an engine's own part of the storage.

use crate::Fault;
use bytes::Bytes;
use secretum_storage::{Key, PageOf, Precondition, Revision, Storage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How many rows one look at the storage brings.
pub const LIST_PAGE: usize = 1_000;

/// The most names of a listing without a limit.
pub const LIST_NAMES_MAX: usize = 1_000_000;

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
    /// **Errors**: [`Fault::Storage`], [`Fault::Invalid`].
    pub async fn descendants(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Fault> {
        self.names(folder, after, Room::of(limit), PageOf::Keys)
            .await
    }

    /// Names directly below a folder (empty, or ending with `/`); folders end with `/`.
    ///
    /// Without a limit the whole listing, sorted. With one, that many names behind `after`, in the
    /// stable order of the storage, which is not alphabetical.
    ///
    /// **Errors**: [`Fault::Storage`]; [`Fault::Invalid`] where a listing without a limit has more than
    /// [`LIST_NAMES_MAX`] names.
    pub async fn children(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Fault> {
        self.names(folder, after, Room::of(limit), PageOf::Children)
            .await
    }

    async fn names(
        &self,
        folder: &str,
        after: Option<&str>,
        room: Room,
        what: PageOf,
    ) -> Result<Vec<String>, Fault> {
        let prefix = self.key(folder)?;
        let mut after = after.map(|after| prefix.join(after)).transpose()?;
        let mut names = Vec::new();
        loop {
            let page = self
                .storage
                .page(&prefix, after.as_ref(), room.left(names.len()), what)
                .await?;
            names.extend(page.rows.iter().map(|row| row.key.name_behind(&prefix)));
            after = page.rows.last().map(|row| row.key.clone());
            if !page.more || after.is_none() {
                break;
            }
            match room {
                Room::Page(limit) if names.len() >= limit => break,
                Room::Whole(most) if names.len() >= most => {
                    return Err(Fault::invalid(format!(
                        "there are more than {most} names: list them in pages, with `limit` and `after`"
                    )));
                }
                // A long listing lets other requests have their turn.
                _ => tokio::task::yield_now().await,
            }
        }
        if matches!(room, Room::Whole(_)) {
            names.sort_unstable();
        }
        Ok(names)
    }
}

/// How many names a listing may have.
#[derive(Debug, Clone, Copy)]
enum Room {
    /// So many, and then it ends.
    Page(usize),
    /// All of them, which must not be more than this.
    Whole(usize),
}

impl Room {
    fn of(limit: Option<usize>) -> Self {
        limit.map_or(Self::Whole(LIST_NAMES_MAX), Self::Page)
    }

    /// How many rows to look for next.
    fn left(self, found: usize) -> usize {
        let (Self::Page(most) | Self::Whole(most)) = self;
        most.saturating_sub(found).min(LIST_PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_storage::Batch;

    #[tokio::test]
    async fn a_whole_listing_has_its_limit() {
        let store = MountStorage::new(
            secretum_storage::memory::MemoryStorage::new(),
            Key::try_from("mount/u/").unwrap(),
        );
        let names = ["a", "b", "c"];
        let batch = names.iter().fold(Batch::new(), |batch, name| {
            batch.put(store.key(name).unwrap(), "x")
        });
        store.storage.commit(batch).await.unwrap();
        let list = |room| store.names("", None, room, PageOf::Keys);
        assert_eq!(list(Room::Whole(3)).await.unwrap(), names);
        assert!(matches!(
            list(Room::Whole(2)).await,
            Err(Fault::Invalid(told)) if told.contains("more than 2")
        ));
        assert_eq!(list(Room::Page(2)).await.unwrap(), ["a", "b"]);
    }

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
