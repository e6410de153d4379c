//! [`Layers`]: the database, and above it in memory what it does not hold yet.
//!
//! What is applied goes into the active generation. When that is large or old enough it is frozen,
//! another one takes its place, and a thread writes it into the database in one durable transaction,
//! while readers see both above what the database held before. So applying never waits for the disk,
//! and what many entries change alike is written once.

use super::super::failure::Failure;
use super::super::types::{LogEntry, Outcome, Payload, StoredMembership};
use super::generation::Generation;
use super::store::{Base, Position, Store};
use super::view::View;
use crate::{Batch, Change, Changed, Key, Result, Revision, StorageError};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// When what was applied becomes durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoints {
    /// After so many bytes of batches.
    pub(crate) bytes: u64,
    /// Or so long after the first of them.
    pub(crate) interval: Duration,
}

/// Who waits for a checkpoint: gets a view of it.
pub(super) type Waiting = oneshot::Sender<Result<Arc<View>>>;

/// What applying some entries came to.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) changed: Vec<Changed>,
}

pub(super) struct Layers {
    store: Arc<Store>,
    failure: Failure,
    checkpoints: Checkpoints,
    /// As it was saved last.
    base: Arc<Base>,
    /// What is being saved, or could not be.
    frozen: Option<Arc<Generation>>,
    saving: Option<Saving>,
    /// How many saves were begun.
    saves: u64,
    active: Arc<Generation>,
    /// Bytes of batches in the active generation, and when something was first applied since it began.
    unsaved: Option<(u64, Instant)>,
    pub(super) position: Position,
    /// Who waits for a checkpoint of what is unsaved.
    waiting: Vec<Waiting>,
}

/// The frozen generation on its way into the database.
struct Saving {
    number: u64,
    position: Position,
    waiting: Vec<Waiting>,
    thread: JoinHandle<Result<Base>>,
}

impl Layers {
    pub(super) fn new(store: Store, failure: Failure, checkpoints: Checkpoints) -> Result<Self> {
        Ok(Self {
            base: Arc::new(store.base()?),
            position: store.position()?,
            store: Arc::new(store),
            failure,
            checkpoints,
            frozen: None,
            saving: None,
            saves: 0,
            active: Arc::default(),
            unsaved: None,
            waiting: Vec::new(),
        })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The state as it is now.
    pub(super) fn view(&self) -> View {
        let generations = self.generations().map(Arc::clone).collect();
        View::new(generations, Arc::clone(&self.base), self.position.clone())
    }

    /// Newest first.
    fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    /// Applies entries; views made from now on show them.
    pub(super) fn apply<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a LogEntry>,
    ) -> Result<Applied> {
        let mut applied = Applied::default();
        let (mut bytes, since) = self.unsaved.unwrap_or_else(|| (0, Instant::now()));
        for entry in entries {
            let revision = Revision(entry.log_id.index);
            let outcome = match &entry.payload {
                Payload::Blank => Outcome::Nothing,
                Payload::Membership(membership) => {
                    let membership = membership.clone();
                    self.position.membership =
                        StoredMembership::new(Some(entry.log_id), membership);
                    Outcome::Nothing
                }
                Payload::Normal(proposal) => {
                    let batch = &*proposal.0;
                    bytes += batch.bytes() as u64;
                    self.apply_batch(batch, revision)?
                }
            };
            self.position.applied = Some(entry.log_id);
            applied.changed.extend(changed(entry, &outcome, revision));
            applied.outcomes.push(outcome);
        }
        self.unsaved = Some((bytes, since));
        // A read point is the newest applied entry, whatever it was: the feed must reach it.
        let newest = Revision(self.position.applied.map_or(0, |applied| applied.index));
        let told = applied.changed.last().map(|last| last.revision);
        if told.is_none_or(|told| told < newest) {
            applied.changed.push(Changed {
                revision: newest,
                keys: Arc::from([]),
            });
        }
        Ok(applied)
    }

    fn apply_batch(&self, batch: &Batch, revision: Revision) -> Result<Outcome> {
        for step in batch.steps() {
            if let Some(expect) = step.expect
                && !expect.holds(self.revision_of(&step.key)?)
            {
                return Ok(Outcome::Conflict(step.key.clone()));
            }
        }
        self.active.add(batch, revision);
        Ok(Outcome::Committed(revision))
    }

    fn revision_of(&self, key: &Key) -> Result<Option<Revision>> {
        let newest = Revision(u64::MAX);
        let mut known = self.generations();
        match known.find_map(|generation| generation.get(key.as_bytes(), newest)) {
            Some(found) => Ok(found.map(|entry| entry.revision)),
            None => self.base.revision(key),
        }
    }

