//! The thread that applies entries, and makes what it applied durable now and then.
//!
//! After each group of entries it puts a new [`View`] in place, tells the change feed, and then
//! answers the writers: what was answered is visible, and so is what the feed tells.

use super::super::disk::DiskLock;
use super::super::failure::{Failure, explain};
use super::super::node::Standing;
use super::super::types::{LogEntry, Payload, TypeConfig};
use super::snapshot::{SnapshotFile, SnapshotReader};
use super::store::{DATA, Position, StateConfig, Store, View, encode_value};
use crate::feed::ChangeLog;
use crate::{Result, StorageError};
use openraft::storage::ApplyResponder;
use parking_lot::RwLock;
use redb::Durability;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Entries that are applied in one transaction: so many, or of so many bytes.
const GROUP_ENTRIES: usize = 512;
const GROUP_BYTES: usize = 1024 * 1024;

/// When what was applied becomes durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoints {
    /// After so many bytes of batches.
    pub(crate) bytes: u64,
    /// Or so long after the first of them.
    pub(crate) interval: Duration,
}

/// What readers see, and those who wait for changes.
#[derive(Debug)]
pub(crate) struct Visible {
    pub(crate) view: RwLock<Option<Arc<View>>>,
    pub(crate) changes: ChangeLog,
}

/// An entry to apply, and who waits for it.
pub(super) type Item = (LogEntry, Option<ApplyResponder<TypeConfig>>);

/// What the thread is asked to do.
pub(super) enum Job {
    Apply(Vec<Item>, oneshot::Sender<io::Result<()>>),
    /// Makes what was applied durable, and gives a view of it.
    Checkpoint(oneshot::Sender<Result<Arc<View>>>),
    Install(SnapshotFile, oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<Result<()>>),
}

pub(super) struct Applier {
    /// Gone when it was closed, or a failed install lost it.
    store: Option<Store>,
    visible: Arc<Visible>,
    standing: Arc<Standing>,
    failure: Failure,
    checkpoints: Checkpoints,
    /// Held until nothing is written any more.
    _lock: Arc<DiskLock>,
    /// What was applied since the last checkpoint, and when that began.
    unsaved: Option<(u64, Instant)>,
}

/// What an applier works with.
pub(super) struct Setting {
    pub(super) visible: Arc<Visible>,
    pub(super) standing: Arc<Standing>,
    pub(super) failure: Failure,
    pub(super) checkpoints: Checkpoints,
    pub(super) lock: Arc<DiskLock>,
}

impl Applier {
    pub(super) fn new(store: Store, setting: Setting) -> Self {
        let Setting {
            visible,
            standing,
            failure,
            checkpoints,
            lock,
        } = setting;
        let store = Some(store);
        Self {
            store,
            visible,
            standing,
            failure,
            checkpoints,
            _lock: lock,
            unsaved: None,
        }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match self.patience() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(patience) => jobs.recv_timeout(patience),
            };
            match job {
                Ok(Job::Close(done)) => {
                    drop(done.send(self.close()));
                    return;
                }
                Ok(job) => self.handle(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.checkpoint_when_due();
        }
    }

    /// How long until a checkpoint is due; `None` while there is nothing to save.
    fn patience(&self) -> Option<Duration> {
        let (_, since) = self.unsaved?;
        Some(self.checkpoints.interval.saturating_sub(since.elapsed()))
    }

    fn handle(&mut self, job: Job) {
        // Who asked may have gone; then nobody needs the answer.
        match job {
            Job::Apply(items, done) => drop(done.send(self.apply(items))),
            Job::Checkpoint(done) => drop(done.send(self.checkpoint())),
            Job::Install(file, done) => {
                let installed = self.install(&file);
                if let Err(error) = &installed {
                    self.failure.set(error.clone());
                }
                drop(done.send(installed));
            }
            Job::Close(_) => {}
        }
    }

    fn store(&mut self) -> Result<&mut Store> {
        if let Some(failure) = self.failure.stopped() {
            return Err(failure);
        }
        self.store.as_mut().ok_or(StorageError::Closed)
    }

    fn apply(&mut self, items: Vec<Item>) -> io::Result<()> {
        let mut items = items.into_iter().peekable();
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(item) = items.next() {
            bytes += entry_bytes(&item.0);
            group.push(item);
            if group.len() >= GROUP_ENTRIES || bytes >= GROUP_BYTES || items.peek().is_none() {
                let group = std::mem::take(&mut group);
                self.apply_group(group)
                    .map_err(|error| self.failure.set(error))?;
                bytes = 0;
                self.checkpoint_when_due();
            }
        }
        Ok(())
    }

