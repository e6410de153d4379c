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
pub(crate) struct Lease {
    storage: Arc<Storage>,
    clock: ClockRef,
    holder: String,
    /// What this server wrote, while it holds the lease.
    own: Option<Vec<u8>>,
    /// Whom it waits for, and until when.
    other: Option<(String, Timestamp)>,
}

impl Lease {
    pub(crate) fn new(storage: Arc<Storage>, clock: ClockRef) -> Self {
        Self {
            storage,
            clock,
            holder: String::new(),
            own: None,
            other: None,
        }
    }

    /// Takes it, or takes it for longer; whether it has it.
    pub(crate) async fn take(&mut self) -> Result<bool, StorageError> {
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
        // What does not parse holds nobody up, nor does what a clock that ran ahead wrote.
        let held: Option<Held> = serde_json::from_slice(&stands).ok();
        let is_in_force = |held: &Held| held.until > now && held.until <= now.plus(LENGTH * 2);
        let other = held.filter(|held| held.holder != self.holder && is_in_force(held));
        if let Some(Held { holder, until }) = other {
            self.own = None;
            self.wait_for(holder, until);
            return Ok(false);
        }
        let new = self.held(now.plus(LENGTH));
        let taken = self.storage.replace(&name, &stands, new.clone()).await?;
        self.own = taken.then_some(new);
        Ok(taken)
    }

    /// Until when another has it, where [`Self::take`] said so.
    pub(crate) fn taken_until(&self) -> Option<Timestamp> {
        self.other.as_ref().map(|(_, until)| *until)
    }

    /// Tells of each holder once.
    fn wait_for(&mut self, holder: String, until: Timestamp) {
        if self
            .other
            .as_ref()
            .is_none_or(|(known, _)| *known != holder)
        {
            tracing::info!(holder, "another server, or a command, wraps data keys anew");
        }
        self.other = Some((holder, until));
    }

    /// Keeps it. Ends when it is lost.
    pub(crate) async fn keep(&mut self) -> StorageError {
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
    pub(crate) async fn give_up(&mut self) {
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
    use secretum_crypto::{Clock as _, TestClock};

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
    async fn a_clock_that_ran_ahead_holds_nobody_up() {
        let place = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::in_folder(place.path()).unwrap());
        let clock = Arc::new(TestClock::default());
        let ahead = Arc::new(TestClock::default());
        let mut one = Lease::new(Arc::clone(&storage), Arc::clone(&ahead) as _);
        let mut two = Lease::new(storage, clock);
        // As far ahead as clocks may be.
        ahead.advance(LENGTH);
        assert!(one.take().await.unwrap());
        assert!(!two.take().await.unwrap());
        assert_eq!(two.taken_until(), Some(ahead.now().plus(LENGTH)));
        ahead.advance(Duration::from_secs(1));
        assert!(one.take().await.unwrap());
        assert!(two.take().await.unwrap());
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
