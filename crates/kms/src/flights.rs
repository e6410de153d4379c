//! [`Flights`]: many who ask for the same thing at once cause one call.

use crate::{Cause, KmsError, Result};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

type Flight<T> = Shared<BoxFuture<'static, Result<T>>>;

/// Calls under way, by what is asked for.
///
/// Each is a task of its own: a caller who goes away takes nothing from those who still wait, and no
/// entry outlives its call.
#[derive(Debug)]
pub(crate) struct Flights<K: Eq + Hash, T: Clone> {
    under_way: Arc<Mutex<HashMap<K, Flight<T>>>>,
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            under_way: Arc::default(),
        }
    }

    /// Joins the call under way for this key, or makes it. Tells whether it joined.
    pub(crate) async fn run(
        &self,
        key: K,
        call: impl FnOnce() -> BoxFuture<'static, Result<T>>,
    ) -> (Result<T>, bool) {
        let (flight, joined) = {
            let mut under_way = self.under_way.lock();
            match under_way.get(&key) {
                Some(flight) => (flight.clone(), true),
                None => {
                    let flight = self.start(key.clone(), call());
                    under_way.insert(key, flight.clone());
                    (flight, false)
                }
            }
        };
        (flight.await, joined)
    }

    fn start(&self, key: K, call: BoxFuture<'static, Result<T>>) -> Flight<T> {
        let ended = Ended {
            under_way: Arc::clone(&self.under_way),
            key,
        };
        let task = tokio::spawn(async move {
            // Dropped at the end of the task, however it ends.
            let _ended = ended;
            call.await
        });
        let outcome = async move {
            task.await.unwrap_or_else(|error| {
                Err(KmsError::Interrupted {
                    what: "the call",
                    source: Cause::new(error),
                })
            })
        };
        outcome.boxed().shared()
    }
}

struct Ended<K: Eq + Hash, T: Clone> {
    under_way: Arc<Mutex<HashMap<K, Flight<T>>>>,
    key: K,
}

impl<K: Eq + Hash, T: Clone> Drop for Ended<K, T> {
    fn drop(&mut self) {
        let flight = self.under_way.lock().remove(&self.key);
        // Outside of the lock: whatever it holds is dropped with it.
        drop(flight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn broken() -> Result<()> {
        panic!("planted")
    }

    #[tokio::test]
    async fn a_call_that_panics_is_told_as_what_it_is_and_is_no_fault_of_the_service() {
        let flights: Flights<(), ()> = Flights::new();
        let (outcome, _) = flights.run((), || broken().boxed()).await;
        let told = outcome.unwrap_err();
        assert!(matches!(told, KmsError::Interrupted { .. }), "{told}");
        assert!(!told.is_transient() && !told.is_service_fault());
        assert!(!told.to_string().contains("stream"), "{told}");
        // The next one flies by itself.
        let (outcome, joined) = flights.run((), || async { Ok(()) }.boxed()).await;
        assert!(outcome.is_ok() && !joined);
    }
}
