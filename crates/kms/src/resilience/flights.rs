//! [`Flights`]: many who ask for the same thing at once cause one call.

use crate::{Cause, KmsError, Result};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// A key of what is asked for: a whole SHA-256.
pub(super) type FlightKey = [u8; 32];

type Flight<T> = Shared<BoxFuture<'static, Result<T>>>;

/// Calls under way.
///
/// Each is a task of its own: a caller who goes away takes nothing from those who still wait, and no
/// entry outlives its call.
#[derive(Debug)]
pub(super) struct Flights<T: Clone> {
    under_way: Arc<Mutex<HashMap<FlightKey, Flight<T>>>>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(super) fn new() -> Self {
        Self {
            under_way: Arc::default(),
        }
    }

    /// Joins the call under way for this key, or makes it. Tells whether it joined.
    pub(super) async fn run(
        &self,
        key: FlightKey,
        call: impl FnOnce() -> BoxFuture<'static, Result<T>>,
    ) -> (Result<T>, bool) {
        let (flight, joined) = {
            let mut under_way = self.under_way.lock();
            match under_way.get(&key) {
                Some(flight) => (flight.clone(), true),
                None => {
                    let flight = self.start(key, call());
                    under_way.insert(key, flight.clone());
                    (flight, false)
                }
            }
        };
        (flight.await, joined)
    }

    fn start(&self, key: FlightKey, call: BoxFuture<'static, Result<T>>) -> Flight<T> {
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
                Err(KmsError::Stream {
                    action: "finish",
                    source: Cause::new(error),
                })
            })
        };
        outcome.boxed().shared()
    }
}

struct Ended<T: Clone> {
    under_way: Arc<Mutex<HashMap<FlightKey, Flight<T>>>>,
    key: FlightKey,
}

impl<T: Clone> Drop for Ended<T> {
    fn drop(&mut self) {
        let flight = self.under_way.lock().remove(&self.key);
        // Outside of the lock: whatever it holds is dropped with it.
        drop(flight);
    }
}
