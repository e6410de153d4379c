//! [`Turns`]: those who lost a race for a key try again one after the other.
//!
//! Nothing is right because of it: preconditions decide who wins. It keeps a crowd from losing the
//! same race to each other until their tries are used up.

use secretum_storage::Key;
use std::hash::{BuildHasher, RandomState};
use tokio::sync::{Mutex, MutexGuard};

/// How many keys can be waited for apart; others share a place.
const PLACES: usize = 64;

/// Places to wait at.
#[derive(Debug)]
pub(crate) struct Turns {
    places: [Mutex<()>; PLACES],
    hasher: RandomState,
}

/// Somebody's turn, until it is dropped.
pub(crate) type Turn<'t> = MutexGuard<'t, ()>;

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            places: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Waits for those who lost a race for this key before.
    pub(crate) async fn wait_for(&self, key: &Key) -> Option<Turn<'_>> {
        let place = usize::try_from(self.hasher.hash_one(key) % PLACES as u64).ok()?;
        Some(self.places.get(place)?.lock().await)
    }
}