    /// How long until a checkpoint is due; `None` while there is nothing to save, or something is being
    /// saved, whose end is told.
    pub(super) fn patience(&self) -> Option<Duration> {
        let (_, since) = self.unsaved.filter(|_| self.saving.is_none())?;
        Some(self.checkpoints.interval.saturating_sub(since.elapsed()))
    }

    /// Whether so much was applied while something is being saved that applying must wait for it.
    pub(super) fn is_full(&self) -> bool {
        let most = self.checkpoints.bytes.saturating_mul(2);
        self.saving.is_some() && self.unsaved.is_some_and(|(bytes, _)| bytes >= most)
    }

    /// Whether it is time to save, and nothing is being saved.
    pub(super) fn is_due(&self) -> bool {
        let Some((bytes, since)) = self.unsaved.filter(|_| self.saving.is_none()) else {
            return false;
        };
        !self.waiting.is_empty()
            || bytes >= self.checkpoints.bytes
            || since.elapsed() >= self.checkpoints.interval
    }

    /// Freezes what is unsaved and begins to save it; `saved` is called in the end, with the number of
    /// the save.
    pub(super) fn save(&mut self, saved: impl FnOnce(u64) + Send + 'static) -> Result<()> {
        let generation = std::mem::take(&mut self.active);
        self.frozen = Some(Arc::clone(&generation));
        self.unsaved = None;
        self.saves += 1;
        let (number, store) = (self.saves, Arc::clone(&self.store));
        let position = self.position.clone();
        let thread = std::thread::Builder::new().name("storage-save".to_owned());
        let thread = thread.spawn(move || {
            let base = store.save(&generation, &position);
            let base = base.and_then(|()| store.base());
            drop(store);
            saved(number);
            base
        });
        let thread = thread.map_err(|error| StorageError::Stopped {
            reason: format!("no thread could be started: {error}"),
        })?;
        self.saving = Some(Saving {
            number,
            position: self.position.clone(),
            waiting: std::mem::take(&mut self.waiting),
            thread,
        });
        Ok(())
    }

    /// Whether a save of this number is still to be finished.
    pub(super) fn is_saving(&self, number: u64) -> bool {
        let saving = self.saving.as_ref();
        saving.is_some_and(|saving| saving.number == number)
    }

    /// Waits for what is being saved: views made from now on read it from the database.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some(saving) = self.saving.take() else {
            return Ok(());
        };
        let saved = saving.thread.join().unwrap_or_else(|_| {
            let reason = "the thread that saves panicked".to_owned();
            Err(StorageError::Stopped { reason })
        });
        let saved = saved.and_then(|base| self.failure.stopped().map_or(Ok(base), Err));
        let checkpoint = saved.map(|base| {
            self.base = Arc::new(base);
            self.frozen = None;
            let base = Arc::clone(&self.base);
            Arc::new(View::new(Vec::new(), base, saving.position))
        });
        tell(saving.waiting, &checkpoint);
        checkpoint.map(drop)
    }

    /// Waits for a checkpoint of all that is applied.
    pub(super) fn checkpoint(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
        if self.unsaved.is_none() {
            // What is applied is saved, or being saved.
            match &mut self.saving {
                Some(saving) => saving.waiting.append(&mut self.waiting),
                None => {
                    let view = Arc::new(self.view());
                    tell(std::mem::take(&mut self.waiting), &Ok(view));
                }
            }
        }
    }

    /// Tells who waits that there will be no checkpoint.
    pub(super) fn refuse_waiting(&mut self, failure: &StorageError) {
        tell(std::mem::take(&mut self.waiting), &Err(failure.clone()));
    }

    /// Saves all that is applied.
    pub(super) fn save_all(&mut self) -> Result<()> {
        self.finish()?;
        if self.unsaved.is_some() {
            self.save(|_| {})?;
        }
        self.finish()
    }

    /// Gives the store back, for closing; nothing may be being saved.
    pub(super) fn into_store(self) -> Result<Store> {
        Arc::into_inner(self.store).ok_or_else(|| StorageError::Stopped {
            reason: "the state is still being saved".to_owned(),
        })
    }
}

fn tell(waiting: Vec<Waiting>, checkpoint: &Result<Arc<View>>) {
    for waiting in waiting {
        // Who asked may have gone.
        drop(waiting.send(checkpoint.clone()));
    }
}

/// What the feed is told of an entry that changed something.
fn changed(entry: &LogEntry, outcome: &Outcome, revision: Revision) -> Option<Changed> {
    let (Payload::Normal(proposal), Outcome::Committed(_)) = (&entry.payload, outcome) else {
        return None;
    };
    let steps = proposal.0.steps().iter();
    let touched = steps.filter(|step| step.change != Change::Keep);
    Some(Changed {
        revision,
        keys: touched.map(|step| step.key.clone()).collect(),
    })
}
