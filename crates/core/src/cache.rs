//! [`Cache`]: parsed records, bounded, never older than the storage.
//!
//! INVARIANT: what was filled from a read that began before an invalidation of the same shard is
//! thrown away. A reader takes a [`Ticket`] before it reads and hands it in with what it read.

use lru::LruCache;
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;

const SHARDS: usize = 16;

/// A bounded map that the change feed empties.
#[derive(Debug)]
pub(crate) struct Cache<K: Hash + Eq, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard<K: Hash + Eq, V> {
    entries: LruCache<K, V>,
    /// Counts invalidations.
    epoch: u64,
}

/// The state of a shard before a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(u64);

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache of about `entries_max` entries.
    pub(crate) fn new(entries_max: usize) -> Self {
        let each = NonZeroUsize::new(entries_max / SHARDS).unwrap_or(NonZeroUsize::MIN);
        let shard = || {
            Mutex::new(Shard {
                entries: LruCache::new(each),
                epoch: 0,
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The value of a key, or a ticket to fill it.
    pub(crate) fn get<Q>(&self, key: &Q) -> Result<V, Ticket>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(shard) = self.shard(key) else {
            return Err(Ticket(0));
        };
        let mut shard = shard.lock();
        shard.entries.get(key).cloned().ok_or(Ticket(shard.epoch))
    }

    /// Keeps what was read after the ticket was taken, unless something changed meanwhile.
    pub(crate) fn fill(&self, ticket: Ticket, key: K, value: V) {
        let Some(shard) = self.shard(&key) else {
            return;
        };
        let mut shard = shard.lock();
        if shard.epoch == ticket.0 {
            shard.entries.put(key, value);
        }
    }

    /// Forgets a key.
    pub(crate) fn forget<Q>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock();
        shard.epoch += 1;
        shard.entries.pop(key);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.epoch += 1;
            shard.entries.clear();
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> Option<&Mutex<Shard<K, V>>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_that_began_before_a_change_is_thrown_away() {
        let cache: Cache<String, u32> = Cache::new(64);
        let stale = cache.get("a").unwrap_err();
        cache.forget("a");
        cache.fill(stale, "a".to_owned(), 1);
        let fresh = cache.get("a").unwrap_err();
        cache.fill(fresh, "a".to_owned(), 2);
        assert_eq!(cache.get("a").unwrap(), 2);
        let stale = cache.get("b").unwrap_err();
        cache.clear();
        cache.fill(stale, "b".to_owned(), 3);
        assert!(cache.get("a").is_err());
        assert!(cache.get("b").is_err());
    }

    #[test]
    fn the_bound_holds() {
        let cache: Cache<u32, u32> = Cache::new(64);
        for number in 0..10_000 {
            let ticket = cache.get(&number).unwrap_err();
            cache.fill(ticket, number, number);
        }
        let held = (0..10_000)
            .filter(|number| cache.get(number).is_ok())
            .count();
        assert!(held <= 64, "{held}");
    }
}
