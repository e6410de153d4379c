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
    /// What the entries of a shard weigh together, at the most, unless it holds one alone.
    shard_weight_max: usize,
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard<K: Hash + Eq, V> {
    /// With what each weighs.
    entries: LruCache<K, (V, usize)>,
    weight: usize,
    /// Counts invalidations.
    epoch: u64,
}

/// The state of a shard before a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(u64);

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache of about `entries_max` entries.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self::weighing(entries_max, usize::MAX)
    }

    /// A cache of about `entries_max` entries that weigh about `weight_max` together; no more than one
    /// entry of each shard weighs more.
    pub(crate) fn weighing(entries_max: usize, weight_max: usize) -> Self {
        let each = NonZeroUsize::new(entries_max / SHARDS).unwrap_or(NonZeroUsize::MIN);
        let shard = || {
            Mutex::new(Shard {
                entries: LruCache::new(each),
                weight: 0,
                epoch: 0,
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            shard_weight_max: weight_max / SHARDS,
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
        match shard.entries.get(key) {
            Some((value, _)) => Ok(value.clone()),
            None => Err(Ticket(shard.epoch)),
        }
    }

    /// Keeps what was read after the ticket was taken, unless something changed meanwhile.
    pub(crate) fn fill(&self, ticket: Ticket, key: K, value: V) {
        self.fill_weighing(ticket, key, value, 0);
    }

    /// The same, with what the entry weighs.
    pub(crate) fn fill_weighing(&self, ticket: Ticket, key: K, value: V, weight: usize) {
        let Some(shard) = self.shard(&key) else {
            return;
        };
        let mut shard = shard.lock();
        if shard.epoch == ticket.0 {
            let pushed_out = shard.entries.push(key, (value, weight));
            let lost = pushed_out.map_or(0, |(_, (_, weight))| weight);
            shard.weight = shard.weight.saturating_sub(lost).saturating_add(weight);
            shard.lighten(self.shard_weight_max);
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
        let lost = shard.entries.pop(key).map_or(0, |(_, weight)| weight);
        shard.weight = shard.weight.saturating_sub(lost);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.epoch += 1;
            shard.entries.clear();
            shard.weight = 0;
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> Option<&Mutex<Shard<K, V>>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(hash)
    }
}

impl<K: Hash + Eq, V> Shard<K, V> {
    /// Drops what was not used for the longest, until the rest weighs no more than that.
    fn lighten(&mut self, weight_max: usize) {
        while self.weight > weight_max && self.entries.len() > 1 {
            let lost = self.entries.pop_lru().map_or(0, |(_, (_, weight))| weight);
            self.weight = self.weight.saturating_sub(lost);
        }
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

    #[test]
    fn the_bound_of_weight_holds() {
        let cache: Cache<u32, u32> = Cache::weighing(1_600, 16 * 100);
        let fill = |numbers: std::ops::Range<u32>, weight| {
            for number in numbers.clone() {
                cache.forget(&number);
                let ticket = cache.get(&number).unwrap_err();
                cache.fill_weighing(ticket, number, number, weight);
            }
            numbers.filter(|number| cache.get(number).is_ok()).count()
        };
        let held = fill(0..1_000, 50);
        assert!((1..=32).contains(&held), "{held}");
        // One alone is kept, whatever it weighs; what it pushed out weighs no more.
        assert_eq!(fill(5_000..5_001, 1_000), 1);
        assert!(fill(0..1_000, 1_000) <= 16);
        cache.clear();
        let held = fill(0..1_000, 1);
        assert!(held > 600, "{held}");
    }
}
