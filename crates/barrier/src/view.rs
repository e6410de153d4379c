//! The barrier as a [`Storage`]: keys and values mapped on the way.

use crate::names::{self, Folder};
use crate::{Barrier, BarrierError, Open, record};
use async_trait::async_trait;
use secretum_storage::{
    Batch, Change, ChangeFeed, Changed, Changes, Entry, Key, LeadershipWatch, Page, PageOf, Result,
    Revision, Row, Step, Storage, StorageError,
};
use std::sync::Arc;

impl From<BarrierError> for StorageError {
    fn from(error: BarrierError) -> Self {
        match error {
            BarrierError::Storage(error) => error,
            BarrierError::Sealed => Self::Sealed,
            other => Self::Stopped {
                reason: other.to_string(),
            },
        }
    }
}

impl Barrier {
    /// Decrypts an entry. A term that is not known yet was added by another node.
    async fn decrypt(&self, open: &Open, sealed: &Key, entry: Entry) -> Result<Entry> {
        let unreadable = |reason: &str| StorageError::Unreadable {
            key: sealed.clone(),
            reason: reason.to_owned(),
        };
        let term = record::term(&entry.value).ok_or_else(|| unreadable("it is no record"))?;
        let opened = match open.keyring.cipher(term) {
            Some(cipher) => record::open_in_place(cipher, sealed.as_bytes(), entry.value),
            None => {
                self.reload_keyring().await?;
                let fresh = self.keys()?;
                let cipher = fresh.keyring.cipher(term);
                let cipher = cipher.ok_or_else(|| unreadable("its key is not in the keyring"))?;
                record::open_in_place(cipher, sealed.as_bytes(), entry.value)
            }
        };
        let value = opened.map_err(|_| {
            unreadable("it was altered, moved, or is of another vault: restore a backup")
        })?;
        Ok(Entry {
            value,
            revision: entry.revision,
        })
    }

    /// The batch as it goes to the storage below.
    pub(crate) fn seal_batch(&self, open: &Open, batch: Batch) -> Result<Batch> {
        let (term, cipher) = open.keyring.active().ok_or(StorageError::Sealed)?;
        let mut sealed = Batch::new();
        for step in batch.into_steps() {
            let key = open.keyring.names().seal(&step.key)?;
            let change = match step.change {
                Change::Put(value) => {
                    let record = record::seal(cipher, term, key.as_bytes(), &value, &*self.rng);
                    Change::Put(record.map_err(BarrierError::from)?.into())
                }
                other => other,
            };
            sealed = sealed.step(Step {
                key,
                expect: step.expect,
                change,
            });
        }
        Ok(sealed)
    }

    async fn open_row(&self, open: &Open, folder: Folder<'_>, row: Row) -> Result<Row> {
        let key = open.keyring.names().open_in(folder, &row.key)?;
        let entry = match row.entry {
            Some(entry) => Some(self.decrypt(open, &row.key, entry).await?),
            None => None,
        };
        Ok(Row { key, entry })
    }
}

#[async_trait]
impl Storage for Barrier {
    async fn read_point(&self) -> Result<Revision> {
        self.inner.read_point().await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let open = self.keys()?;
        let sealed = open.keyring.names().seal(key)?;
        match self.inner.get(&sealed).await? {
            Some(entry) => self.decrypt(&open, &sealed, entry).await.map(Some),
            None => Ok(None),
        }
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        let open = self.keys()?;
        let seal = |key| open.keyring.names().seal(key);
        let (sealed, after) = (seal(prefix)?, after.map(seal).transpose()?);
        let page = self
            .inner
            .page(&sealed, after.as_ref(), limit, what)
            .await?;
        let folder = Folder::of(prefix, &sealed);
        let mut rows = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            rows.push(self.open_row(&open, folder, row).await?);
        }
        Ok(Page {
            rows,
            more: page.more,
        })
    }

    async fn commit(&self, batch: Batch) -> Result<Revision> {
        let puts = batch
            .steps()
            .iter()
            .filter(|step| matches!(step.change, Change::Put(_)))
            .count();
        let open = self.count_encryptions(self.keys()?, puts as u64).await?;
        let sealed = self.seal_batch(&open, batch)?;
        match self.inner.commit(sealed).await {
            Err(StorageError::Conflict { key }) => Err(StorageError::Conflict {
                key: open.keyring.names().open(&key)?,
            }),
            other => other,
        }
    }

    /// The feed of the storage below. A change inside a mount is told as a change of the mount's
    /// prefix: nobody above caches single keys of a mount, and a name costs a decryption.
    fn changes(&self, from: Revision) -> ChangeFeed {
        Box::new(ClearChanges(self.inner.changes(from)))
    }

    fn leadership(&self) -> LeadershipWatch {
        self.inner.leadership()
    }

    async fn close(&self) -> Result<()> {
        self.seal();
        self.inner.close().await
    }
}

#[derive(Debug)]
struct ClearChanges(ChangeFeed);

#[async_trait]
impl Changes for ClearChanges {
    async fn next(&mut self) -> Result<Option<Changed>> {
        let Some(changed) = self.0.next().await? else {
            return Ok(None);
        };
        let mut keys: Vec<Key> = changed
            .keys
            .iter()
            .map(names::clear_part)
            .collect::<Result<_>>()?;
        keys.dedup();
        Ok(Some(Changed {
            revision: changed.revision,
            keys: Arc::from(keys),
        }))
    }
}
