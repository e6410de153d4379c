//! [`Batch`]: what one commit does.

use crate::{Key, Result, Revision, StorageError};
use bytes::Bytes;
use std::collections::HashSet;

/// The largest batch a backend takes, in bytes as [`Batch::bytes`] counts them.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a step is counted for besides its key and value.
const STEP_BYTES: usize = 16;

/// Up to so many keys are compared with each other; that costs less than a table of them.
const SCANNED_MAX: usize = 8;

/// What must hold of a key for its batch to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The key has no value.
    Absent,
    /// The key has some value.
    Present,
    /// The key's value was written by this revision.
    At(Revision),
}

/// What happens to a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// The key gets this value.
    Put(Bytes),
    /// The key loses its value; one that has none stays without.
    Delete,
    /// Nothing: the step is there for its precondition.
    Keep,
}

/// A value may hold a secret, and is not shown.
impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put(value) => write!(f, "Put({} bytes)", value.len()),
            Self::Delete => f.write_str("Delete"),
            Self::Keep => f.write_str("Keep"),
        }
    }
}

/// One key of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The key.
    pub key: Key,
    /// What must hold of it before the batch; `None` for anything.
    pub expect: Option<Precondition>,
    /// What happens to it.
    pub change: Change,
}

impl Step {
    fn bytes(&self) -> usize {
        let value = match &self.change {
            Change::Put(value) => value.len(),
            Change::Delete | Change::Keep => 0,
        };
        STEP_BYTES + self.key.as_bytes().len() + value
    }
}

impl Precondition {
    /// Whether it holds of a key whose value was written by `revision`, or that has none.
    pub(crate) fn holds(self, revision: Option<Revision>) -> bool {
        match self {
            Self::Absent => revision.is_none(),
            Self::Present => revision.is_some(),
            Self::At(expected) => revision == Some(expected),
        }
    }
}

/// Puts and deletes under preconditions, applied whole or not at all.
///
/// INVARIANT: a key stands in a batch once; a later step for a key replaces its earlier change and
/// keeps the earlier precondition where the later one brings none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    steps: Vec<Step>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    #[must_use]
    pub fn put(self, key: Key, value: impl Into<Bytes>) -> Self {
        self.step(Step {
            key,
            expect: None,
            change: Change::Put(value.into()),
        })
    }

    /// Adds a put under a precondition.
    #[must_use]
    pub fn put_if(self, key: Key, expect: Precondition, value: impl Into<Bytes>) -> Self {
        self.step(Step {
            key,
            expect: Some(expect),
            change: Change::Put(value.into()),
        })
    }

    /// Adds a delete.
    #[must_use]
    pub fn delete(self, key: Key) -> Self {
        self.step(Step {
            key,
            expect: None,
            change: Change::Delete,
        })
    }

    /// Adds a delete under a precondition.
    #[must_use]
    pub fn delete_if(self, key: Key, expect: Precondition) -> Self {
        self.step(Step {
            key,
            expect: Some(expect),
            change: Change::Delete,
        })
    }

    /// Adds a precondition on a key that the batch does not change.
    #[must_use]
    pub fn require(self, key: Key, expect: Precondition) -> Self {
        self.step(Step {
            key,
            expect: Some(expect),
            change: Change::Keep,
        })
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.push(step);
        self
    }

    /// Adds all steps of another batch.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for step in other.steps {
            self.push(step);
        }
        self
    }

    /// The steps, in the order they were added.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps, by value.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// Whether the batch does and requires nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The size of the batch: its keys and values, and 16 bytes for each step.
    pub fn bytes(&self) -> usize {
        self.steps.iter().map(Step::bytes).sum()
    }

    /// Refuses a batch that is too large for any backend.
    ///
    /// **Errors**: [`StorageError::BatchTooLarge`] above [`BATCH_BYTES_MAX`].
    pub fn check_size(&self) -> Result<()> {
        let bytes = self.bytes();
        if bytes > BATCH_BYTES_MAX {
            return Err(StorageError::BatchTooLarge {
                bytes,
                max: BATCH_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// Makes a batch of steps, as [`Batch::step`] would one by one.
    pub fn from_steps(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut batch = Self::new();
        for step in steps {
            batch.push(step);
        }
        batch
    }

    /// Takes the steps of another batch; `None` where a key stands in them twice, as in no batch.
    pub(crate) fn of_unique(steps: Vec<Step>) -> Option<Self> {
        let is_unique = if steps.len() <= SCANNED_MAX {
            let mut rest = steps.as_slice();
            std::iter::from_fn(|| {
                rest.split_first().map(|(first, behind)| {
                    rest = behind;
                    behind.iter().all(|other| other.key != first.key)
                })
            })
            .all(|is_alone| is_alone)
        } else {
            let mut seen = HashSet::with_capacity(steps.len());
            steps.iter().all(|step| seen.insert(step.key.as_bytes()))
        };
        is_unique.then_some(Self { steps })
    }

    fn push(&mut self, step: Step) {
        // Batches hold a handful of steps: a scan costs less than an index.
        let Some(earlier) = self
            .steps
            .iter_mut()
            .find(|earlier| earlier.key == step.key)
        else {
            self.steps.push(step);
            return;
        };
        earlier.expect = step.expect.or(earlier.expect);
        if step.change != Change::Keep {
            earlier.change = step.change;
        }
    }
}
