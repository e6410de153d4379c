//! [`RateLimitKms`]: no more calls than agreed.

use super::{Call, Wrapper};
use crate::{KeyManagementService, KmsError, Result};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How many calls, and how long they may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// Calls a second, in the long run. At least 1.
    pub per_second: u32,
    /// Calls at once, behind a rest. At least 1.
    pub burst: u32,
    /// How long a call waits for its turn at most, before it is refused.
    pub wait_max: Duration,
}

/// Spreads calls so that there are no more of them than the limit.
///
/// Who waits takes their turn when it has come, and not before: a caller that goes away leaves it to the next.
#[derive(Debug)]
pub struct RateLimitKms {
    inner: Arc<dyn KeyManagementService>,
    config: RateLimitConfig,
    state: Mutex<State>,
    /// Held by the first of those who wait.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// When all the calls that were let through would have come, had they kept their distance.
    due: Instant,
    /// How many wait.
    waiting: u32,
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a Mutex<State>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl RateLimitKms {
    /// Calls of this service come no more often than this.
    pub fn new(inner: Arc<dyn KeyManagementService>, config: RateLimitConfig) -> Self {
        Self {
            inner,
            config,
            state: Mutex::new(State {
                due: Instant::now(),
                waiting: 0,
            }),
            queue: tokio::sync::Mutex::new(()),
        }
    }

    fn distance(&self) -> Duration {
        Duration::from_secs(1) / self.config.per_second.max(1)
    }

    /// How long the next call has to wait, were there so many before it.
    fn wait(&self, state: &State, before: u32) -> Duration {
        let ahead = self.config.burst.max(1) - 1;
        let rest = state.due.saturating_duration_since(Instant::now());
        let rest = rest.saturating_add(self.distance().saturating_mul(before));
        rest.saturating_sub(self.distance().saturating_mul(ahead))
    }

    /// Takes a turn where there is one at once; otherwise a place among those who wait.
    fn enter(&self) -> Result<Option<Waiting<'_>>> {
        let mut state = self.state.lock();
        let wait = self.wait(&state, state.waiting);
        if wait > self.config.wait_max {
            return Err(KmsError::RateLimited {
                retry_in: wait.saturating_sub(self.config.wait_max),
            });
        }
        if wait.is_zero() && state.waiting == 0 {
            self.pass(&mut state);
            return Ok(None);
        }
        state.waiting += 1;
        Ok(Some(Waiting(&self.state)))
    }

    fn pass(&self, state: &mut State) {
        state.due = state.due.max(Instant::now()) + self.distance();
    }

    /// Waits for a turn, and takes it.
    async fn turn(&self) -> Result<()> {
        let Some(_waiting) = self.enter()? else {
            return Ok(());
        };
        let _first = self.queue.lock().await;
        let wait = self.wait(&self.state.lock(), 0);
        if !wait.is_zero() {
            sleep(wait).await;
        }
        self.pass(&mut self.state.lock());
        Ok(())
    }
}

impl Wrapper for RateLimitKms {
    fn inner(&self) -> &dyn KeyManagementService {
        self.inner.as_ref()
    }

    async fn around<'a, T, A>(&self, _: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
    {
        self.turn().await?;
        attempt().await
    }
}
