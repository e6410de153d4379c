//! [`KeptKeys`]: the storage of data keys, as rotations go through it.
//!
//! A data key is known by the digest of its identifier, as its record is named. What is written down of
//! rotations stands in the same storage, below `rotation/`, so that every server sees it.

use super::External;
use super::context;
use super::record::Record;
use super::storage::{Storage, StorageError, Written, digest};
use crate::recorder::Recorder;
use async_trait::async_trait;
use parking_lot::Mutex;
use secretum_kms::rotation::{
    DataKeyStore, FAILURES_TOLD_MAX, RotationState, StoreError, StoredDataKey,
};
use secretum_kms::{Ciphertext, KeyId, KmsOperation};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many names are listed at once. A listing goes through all that there are.
const AHEAD_MAX: usize = 20_000;

/// All data keys of a storage.
#[derive(Debug)]
pub(crate) struct KeptKeys {
    storage: Arc<Storage>,
    ahead: Mutex<Ahead>,
    /// The states as they were read or written last.
    states: Mutex<HashMap<KeyId, Vec<u8>>>,
    damaged: Mutex<Damaged>,
    recorder: Recorder,
    caller: &'static str,
}

/// Records that are no wrapped data keys.
#[derive(Debug, Default)]
struct Damaged {
    /// Those behind the last of these were not met yet: records are gone through in their order.
    last: Option<String>,
    count: u64,
    /// The first [`FAILURES_TOLD_MAX`].
    told: Vec<String>,
}

/// Names that were listed, and not asked for yet.
#[derive(Debug, Default)]
struct Ahead {
    behind: Option<String>,
    names: VecDeque<String>,
}

impl KeptKeys {
    /// `caller` is who changes them, in audit records.
    pub(crate) fn new(storage: Arc<Storage>, recorder: Recorder, caller: &'static str) -> Self {
        Self {
            storage,
            ahead: Mutex::default(),
            states: Mutex::default(),
            damaged: Mutex::default(),
            recorder,
            caller,
        }
    }

    /// The first [`FAILURES_TOLD_MAX`] records that were passed over, since they are no wrapped data keys.
    pub(crate) fn damaged(&self) -> Vec<String> {
        self.damaged.lock().told.clone()
    }

    /// How many records were passed over.
    pub(crate) fn damaged_count(&self) -> u64 {
        self.damaged.lock().count
    }

    /// The name behind `after`.
    async fn next(&self, after: Option<&str>) -> Result<Option<String>, StorageError> {
        let is_listed = {
            let ahead = self.ahead.lock();
            ahead.behind.as_deref() == after && !ahead.names.is_empty()
        };
        if !is_listed {
            let names = self.storage.digests(after, AHEAD_MAX).await?;
            *self.ahead.lock() = Ahead {
                behind: after.map(str::to_owned),
                names: names.into(),
            };
        }
        let mut ahead = self.ahead.lock();
        let next = ahead.names.pop_front();
        if next.is_some() {
            ahead.behind.clone_from(&next);
        }
        Ok(next)
    }

