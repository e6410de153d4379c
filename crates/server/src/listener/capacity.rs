//! How many connections the process has room for.

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Open files that are left to everything else: storage, audit devices, configuration.
const FILES_RESERVED: u64 = 256;

/// The places for connections of a listener.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    all: Mutex<usize>,
}

impl Places {
    /// So many, of one of so many listeners.
    pub(super) fn new(wanted: usize, listeners: usize) -> Self {
        let all = connections(wanted, listeners);
        Self {
            free: Arc::new(Semaphore::new(all)),
            all: Mutex::new(all),
        }
    }

    /// Waits for a place.
    pub(super) async fn take(&self) -> io::Result<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.free).acquire_owned().await;
        place.map_err(io::Error::other)
    }

    /// Has another number of them; places that are taken and too many go when they become free.
    pub(crate) fn set(&self, wanted: usize, listeners: usize) {
        let wanted = connections(wanted, listeners);
        let mut all = self.all.lock();
        let before = std::mem::replace(&mut *all, wanted);
        drop(all);
        if wanted >= before {
            return self.free.add_permits(wanted - before);
        }
        let (free, surplus) = (Arc::clone(&self.free), before - wanted);
        tokio::spawn(async move {
            let surplus = u32::try_from(surplus).unwrap_or(u32::MAX);
            if let Ok(places) = free.acquire_many_owned(surplus).await {
                places.forget();
            }
        });
    }
}

/// The connections that one of so many listeners may hold open, `wanted` at most.
///
/// A connection is an open file. One that is accepted beyond what the process may open would be
/// lost, and with it every file that the storage wants to open.
pub(super) fn connections(wanted: usize, listeners: usize) -> usize {
    let Some(files) = open_files() else {
        return wanted.max(1);
    };
    let allowed = share(files, listeners);
    if allowed < wanted {
        tracing::warn!(
            wanted,
            allowed,
            "a listener holds fewer connections than its max_connections: the process may open too \
             few files, see `ulimit -n`"
        );
    }
    wanted.min(allowed).max(1)
}

fn share(files: u64, listeners: usize) -> usize {
    let left = files.saturating_sub(FILES_RESERVED);
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    // Without this many there is no server to speak of; the system refuses what is too much.
    left.checked_div(listeners).unwrap_or(left).max(1)
}

/// How many files may be open, after asking for as many as the system grants; `None` for any number.
fn open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, highest) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_become_more_and_fewer() {
        let places = Places::new(2, 1);
        let (one, two) = (places.take().await.unwrap(), places.take().await.unwrap());
        assert_eq!(places.free.available_permits(), 0);
        places.set(3, 1);
        assert_eq!(places.free.available_permits(), 1);
        places.set(1, 1);
        tokio::task::yield_now().await;
        assert_eq!(places.free.available_permits(), 0);
        drop(one);
        tokio::task::yield_now().await;
        assert_eq!(places.free.available_permits(), 0, "one was too many");
        drop(two);
        assert_eq!(places.free.available_permits(), 1);
    }

    #[test]
    fn files_are_left_to_the_storage_and_shared_by_listeners() {
        assert_eq!(share(FILES_RESERVED + 1_000, 1), 1_000);
        assert_eq!(share(FILES_RESERVED + 1_000, 3), 333);
        assert_eq!(share(FILES_RESERVED, 1), 1);
        assert_eq!(share(0, 64), 1);
        assert_eq!(connections(0, 1), 1);
        assert!(connections(usize::MAX, 1) >= 1);
    }
}
