//! The memory backend, for development and tests: a map under a lock, gone with its process.
//!
//! It keeps every promise of the boundary but durability.

use crate::feed::ChangeLog;
use crate::page::{self, Ordered, Query};
use crate::{
    Batch, Change, ChangeFeed, Changed, Entry, Key, Leadership, LeadershipState, LeadershipWatch,
    Page, PageOf, Result, Revision, Storage, StorageError,
};
use async_trait::async_trait;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use tokio::sync::watch;

/// A storage in the memory of this process.
#[derive(Debug)]
pub struct MemoryStorage {
    state: RwLock<State>,
    changes: ChangeLog,
    leadership: watch::Sender<LeadershipState>,
}

#[derive(Debug, Default)]
struct State {
    map: BTreeMap<Key, Entry>,
    revision: Revision,
    closed: bool,
}

impl MemoryStorage {
    /// An empty storage.
    pub fn new() -> Arc<Self> {
        let mut leads = LeadershipState::follower();
        leads.change(Leadership::Leader);
        Arc::new(Self {
            state: RwLock::default(),
            changes: ChangeLog::new(Revision(0)),
            leadership: watch::Sender::new(leads),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        let state = self.state.read();
        if state.closed {
            return Err(StorageError::Closed);
        }
        read(&state)
    }
}

impl State {
    fn judge(&self, batch: &Batch) -> Result<()> {
        let lost = batch.steps().iter().find(|step| {
            let revision = self.map.get(&step.key).map(|entry| entry.revision);
            step.expect.is_some_and(|expect| !expect.holds(revision))
        });
        match lost {
            Some(step) => Err(StorageError::Conflict {
                key: step.key.clone(),
            }),
            None => Ok(()),
        }
    }

    fn apply(&mut self, batch: Batch) -> Changed {
        self.revision.0 += 1;
        let revision = self.revision;
        let mut keys = Vec::with_capacity(batch.steps().len());
        for step in batch.into_steps() {
            match step.change {
                Change::Keep => continue,
                Change::Put(value) => {
                    self.map.insert(step.key.clone(), Entry { value, revision });
                }
                Change::Delete => {
                    self.map.remove(&step.key);
                }
            }
            keys.push(step.key);
        }
        Changed {
            revision,
            keys: keys.into(),
        }
    }
}

impl Ordered for State {
    fn scan(
        &self,
        from: Bound<&[u8]>,
        entries: bool,
    ) -> Result<impl Iterator<Item = Result<(Key, Option<Entry>)>>> {
        let range = self.map.range::<[u8], _>((from, Bound::Unbounded));
        Ok(range.map(move |(key, entry)| Ok((key.clone(), entries.then(|| entry.clone())))))
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn read_point(&self) -> Result<Revision> {
        self.read(|state| Ok(state.revision))
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.read(|state| Ok(state.map.get(key).cloned()))
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        self.read(|state| {
            page::read(
                state,
                Query {
                    prefix,
                    after,
                    limit,
                    what,
                },
            )
        })
    }

    async fn commit(&self, batch: Batch) -> Result<Revision> {
        batch.check_size()?;
        let mut state = self.state.write();
        if state.closed {
            return Err(StorageError::Closed);
        }
        state.judge(&batch)?;
        let changed = state.apply(batch);
        let revision = changed.revision;
        // Under the lock: commits are published in order, and who hears of one and reads waits
        // for the lock and sees it.
        self.changes.publish([changed]);
        Ok(revision)
    }

    fn changes(&self, from: Revision) -> ChangeFeed {
        self.changes.feed(from)
    }

    fn leadership(&self) -> LeadershipWatch {
        self.leadership.subscribe()
    }

    async fn close(&self) -> Result<()> {
        let mut state = self.state.write();
        state.closed = true;
        state.map.clear();
        drop(state);
        self.leadership
            .send_if_modified(|state| state.change(Leadership::Follower));
        self.changes.close();
        Ok(())
    }
}
