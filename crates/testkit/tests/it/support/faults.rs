//! [`Faulty`]: a storage in memory that fails, waits, or tells of changes late, as a test says.

use async_trait::async_trait;
use parking_lot::Mutex;
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{
    Batch, ChangeFeed, Changed, Changes, Entry, Key, LeadershipWatch, Page, PageOf, Result,
    Revision, Storage, StorageError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Semaphore, watch};

/// A storage in memory with switches.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<MemoryStorage>,
    /// Commits that still succeed; the next ones fail.
    commits_left: AtomicU64,
    /// How often a commit lets other tasks go first, so that many are under way at once.
    commit_yields: AtomicU64,
    /// The same for reads of single keys.
    read_yields: AtomicU64,
    /// Commits made so far.
    commits: AtomicU64,
    /// The prefixes that were paged through.
    pages: Mutex<Vec<String>>,
    /// How often a single key was read.
    reads: AtomicU64,
    /// While set, nobody hears of changes.
    mute: watch::Sender<bool>,
    /// The next commit below this prefix is taken and not yet made.
    hold_next: Mutex<Option<&'static str>>,
    /// Whether a commit is taken and not yet made.
    holds: Arc<watch::Sender<bool>>,
    /// Makes the commit that was taken.
    let_go: Arc<Semaphore>,
    /// Makes every feed end in an error.
    feed_broken: Arc<AtomicBool>,
    /// Whether the next commit is made, where its answer is lost.
    lose_next: Mutex<Option<bool>>,
}

impl Faulty {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStorage::new(),
            commits_left: AtomicU64::new(u64::MAX),
            commit_yields: AtomicU64::new(0),
            read_yields: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            pages: Mutex::default(),
            reads: AtomicU64::new(0),
            mute: watch::Sender::new(false),
            hold_next: Mutex::default(),
            holds: Arc::new(watch::Sender::new(false)),
            let_go: Arc::new(Semaphore::new(0)),
            feed_broken: Arc::default(),
            lose_next: Mutex::default(),
        })
    }

    /// Lets this many commits succeed; every one behind them fails.
    pub(crate) fn fail_commits_after(&self, commits: u64) {
        self.commits_left.store(commits, Ordering::SeqCst);
    }

    /// Lets every commit succeed again.
    pub(crate) fn heal(&self) {
        self.fail_commits_after(u64::MAX);
    }

    /// Makes every commit step aside this often before it is applied.
    pub(crate) fn slow_commits(&self, yields: u64) {
        self.commit_yields.store(yields, Ordering::SeqCst);
    }

    /// Makes every read of a key step aside this often.
    pub(crate) fn slow_reads(&self, yields: u64) {
        self.read_yields.store(yields, Ordering::SeqCst);
    }

    /// Takes a key away, behind everybody's back.
    pub(crate) async fn remove(&self, key: &str) {
        let batch = Batch::new().delete(Key::try_from(key).unwrap());
        self.inner.commit(batch).await.unwrap();
    }

    /// Makes the next commit, or not, and answers in either case that only a restart will tell.
    pub(crate) fn lose_next_answer(&self, made: bool) {
        *self.lose_next.lock() = Some(made);
    }

    /// A storage with what is in this one now.
    pub(crate) async fn image(&self) -> Arc<Self> {
        let (image, all) = (Self::new(), Key::try_from("").unwrap());
        let page = self.inner.page(&all, None, 1_000_000, PageOf::Entries);
        for row in page.await.unwrap().rows {
            let value = row.entry.unwrap().value;
            let batch = Batch::new().put(row.key, value);
            image.inner.commit(batch).await.unwrap();
        }
        image
    }

    /// Puts something else in the place of a value, behind everybody's back.
    pub(crate) async fn overwrite(&self, key: &str, value: &'static [u8]) {
        let key = Key::try_from(key).unwrap();
        let batch = Batch::new().put(key, value);
        self.inner.commit(batch).await.unwrap();
    }

    /// Holds back, or lets out, the news of changes.
    pub(crate) fn mute_changes(&self, mute: bool) {
        self.mute.send_replace(mute);
    }

    /// Takes the next commit below a prefix and makes it when told to, whether or not somebody still
    /// waits for it: a queue outlives who stood in it.
    pub(crate) fn hold_next_commit(&self, prefix: &'static str) {
        *self.hold_next.lock() = Some(prefix);
    }

    /// Waits until the commit is taken.
    pub(crate) async fn wait_until_held(&self) {
        self.wait_for_hold(true).await;
    }

    /// Whether the commit that was asked for last has been taken.
    pub(crate) fn has_taken(&self) -> bool {
        self.hold_next.lock().is_none()
    }

    /// Makes the commit that was taken, and waits until it is made or refused.
    pub(crate) async fn let_go(&self) {
        self.let_go.add_permits(1);
        self.wait_for_hold(false).await;
    }

    async fn wait_for_hold(&self, wanted: bool) {
        let mut holds = self.holds.subscribe();
        let waited = holds.wait_for(|holds| *holds == wanted);
        tokio::time::timeout(super::DEADLINE, waited)
            .await
            .expect("the commit did not come, or did not go")
            .unwrap();
    }

    /// Whether this is the commit to be taken.
    fn is_to_be_held(&self, batch: &Batch) -> bool {
        let mut next = self.hold_next.lock();
        let is_below = |prefix: &mut &str| {
            let mut steps = batch.steps().iter();
            steps.any(|step| step.key.as_bytes().starts_with(prefix.as_bytes()))
        };
        next.take_if(is_below).is_some()
    }

    /// Makes a commit once it is let go.
    async fn commit_late(&self, batch: Batch) -> Result<Revision> {
        let (inner, holds) = (Arc::clone(&self.inner), Arc::clone(&self.holds));
        let let_go = Arc::clone(&self.let_go);
        holds.send_replace(true);
        let late = tokio::spawn(async move {
            let_go.acquire().await.unwrap().forget();
            let made = inner.commit(batch).await;
            holds.send_replace(false);
            made
        });
        late.await.unwrap()
    }

    /// Makes every change feed fail at its next change.
    pub(crate) fn break_feeds(&self) {
        self.feed_broken.store(true, Ordering::SeqCst);
    }

    /// Commits made so far.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// The prefixes that were paged through so far, in order.
    pub(crate) fn pages(&self) -> Vec<String> {
        self.pages.lock().clone()
    }

    /// How often a prefix was paged through so far.
    pub(crate) fn pages_of(&self, prefix: &str) -> usize {
        let pages = self.pages.lock();
        pages.iter().filter(|own| *own == prefix).count()
    }

    /// How often a single key was read so far.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Every key below a prefix, as it stands below the barrier.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let prefix = Key::try_from(prefix).unwrap();
        let page = self
            .inner
            .page(&prefix, None, 1_000_000, PageOf::Keys)
            .await
            .unwrap();
        page.rows
            .iter()
            .map(|row| String::from_utf8_lossy(row.key.as_bytes()).into_owned())
            .collect()
    }
}

