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
#[derive(Debug)]
pub struct RateLimitKms {
    inner: Arc<dyn KeyManagementService>,
    config: RateLimitConfig,
    /// When all the calls that were let through would have come, had they kept their distance.
    due: Mutex<Instant>,
}

impl RateLimitKms {
    /// Calls of this service come no more often than this.
    pub fn new(inner: Arc<dyn KeyManagementService>, config: RateLimitConfig) -> Self {
        Self {
            inner,
            config,
            due: Mutex::new(Instant::now()),
        }
    }

    /// Takes a turn; how long to wait for it.
    fn turn(&self) -> Result<Duration> {
        let distance = Duration::from_secs(1) / self.config.per_second.max(1);
        let ahead = distance.saturating_mul(self.config.burst.max(1) - 1);
        let mut due = self.due.lock();
        let now = Instant::now();
        let wait = due.saturating_duration_since(now).saturating_sub(ahead);
        if wait > self.config.wait_max {
            return Err(KmsError::RateLimited {
                retry_in: wait.saturating_sub(self.config.wait_max),
            });
        }
        *due = (*due).max(now) + distance;
        Ok(wait)
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
        let wait = self.turn()?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        attempt().await
    }
}
