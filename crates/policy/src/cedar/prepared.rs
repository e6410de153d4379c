//! [`Prepared`]: statements ready for evaluation, as many as are in use and no more.

use super::PREPARED_MAX;
use super::statement::Statement;
use cedar_policy::{Policy, PolicyId, PolicySet};
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;

const SHARDS: u64 = 16;

/// Statements as sets of one, by their serial numbers; those not used for the longest are dropped.
#[derive(Debug)]
pub(super) struct Prepared {
    shards: Vec<Mutex<LruCache<u64, Arc<PolicySet>>>>,
}

impl Default for Prepared {
    fn default() -> Self {
        let each = NonZeroUsize::new(PREPARED_MAX / 16).unwrap_or(NonZeroUsize::MIN);
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(LruCache::new(each)))
                .collect(),
        }
    }
}

impl Prepared {
    /// A statement as a set of one; `None` where it cannot be read, which was possible before.
    pub(super) fn get(&self, statement: &Statement) -> Option<Arc<PolicySet>> {
        let at = usize::try_from(statement.serial % SHARDS).ok()?;
        let shard = self.shards.get(at)?;
        if let Some(found) = shard.lock().get(&statement.serial) {
            return Some(Arc::clone(found));
        }
        let id = PolicyId::new(&*statement.id);
        let policy = Policy::parse(Some(id), &statement.text).ok()?;
        let set = Arc::new(PolicySet::from_policies([policy]).ok()?);
        shard.lock().push(statement.serial, Arc::clone(&set));
        Some(set)
    }

    /// How many are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
