//! [`Folders`]: how the folders that were asked for lately stand in the storage.
//!
//! Sealing is deterministic and the key of names never changes, so an entry is right for as long as
//! it is kept; it goes with the keys when the barrier is sealed.

use lru::LruCache;
use parking_lot::Mutex;
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How many folders are remembered, at most 4,000 bytes each, in most vaults some 150.
pub(crate) const FOLDERS_MAX: usize = 4_096;

/// Requests that look up different folders seldom wait for each other.
const SHARDS: usize = 16;

/// A bounded map from folders to their sealed forms, both with their last `/`.
pub(crate) struct Folders {
    shards: Vec<Shard>,
    hasher: lru::DefaultHasher,
}

struct Shard(Mutex<LruCache<Vec<u8>, Arc<[u8]>>>);

impl Folders {
    /// Room for about `folders_max` folders.
    pub(crate) fn new(folders_max: usize) -> Self {
        let each = NonZeroUsize::new(folders_max / SHARDS).unwrap_or(NonZeroUsize::MIN);
        Self {
            shards: (0..SHARDS)
                .map(|_| Shard(Mutex::new(LruCache::new(each))))
                .collect(),
            hasher: lru::DefaultHasher::default(),
        }
    }

    /// The sealed form of a folder, where it is remembered.
    pub(crate) fn sealed(&self, folder: &[u8]) -> Option<Arc<[u8]>> {
        self.shard(folder)?.0.lock().get(folder).cloned()
    }

    /// Remembers the sealed form of a folder, in the place of what was not asked for the longest.
    pub(crate) fn remember(&self, folder: &[u8], sealed: &Arc<[u8]>) {
        if let Some(shard) = self.shard(folder) {
            shard.0.lock().put(folder.to_vec(), Arc::clone(sealed));
        }
    }

    fn shard(&self, folder: &[u8]) -> Option<&Shard> {
        let hash = self.hasher.hash_one(folder) % SHARDS as u64;
        self.shards.get(usize::try_from(hash).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(number: usize) -> (Vec<u8>, Arc<[u8]>) {
        let folder = format!("mount/1/{number}/").into_bytes();
        let sealed = Arc::from(format!("sealed {number}").into_bytes());
        (folder, sealed)
    }

    #[test]
    fn the_bound_holds() {
        let folders = Folders::new(FOLDERS_MAX);
        for (folder, sealed) in (0..3 * FOLDERS_MAX).map(form) {
            folders.remember(&folder, &sealed);
        }
        let held: usize = folders
            .shards
            .iter()
            .map(|shard| shard.0.lock().len())
            .sum();
        assert_eq!(held, FOLDERS_MAX);
    }

    #[test]
    fn what_is_asked_for_stays() {
        let folders = Folders::new(2 * SHARDS);
        let (hot, sealed) = form(0);
        folders.remember(&hot, &sealed);
        for (folder, other) in (1..1_000).map(form) {
            folders.remember(&folder, &other);
            assert_eq!(folders.sealed(&folder), Some(other));
            assert_eq!(folders.sealed(&hot).as_deref(), Some(&*sealed));
        }
        assert_eq!(folders.sealed(&form(1).0), None);
    }
}
