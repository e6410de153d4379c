//! [`Lease`]: one of several servers at a time.

use crate::data_keys::storage::{Storage, StorageError, Written};
use secretum_crypto::{ClockRef, Rng as _, SystemRng, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long a server that went away keeps others waiting. Clocks of servers may differ by less.
const LENGTH: Duration = Duration::from_secs(300);

const NAME: &str = "rotation/lease";

/// What stands in the storage.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    /// Whoever it is: random.
    holder: String,
    until: Timestamp,
}

/// A lease, as one server sees it.
#[derive(Debug)]
pub(super) struct Lease {
    storage: Arc<Storage>,
    clock: ClockRef,
    holder: String,
    /// What this server wrote, while it holds the lease.
    own: Option<Vec<u8>>,
}

impl Lease {
    pub(super) fn new(storage: Arc<Storage>, clock: ClockRef) -> Self {
        Self {
            storage,
            clock,
            holder: String::new(),
            own: None,
        }
    }

    /// Takes it, or takes it for longer; whether it has it.
    pub(super) async fn take(&mut self) -> Result<bool, StorageError> {
        if self.holder.is_empty() {
            let mut bytes = [0; 16];
            if SystemRng.fill(&mut bytes).is_err() {
                return Ok(false);
            }
            self.holder = hex::encode(bytes);
        }
        let now = self.clock.now();
        let name = self.storage.prefixed(NAME);
        let Some(stands) = self.storage.read(&name).await? else {
            let new = self.held(now.plus(LENGTH));
            let first = self.storage.create(&name, new.clone()).await? == Written::First;
            self.own = first.then_some(new);
            return Ok(first);
        };
        // What does not parse holds nobody up.
        let held: Option<Held> = serde_json::from_slice(&stands).ok();
        if held.is_some_and(|held| held.holder != self.holder && held.until > now) {
            self.own = None;
            return Ok(false);
        }
        let new = self.held(now.plus(LENGTH));
        let taken = self.storage.replace(&name, &stands, new.clone()).await?;
        self.own = taken.then_some(new);
        Ok(taken)
    }

    /// Keeps it. Ends when it is lost.
    pub(super) async fn keep(&mut self) -> StorageError {
        loop {
            tokio::time::sleep(LENGTH / 3).await;
            match self.take().await {
                Ok(true) => {}
                Ok(false) => {
                    let name = self.storage.prefixed(NAME);
                    return StorageError::Gone { name };
                }
                Err(error) => return error,
            }
        }
    }

    /// Lets others have it, where it is this server's. A lease that cannot be given up ends by itself.
    pub(super) async fn give_up(&mut self) {
        let Some(own) = self.own.take() else {
            return;
        };
        let name = self.storage.prefixed(NAME);
        let ended = self.held(Timestamp::UNIX_EPOCH);
        if let Err(error) = self.storage.replace(&name, &own, ended).await {
            tracing::warn!(%error, "the lease of a rotation was not given up");
        }
    }

    fn held(&self, until: Timestamp) -> Vec<u8> {
        let held = Held {
            holder: self.holder.clone(),
            until,
        };
        serde_json::to_vec(&held).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_crypto::TestClock;

    #[tokio::test]
    async fn one_has_it_until_it_is_given_up_or_old() {
        let place = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::in_folder(place.path()).unwrap());
        let clock = Arc::new(TestClock::default());
        let new = || Lease::new(Arc::clone(&storage), Arc::clone(&clock) as _);
        let (mut one, mut two) = (new(), new());
        assert!(one.take().await.unwrap());
        assert!(one.take().await.unwrap(), "it takes it for longer");
        assert!(!two.take().await.unwrap());
        two.give_up().await;
        assert!(!two.take().await.unwrap(), "it gave up what it had not");
        one.give_up().await;
        assert!(two.take().await.unwrap());
        // Whoever went away keeps others waiting for so long, and does not give up what it lost.
        clock.advance(LENGTH - Duration::from_secs(1));
        assert!(!one.take().await.unwrap());
        clock.advance(Duration::from_secs(1));
        assert!(one.take().await.unwrap());
        two.give_up().await;
        assert!(!two.take().await.unwrap());
    }

    #[tokio::test]
    async fn of_many_at_once_one_has_it() {
        let place = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::in_folder(place.path()).unwrap());
        let clock = Arc::new(TestClock::default());
        for _ in 0..2 {
            let tries = (0..20).map(|_| {
                let mut lease = Lease::new(Arc::clone(&storage), Arc::clone(&clock) as _);
                tokio::spawn(async move { lease.take().await.unwrap() })
            });
            let tries = futures::future::join_all(tries).await;
            let taken = tries.into_iter().filter(|taken| *taken.as_ref().unwrap());
            assert_eq!(taken.count(), 1);
            clock.advance(LENGTH);
        }
    }
}
