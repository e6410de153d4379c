//! [`Generation`]: what was applied since the database was last written, in memory.

use crate::{Batch, Change, Entry, Key, Revision};
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What each key was put to or deleted by, oldest first. A reader sees the newest one that is not
/// behind its own moment.
#[derive(Debug, Default)]
pub(super) struct Generation {
    rows: RwLock<BTreeMap<Key, Vec<Version>>>,
}

#[derive(Debug, Clone)]
struct Version {
    revision: Revision,
    /// `None` where the key was deleted.
    value: Option<Bytes>,
}

impl Version {
    fn entry(&self) -> Option<Entry> {
        self.value.clone().map(|value| Entry {
            value,
            revision: self.revision,
        })
    }
}

/// The newest version up to a revision.
fn visible(versions: &[Version], upto: Revision) -> Option<&Version> {
    let mut newest_first = versions.iter().rev();
    newest_first.find(|version| version.revision <= upto)
}

impl Generation {
    /// Adds what a batch changes.
    pub(super) fn add(&self, batch: &Batch, revision: Revision) {
        let mut rows = self.rows.write();
        for step in batch.steps() {
            let value = match &step.change {
                Change::Keep => continue,
                Change::Delete => None,
                Change::Put(value) => Some(value.clone()),
            };
            let version = Version { revision, value };
            match rows.get_mut(step.key.as_bytes()) {
                Some(versions) => versions.push(version),
                None => drop(rows.insert(step.key.clone(), vec![version])),
            }
        }
    }

    /// What a key was at a revision: `None` where this generation does not say, `Some(None)` where the
    /// key was deleted.
    #[expect(clippy::option_option, reason = "not known is not the same as deleted")]
    pub(super) fn get(&self, key: &[u8], upto: Revision) -> Option<Option<Entry>> {
        let rows = self.rows.read();
        visible(rows.get(key)?, upto).map(Version::entry)
    }

    /// The first key from a place on that this generation says something of, and what.
    pub(super) fn next(&self, from: Bound<&[u8]>, upto: Revision) -> Option<(Key, Option<Entry>)> {
        let rows = self.rows.read();
        let mut behind = rows.range::<[u8], _>((from, Bound::Unbounded));
        behind.find_map(|(key, versions)| {
            visible(versions, upto).map(|version| (key.clone(), version.entry()))
        })
    }

    /// Calls `each` with every key in order, and its newest version.
    pub(super) fn each_newest<E>(
        &self,
        mut each: impl FnMut(&Key, Option<Entry>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (key, versions) in &*self.rows.read() {
            if let Some(newest) = versions.last() {
                each(key, newest.entry())?;
            }
        }
        Ok(())
    }
}
