//! [`Migrations`]: the newest moves of mounts, for those who ask how far they are.

use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;

/// How many are remembered; those of before the vault was unsealed are not.
const REMEMBERED: usize = 1_024;

/// A move of a mount, with `auth/` before that of an auth method.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The newest moves, by their ids.
#[derive(Debug)]
pub(crate) struct Migrations(Mutex<LruCache<String, Migration>>);

impl Default for Migrations {
    fn default() -> Self {
        let most = NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(most)))
    }
}

impl Migrations {
    pub(crate) fn remember(&self, id: &str, migration: Migration) {
        self.0.lock().put(id.to_owned(), migration);
    }

    pub(crate) fn of(&self, id: &str) -> Option<Migration> {
        self.0.lock().peek(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let migrations = Migrations::default();
        let migration = || Migration {
            from: "a/".to_owned(),
            to: "b/".to_owned(),
        };
        for number in 0..=REMEMBERED {
            migrations.remember(&number.to_string(), migration());
        }
        assert!(migrations.of("0").is_none());
        assert!(migrations.of("1").is_some());
        assert!(migrations.of("1024").is_some());
    }
}
