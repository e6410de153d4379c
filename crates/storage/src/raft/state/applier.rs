//! The thread that applies entries, and has what it applied saved now and then.
//!
//! After each group of entries it puts a new [`View`] in place, tells the change feed, and then
//! answers the writers: what was answered is visible, and so is what the feed tells.

use super::super::disk::DiskLock;
use super::super::failure::{Failure, explain};
use super::super::node::Standing;
use super::super::types::{LogEntry, Payload, TypeConfig};
use super::layers::{Checkpoints, Layers, Waiting};
use super::snapshot::{SnapshotFile, SnapshotReader};
use super::store::{DATA, Position, StateConfig, Store, encode_value};
use super::view::View;
use crate::feed::ChangeLog;
use crate::{Result, StorageError};
use openraft::storage::ApplyResponder;
use parking_lot::RwLock;
use redb::Durability;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

/// Entries that are applied in one transaction: so many, or of so many bytes.
const GROUP_ENTRIES: usize = 512;
const GROUP_BYTES: usize = 1024 * 1024;

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
    Checkpoint(Waiting),
    /// The save of this number is over.
    Saved(u64),
    Install(SnapshotFile, oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<Result<()>>),
}

pub(super) struct Applier {
    /// Gone when it was closed, or a failed install lost it.
    layers: Option<Layers>,
    setting: Setting,
}

/// What an applier works with.
pub(super) struct Setting {
    pub(super) visible: Arc<Visible>,
    pub(super) standing: Arc<Standing>,
    pub(super) failure: Failure,
    pub(super) checkpoints: Checkpoints,
    /// Where it hears that something was saved. Whoever holds it whole ends the thread by dropping it.
    pub(super) jobs: Weak<Sender<Job>>,
    /// Held until nothing is written any more.
    pub(super) _lock: Arc<DiskLock>,
}

impl Applier {
    pub(super) fn new(layers: Layers, setting: Setting) -> Self {
        Self {
            layers: Some(layers),
            setting,
        }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let patience = self.layers.as_ref().and_then(Layers::patience);
            let job = match patience.filter(|_| self.setting.failure.get().is_none()) {
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
            self.note(Self::save_when_due);
        }
    }

    fn handle(&mut self, job: Job) {
        // Who asked may have gone; then nobody needs the answer.
        match job {
            Job::Apply(items, done) => drop(done.send(self.apply(items))),
            Job::Checkpoint(waiting) => match self.layers() {
                Ok(layers) => layers.checkpoint(waiting),
                Err(error) => drop(waiting.send(Err(error))),
            },
            Job::Saved(number) => self.note(|applier| match &mut applier.layers {
                Some(layers) if layers.is_saving(number) => applier.finish_save(),
                _ => Ok(()),
            }),
            Job::Install(file, done) => {
                let installed = self.install(&file);
                if let Err(error) = &installed {
                    self.setting.failure.set(error.clone());
                }
                drop(done.send(installed));
            }
            Job::Close(_) => {}
        }
    }

    /// Does what nobody waits for: the node stops where it fails.
    fn note(&mut self, what: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = what(self) {
            self.setting.failure.set(error);
        }
    }

    fn layers(&mut self) -> Result<&mut Layers> {
        if let Some(failure) = self.setting.failure.stopped() {
            return Err(failure);
        }
        self.layers.as_mut().ok_or(StorageError::Closed)
    }

    fn show(&mut self) -> Result<()> {
        let view = Arc::new(self.layers()?.view());
        *self.setting.visible.view.write() = Some(view);
        Ok(())
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
                    .and_then(|()| self.save_when_due())
                    .map_err(|error| self.setting.failure.set(error))?;
                bytes = 0;
            }
        }
        Ok(())
    }

    fn apply_group(&mut self, group: Vec<Item>) -> Result<()> {
        if self.layers()?.is_full() {
            self.finish_save()?;
            self.save_when_due()?;
        }
        let layers = self.layers()?;
        let applied = layers.apply(group.iter().map(|(entry, _)| entry))?;
        if group.iter().any(|(entry, _)| is_membership(entry)) {
            let membership = layers.position.membership.clone();
            self.setting.standing.settled(&membership);
        }
        self.show()?;
        self.setting.visible.changes.publish(applied.changed);
        for ((_, waiting), outcome) in group.into_iter().zip(applied.outcomes) {
            if let Some(waiting) = waiting {
                waiting.send(outcome);
            }
        }
        Ok(())
    }

    fn save_when_due(&mut self) -> Result<()> {
        let jobs = Weak::clone(&self.setting.jobs);
        let Some(layers) = self.layers.as_mut().filter(|layers| layers.is_due()) else {
            return Ok(());
        };
        if let Some(failure) = self.setting.failure.stopped() {
            layers.refuse_waiting(&failure);
            return Err(failure);
        }
        layers.save(move |number| {
            if let Some(jobs) = jobs.upgrade() {
                // Where the applier has ended, it finished the save itself.
                drop(jobs.send(Job::Saved(number)));
            }
        })?;
        self.show()
    }

    /// Whatever the node has met meanwhile: who waits for the save must be told.
    fn finish_save(&mut self) -> Result<()> {
        self.layers.as_mut().map_or(Ok(()), Layers::finish)?;
        self.show()
    }

    /// Replaces the state with a snapshot, whole or not at all.
    fn install(&mut self, source: &SnapshotFile) -> Result<()> {
        let failure = self.setting.failure.clone();
        let config = self.layers()?.store().config.clone();
        let fresh = config.path.with_extension("tmp");
        let store = build(&config, &fresh, source, &failure)?;
        store.close()?;
        self.layers()?.finish()?;
        *self.setting.visible.view.write() = None;
        if let Some(old) = self.layers.take() {
            old.into_store()?.close()?;
        }
        let io = |error| explain(&config.path, error);
        config.disk.rename(&fresh, &config.path).map_err(io)?;
        if let Some(directory) = config.path.parent() {
            config.disk.sync_dir(directory).map_err(io)?;
        }
        let store = Store::open(&config, &failure)?;
        let layers = Layers::new(store, failure, self.setting.checkpoints)?;
        self.setting.standing.settled(&layers.position.membership);
        let view = layers.view();
        let revision = view.revision();
        *self.setting.visible.view.write() = Some(Arc::new(view));
        self.layers = Some(layers);
        self.setting.visible.changes.reset(revision);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        *self.setting.visible.view.write() = None;
        let Some(mut layers) = self.layers.take() else {
            return Ok(());
        };
        if let Some(failure) = self.setting.failure.stopped() {
            return Err(failure);
        }
        layers.save_all()?;
        layers.into_store()?.close()
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
