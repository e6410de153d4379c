//! The storage boundary: ordered keys, opaque values, atomic batches, a change feed.
//!
//! Owns: the [`Storage`] trait, its types, the conformance suite that every backend passes
//! ([`conformance`]), and a folder per backend ([`memory`], [`raft`]).
//!
//! Must not know: secrets, encryption, mounts. Values are bytes, and keys are bytes whose only
//! structure is the `/` that [`PageOf::Children`] folds at.
//!
//! What holds for every backend:
//! - A [`Storage::commit`] that returned `Ok` is durable (where the backend is) and visible to every
//!   later [`Storage::get`] and [`Storage::page`] of this node.
//! - A batch is applied whole or not at all; its preconditions are judged in the same instant.
//! - Revisions grow with every commit, are never reused, and survive a restart.

mod batch;
pub mod conformance;
mod error;
mod feed;
mod key;
pub mod memory;
mod page;
mod pages;
pub mod raft;

pub use batch::{BATCH_BYTES_MAX, Batch, Change, Precondition, Step};
pub use error::StorageError;
pub use key::{KEY_BYTES_MAX, Key};
pub use pages::Pages;

use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Result of a storage call.
pub type Result<T> = std::result::Result<T, StorageError>;

/// A position in the history of a storage: every commit gets the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// A stored value and the revision of the commit that wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value, as it was put.
    pub value: Bytes,
    /// The commit that wrote it.
    pub revision: Revision,
}

/// Its value may hold a secret, and is not shown.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.value.len())
            .field("revision", &self.revision)
            .finish()
    }
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOf {
    /// Every key below the prefix.
    Keys,
    /// Every key below the prefix, with its entry.
    Entries,
    /// The direct children of the prefix: a key's remainder up to and including its next `/`,
    /// each once. A backend seeks past a folded subtree; it does not read through it.
    Children,
}

/// One row of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The whole key; for [`PageOf::Children`] cut after the first `/` behind the prefix.
    pub key: Key,
    /// The entry, for [`PageOf::Entries`] only.
    pub entry: Option<Entry>,
}

/// A page of keys below a prefix, in byte order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The rows, at most `limit` of them.
    pub rows: Vec<Row>,
    /// Whether rows remain behind the last one.
    pub more: bool,
}

/// The keys that one commit put or deleted.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The commit's revision.
    pub revision: Revision,
    /// The keys it touched; none where a revision passed without a change, which is told so that the
    /// feed reaches every revision that [`Storage::read_point`] gives.
    pub keys: Arc<[Key]>,
}

/// The change feed of a node: every commit applied on it, in order.
#[async_trait]
pub trait Changes: Send + std::fmt::Debug {
    /// Waits for the next commit. `None` when the storage was closed.
    ///
    /// **Errors**: [`StorageError::TooOld`] when the feed fell behind what the storage keeps: the
    /// reader drops everything it cached and goes on from the revision the error names.
    async fn next(&mut self) -> Result<Option<Changed>>;
}

/// A boxed change feed.
pub type ChangeFeed = Box<dyn Changes>;

/// Whether this node may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// This node leads and commits.
    Leader,
    /// Another node leads, or none does.
    Follower,
}

/// Whether a node leads, and how often that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadershipState {
    /// Whether it leads.
    pub now: Leadership,
    /// How often it began or ceased to lead since it was opened, also where it did both at once. To lead
    /// from the start is the first change.
    pub changes: u64,
}

impl LeadershipState {
    /// That of a node which was just opened.
    pub(crate) const fn follower() -> Self {
        Self {
            now: Leadership::Follower,
            changes: 0,
        }
    }

    /// It stands so now; whether that is a change.
    pub(crate) fn change(&mut self, now: Leadership) -> bool {
        let is_change = self.now != now;
        self.now = now;
        self.changes += u64::from(is_change);
        is_change
    }
}

/// Watches a [`LeadershipState`]; holds its newest value.
pub type LeadershipWatch = tokio::sync::watch::Receiver<LeadershipState>;

/// An ordered, transactional key-value store.
#[async_trait]
pub trait Storage: Send + Sync + std::fmt::Debug + 'static {
    /// A revision from which on this node's reads are linearizable; asked once per request.
    async fn read_point(&self) -> Result<Revision>;

    /// The entry of a key in the applied state of this node.
    async fn get(&self, key: &Key) -> Result<Option<Entry>>;

    /// Up to `limit` rows below `prefix` in byte order, behind `after` where it is given.
    ///
    /// **Shape**: `prefix` ends with `/` or is empty; `after` is a key of an earlier page (a folded
    /// child keeps its `/`) and need not exist any more. A key equal to the prefix is no row.
    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page>;

    /// Applies a batch: all of it or nothing.
    ///
    /// **Errors**: [`StorageError::Conflict`] where a precondition does not hold, naming the key;
    /// [`StorageError::BatchTooLarge`] above [`BATCH_BYTES_MAX`]; [`StorageError::Full`] or
    /// [`StorageError::ReadOnly`] where the disk refuses, in which case nothing was applied;
    /// [`StorageError::Stopped`] where the write failed so that only a restart shows whether it
    /// was applied.
    async fn commit(&self, batch: Batch) -> Result<Revision>;

    /// The feed of every commit after `from`.
    fn changes(&self, from: Revision) -> ChangeFeed;

    /// Watches whether this node leads.
    fn leadership(&self) -> LeadershipWatch;

    /// Flushes, closes the feed and ends background work; later calls answer
    /// [`StorageError::Closed`].
    async fn close(&self) -> Result<()>;
}

#[async_trait]
impl<S: Storage + ?Sized> Storage for Arc<S> {
    async fn read_point(&self) -> Result<Revision> {
        (**self).read_point().await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        (**self).get(key).await
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        (**self).page(prefix, after, limit, what).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision> {
        (**self).commit(batch).await
    }

    fn changes(&self, from: Revision) -> ChangeFeed {
        (**self).changes(from)
    }

    fn leadership(&self) -> LeadershipWatch {
        (**self).leadership()
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }
}
