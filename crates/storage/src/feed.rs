//! The change feed every backend serves: the newest commits in a bounded ring, and readers that
//! wait at its end.
//!
//! INVARIANT: a backend publishes a commit after it is visible to readers and before it is
//! answered, so that whoever drops a cached entry on the feed's word reads the new one.

use crate::{ChangeFeed, Changed, Changes, Key, Result, Revision, StorageError};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// How many commits a feed keeps for readers that fall behind.
const COMMITS_MAX: usize = 16_384;
/// How many bytes of keys it keeps.
const KEY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a key is counted for besides its bytes.
const KEY_OVERHEAD_BYTES: usize = 32;

/// The newest commits of a storage.
#[derive(Debug)]
pub(crate) struct ChangeLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    commits: VecDeque<Changed>,
    key_bytes: usize,
    /// Every change after this revision is in `commits`.
    floor: Revision,
    newest: Revision,
    closed: bool,
}

impl ChangeLog {
    /// A feed that begins behind `revision`.
    pub(crate) fn new(revision: Revision) -> Self {
        let ring = Ring {
            commits: VecDeque::new(),
            key_bytes: 0,
            floor: revision,
            newest: revision,
            closed: false,
        };
        let shared = Shared {
            ring: Mutex::new(ring),
            news: watch::Sender::new(()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Adds commits, in order.
    pub(crate) fn publish(&self, commits: impl IntoIterator<Item = Changed>) {
        let mut ring = self.shared.ring.lock();
        for commit in commits {
            ring.push(commit);
        }
        drop(ring);
        self.shared.news.send_replace(());
    }

    /// Drops the history: everything may have changed up to `revision`.
    pub(crate) fn reset(&self, revision: Revision) {
        let mut ring = self.shared.ring.lock();
        ring.commits.clear();
        ring.key_bytes = 0;
        ring.floor = revision;
        ring.newest = revision;
        drop(ring);
        self.shared.news.send_replace(());
    }

    /// Ends every feed behind its last commit.
    pub(crate) fn close(&self) {
        self.shared.ring.lock().closed = true;
        self.shared.news.send_replace(());
    }

    /// A reader of every commit after `from`.
    pub(crate) fn feed(&self, from: Revision) -> ChangeFeed {
        let news = self.shared.news.subscribe();
        Box::new(Feed {
            shared: Arc::clone(&self.shared),
            news,
            at: from,
        })
    }
}

impl Ring {
    fn push(&mut self, commit: Changed) {
        self.newest = commit.revision;
        self.key_bytes += bytes(&commit.keys);
        self.commits.push_back(commit);
        while self.commits.len() > COMMITS_MAX || self.key_bytes > KEY_BYTES_MAX {
            let Some(oldest) = self.commits.pop_front() else {
                break;
            };
            self.key_bytes -= bytes(&oldest.keys);
            self.floor = oldest.revision;
        }
    }

    fn after(&self, at: Revision) -> Option<Changed> {
        let next = self.commits.partition_point(|commit| commit.revision <= at);
        self.commits.get(next).cloned()
    }
}

fn bytes(keys: &[Key]) -> usize {
    keys.iter()
        .map(|key| key.as_bytes().len() + KEY_OVERHEAD_BYTES)
        .sum()
}

#[derive(Debug)]
struct Feed {
    shared: Arc<Shared>,
    news: watch::Receiver<()>,
    at: Revision,
}

impl Feed {
    fn step(&mut self) -> Option<Result<Option<Changed>>> {
        self.news.mark_unchanged();
        let ring = self.shared.ring.lock();
        if self.at < ring.floor {
            self.at = ring.newest;
            return Some(Err(StorageError::TooOld {
                resume: ring.newest,
            }));
        }
        if let Some(commit) = ring.after(self.at) {
            self.at = commit.revision;
            return Some(Ok(Some(commit)));
        }
        ring.closed.then_some(Ok(None))
    }
}

#[async_trait]
impl Changes for Feed {
    async fn next(&mut self) -> Result<Option<Changed>> {
        loop {
            if let Some(next) = self.step() {
                return next;
            }
            // The sender lives in `shared`, which this feed holds: it cannot be gone.
            if self.news.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(revision: u64) -> Changed {
        let key = Key::try_from("a").unwrap();
        Changed {
            revision: Revision(revision),
            keys: Arc::from([key]),
        }
    }

    #[tokio::test]
    async fn a_reader_behind_the_ring_is_told_to_start_over_once() {
        let log = ChangeLog::new(Revision(0));
        let total = COMMITS_MAX as u64 + 1;
        log.publish((1..=total).map(commit));
        let mut feed = log.feed(Revision(0));
        let error = feed.next().await.unwrap_err();
        assert!(matches!(error, StorageError::TooOld { resume } if resume == Revision(total)));
        log.publish([commit(total + 1)]);
        assert_eq!(
            feed.next().await.unwrap().unwrap().revision,
            Revision(total + 1)
        );

        let mut kept = log.feed(Revision(2));
        assert_eq!(kept.next().await.unwrap().unwrap().revision, Revision(3));
    }

    #[tokio::test]
    async fn a_reader_gets_what_remains_before_the_end() {
        let log = ChangeLog::new(Revision(7));
        log.publish([commit(8), commit(9)]);
        log.close();
        let mut feed = log.feed(Revision(8));
        assert_eq!(feed.next().await.unwrap().unwrap().revision, Revision(9));
        assert!(feed.next().await.unwrap().is_none());
    }
}