    /// The data key of a name, unless it is gone, or none.
    async fn read(&self, name: String) -> Result<Option<StoredDataKey>, StorageError> {
        let bytes = match self.storage.read(&self.storage.prefixed(&name)).await {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(StorageError::TooLarge { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        match Record::from_bytes(&bytes) {
            Ok(Record { id, wrapped }) if id.as_deref().is_none_or(|id| digest(id) == name) => {
                let context = id.and_then(|id| context(&id).ok());
                Ok(Some(StoredDataKey {
                    id: name,
                    wrapped,
                    // It is not told, and no other opens it: such a record is left as it is.
                    context: context.unwrap_or_default(),
                }))
            }
            found => {
                let reason = found.err().map(|error| error.to_string());
                let mut damaged = self.damaged.lock();
                if damaged.last.as_ref().is_none_or(|last| *last < name) {
                    tracing::error!(name, reason, "a record is no wrapped data key");
                    damaged.count += 1;
                    if damaged.told.len() < FAILURES_TOLD_MAX {
                        damaged.told.push(name.clone());
                    }
                    damaged.last = Some(name);
                }
                Ok(None)
            }
        }
    }

    fn state(&self, key: &KeyId) -> String {
        let name = format!("rotation/{}", digest(key.as_str()));
        self.storage.prefixed(&name)
    }
}

#[async_trait]
impl DataKeyStore for KeptKeys {
    async fn page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredDataKey>, StoreError> {
        let mut page = Vec::new();
        let mut after = after.map(str::to_owned);
        while page.len() < limit {
            let Some(name) = self.next(after.as_deref()).await.map_err(told)? else {
                break;
            };
            after = Some(name.clone());
            page.extend(self.read(name).await.map_err(told)?);
        }
        Ok(page)
    }

    /// What was replaced is recorded by its identifier. Of what nobody records, the service that opened it
    /// gave nothing, and nothing comes here.
    async fn replace(
        &self,
        id: &str,
        old: &Ciphertext,
        new: &Ciphertext,
    ) -> Result<bool, StoreError> {
        let name = self.storage.prefixed(id);
        let Some(bytes) = self.storage.read(&name).await.map_err(told)? else {
            return Ok(false);
        };
        let stands = match Record::from_bytes(&bytes) {
            Ok(record) if record.wrapped == *old => record,
            _ => return Ok(false),
        };
        let new = Record {
            id: stands.id,
            wrapped: new.clone(),
        };
        let begun = self.recorder.begin();
        let replaced = self.storage.replace(&name, &bytes, new.to_bytes()).await;
        let outcome = match &replaced {
            Ok(true) => "ok",
            Ok(false) => return Ok(false),
            Err(_) => "storage",
        };
        let id = (External::NAME, Some(new.id.as_deref().unwrap_or(id)));
        let done = (Some(self.caller), KmsOperation::ReEncrypt);
        let recorded = begun.end(done, id, outcome).await;
        let replaced = replaced.map_err(told)?;
        recorded.map_err(|error| StoreError(error.to_string()))?;
        Ok(replaced)
    }

    async fn load(&self, key: &KeyId) -> Result<Option<RotationState>, StoreError> {
        let read = self.storage.read(&self.state(key)).await.map_err(told)?;
        let Some(bytes) = read else {
            self.states.lock().remove(key);
            return Ok(None);
        };
        let state = serde_json::from_slice(&bytes).map_err(|error| {
            StoreError(format!("the state of the rotation is damaged: {error}"))
        })?;
        self.states.lock().insert(key.clone(), bytes);
        Ok(Some(state))
    }

    /// Of two servers that go on from the same state, one is told.
    async fn save(&self, key: &KeyId, state: &RotationState) -> Result<(), StoreError> {
        let name = self.state(key);
        let bytes = serde_json::to_vec(state).map_err(|error| StoreError(error.to_string()))?;
        let before = self.states.lock().get(key).cloned();
        let written = match before {
            Some(before) if before == bytes => true,
            Some(before) => {
                let replaced = self.storage.replace(&name, &before, bytes.clone());
                replaced.await.map_err(told)?
            }
            None => {
                let created = self.storage.create(&name, bytes.clone()).await;
                created.map_err(told)? == Written::First
            }
        };
        if !written {
            return Err(StoreError(
                "another server is rotating this key, and goes on with it".to_owned(),
            ));
        }
        self.states.lock().insert(key.clone(), bytes);
        Ok(())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where errors are mapped"
)]
fn told(error: StorageError) -> StoreError {
    StoreError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::storage::tests::in_folder;
    use super::*;

    #[tokio::test]
    async fn every_damaged_record_is_counted_once() {
        let place = tempfile::tempdir().unwrap();
        let storage = Arc::new(in_folder(place.path()));
        let all = FAILURES_TOLD_MAX + 1;
        for number in 0..all {
            let name = storage.name(&number.to_string());
            storage.create(&name, b"damaged".to_vec()).await.unwrap();
        }
        let kept = KeptKeys::new(storage, Recorder::to(Vec::new()), "a test");
        for _ in 0..2 {
            assert!(kept.page(None, 10).await.unwrap().is_empty());
            assert_eq!(kept.damaged_count(), all as u64);
            assert_eq!(kept.damaged().len(), FAILURES_TOLD_MAX);
        }
    }
}