    fn apply_group(&mut self, group: Vec<Item>) -> Result<()> {
        let store = self.store()?;
        let applied = store.apply(group.iter().map(|(entry, _)| entry))?;
        let view = store.view()?;
        let (bytes, since) = self.unsaved.unwrap_or_else(|| (0, Instant::now()));
        self.unsaved = Some((bytes + applied.bytes, since));
        if group.iter().any(|(entry, _)| is_membership(entry)) {
            self.standing.settled(&view.position.membership);
        }
        *self.visible.view.write() = Some(Arc::new(view));
        self.visible.changes.publish(applied.changed);
        for ((_, waiting), outcome) in group.into_iter().zip(applied.outcomes) {
            if let Some(waiting) = waiting {
                waiting.send(outcome);
            }
        }
        Ok(())
    }

    fn checkpoint_when_due(&mut self) {
        let Some((bytes, since)) = self.unsaved else {
            return;
        };
        let due = bytes >= self.checkpoints.bytes || since.elapsed() >= self.checkpoints.interval;
        if due && let Err(error) = self.save() {
            self.failure.set(error);
        }
    }

    fn save(&mut self) -> Result<()> {
        // Cleared first: a checkpoint that fails is not tried again.
        self.unsaved = None;
        self.store()?.checkpoint()
    }

    fn checkpoint(&mut self) -> Result<Arc<View>> {
        self.save()?;
        self.store()?.view().map(Arc::new)
    }

    /// Replaces the state with a snapshot, whole or not at all.
    fn install(&mut self, source: &SnapshotFile) -> Result<()> {
        let config = self.store()?.config.clone();
        let fresh = config.path.with_extension("tmp");
        let store = build(&config, &fresh, source, &self.failure)?;
        store.close()?;
        *self.visible.view.write() = None;
        if let Some(old) = self.store.take() {
            old.close()?;
        }
        let io = |error| explain(&config.path, error);
        config.disk.rename(&fresh, &config.path).map_err(io)?;
        if let Some(directory) = config.path.parent() {
            config.disk.sync_dir(directory).map_err(io)?;
        }
        let store = Store::open(&config, &self.failure)?;
        let view = store.view()?;
        self.unsaved = None;
        self.standing.settled(&view.position.membership);
        let revision = view.revision();
        *self.visible.view.write() = Some(Arc::new(view));
        self.store = Some(store);
        self.visible.changes.reset(revision);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        *self.visible.view.write() = None;
        let Some(store) = self.store.take() else {
            return Ok(());
        };
        if let Some(failure) = self.failure.stopped() {
            return Err(failure);
        }
        store.checkpoint()?;
        store.close()
    }
}

/// Builds a state from a snapshot, in a file beside the one in use.
fn build(
    config: &StateConfig,
    path: &Path,
    source: &SnapshotFile,
    failure: &Failure,
) -> Result<Store> {
    let mut reader = SnapshotReader::open(source)?;
    let store = Store::create(config, path, failure)?;
    let mut stored = Vec::new();
    let head = reader.head.clone();
    // A transaction for each part: one for all would hold every page it makes in memory.
    while let Some(rows) = reader.part()? {
        let transaction = store.begin(Durability::None)?;
        let mut data = transaction
            .open_table(DATA)
            .map_err(|error| store.broken(error))?;
        for (key, entry) in rows {
            encode_value(&mut stored, key.as_bytes(), entry.revision, &entry.value);
            let inserted = data.insert(key.as_bytes(), &*stored);
            drop(inserted.map_err(|error| store.broken(error))?);
        }
        drop(data);
        store.commit(transaction)?;
    }
    let transaction = store.begin(Durability::Immediate)?;
    let position = Position {
        applied: head.applied,
        membership: head.membership,
        installed: head.applied,
    };
    store.write_position(&transaction, &position)?;
    store.commit(transaction)?;
    Ok(store)
}

/// About how large an entry is.
fn entry_bytes(entry: &LogEntry) -> usize {
    match &entry.payload {
        Payload::Normal(proposal) => proposal.0.bytes(),
        _ => 0,
    }
}

fn is_membership(entry: &LogEntry) -> bool {
    matches!(entry.payload, Payload::Membership(_))
}
