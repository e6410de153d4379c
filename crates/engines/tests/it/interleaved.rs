//! [`Interleaved`]: a storage on which another commits in the middle of a request.

use async_trait::async_trait;
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{
    Batch, ChangeFeed, Entry, Key, LeadershipWatch, Page, PageOf, Result, Revision, Storage,
};
use std::sync::{Arc, Mutex};

/// A storage in memory, with a commit that waits for its moment.
#[derive(Debug)]
pub(crate) struct Interleaved {
    inner: Arc<MemoryStorage>,
    /// How many reads come first, and what is committed then.
    waiting: Mutex<Option<(usize, Batch)>>,
}

impl Interleaved {
    pub(crate) fn new(inner: Arc<MemoryStorage>, reads: usize, batch: Batch) -> Self {
        Self {
            inner,
            waiting: Mutex::new(Some((reads, batch))),
        }
    }

    /// The batch, where its moment has come.
    fn due(&self) -> Option<Batch> {
        let mut waiting = self.waiting.lock().unwrap();
        match waiting.take()? {
            (0, batch) => Some(batch),
            (reads, batch) => {
                *waiting = Some((reads - 1, batch));
                None
            }
        }
    }
}

#[async_trait]
impl Storage for Interleaved {
    async fn read_point(&self) -> Result<Revision> {
        self.inner.read_point().await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        if let Some(batch) = self.due() {
            self.inner.commit(batch).await?;
        }
        self.inner.get(key).await
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        self.inner.page(prefix, after, limit, what).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision> {
        self.inner.commit(batch).await
    }

    fn changes(&self, from: Revision) -> ChangeFeed {
        self.inner.changes(from)
    }

    fn leadership(&self) -> LeadershipWatch {
        self.inner.leadership()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