#[async_trait]
impl Storage for Faulty {
    async fn read_point(&self) -> Result<Revision> {
        self.inner.read_point().await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        for _ in 0..self.read_yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(key).await
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        let name = String::from_utf8_lossy(prefix.as_bytes()).into_owned();
        self.pages.lock().push(name);
        self.inner.page(prefix, after, limit, what).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision> {
        for _ in 0..self.commit_yields.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let take = |left: u64| match left {
            u64::MAX => Some(left),
            left => left.checked_sub(1),
        };
        let left = &self.commits_left;
        if left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_err()
        {
            return Err(StorageError::Full {
                path: "/planted/data/directory".into(),
            });
        }
        let lost = self.lose_next.lock().take();
        if let Some(made) = lost {
            if made {
                self.inner.commit(batch).await?;
            }
            return Err(StorageError::Stopped {
                reason: "the test lost the answer".to_owned(),
            });
        }
        if self.is_to_be_held(&batch) {
            return self.commit_late(batch).await;
        }
        let revision = self.inner.commit(batch).await?;
        self.commits.fetch_add(1, Ordering::SeqCst);
        Ok(revision)
    }

    fn changes(&self, from: Revision) -> ChangeFeed {
        Box::new(Feed {
            inner: self.inner.changes(from),
            mute: self.mute.subscribe(),
            broken: Arc::clone(&self.feed_broken),
        })
    }

    fn leadership(&self) -> LeadershipWatch {
        self.inner.leadership()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[derive(Debug)]
struct Feed {
    inner: ChangeFeed,
    mute: watch::Receiver<bool>,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl Changes for Feed {
    async fn next(&mut self) -> Result<Option<Changed>> {
        let broken = || StorageError::Stopped {
            reason: "the test broke the feed".to_owned(),
        };
        if self.broken.load(Ordering::SeqCst) {
            return Err(broken());
        }
        let next = self.inner.next().await;
        if self.broken.load(Ordering::SeqCst) {
            return Err(broken());
        }
        // The storage outlives its feeds in every test.
        let _ = self.mute.wait_for(|mute| !mute).await;
        next
    }
}
