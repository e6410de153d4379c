//! [`RetryKms`]: another try for what may pass.

use super::{Call, Wrapper, limit_of};
use crate::{KeyManagementService, KmsError, Result};
use futures::future::BoxFuture;
use secretum_crypto::{RngRef, random_bytes};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How often, and how long apart.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryConfig {
    /// Tries behind the first one. Default: 3.
    pub retries_max: u32,
    /// The wait before the second try. Default: 100 ms.
    pub delay_min: Duration,
    /// The longest wait that is chosen here. Default: 10 s. A service may ask for a longer one.
    pub delay_max: Duration,
    /// How many times longer each wait is than the one before. Default: 2.
    pub factor: u32,
    /// Whether each wait is shortened at random, by up to a half, so that callers who failed together
    /// do not come back together. Default: yes.
    pub jitter: bool,
    /// The end of it all, waits and tries. Default: 30 s.
    pub deadline: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            retries_max: 3,
            delay_min: Duration::from_millis(100),
            delay_max: Duration::from_secs(10),
            factor: 2,
            jitter: true,
            deadline: Duration::from_secs(30),
        }
    }
}

/// Tries again where a service was not reached, did not answer in time, or asked to slow down. A
/// refusal is never tried again, and a rotation neither.
#[derive(Debug)]
pub struct RetryKms {
    inner: Arc<dyn KeyManagementService>,
    config: RetryConfig,
    rng: RngRef,
    retries: AtomicU64,
}

impl RetryKms {
    /// Calls of this service are tried again.
    pub fn new(inner: Arc<dyn KeyManagementService>, config: RetryConfig, rng: RngRef) -> Self {
        Self {
            inner,
            config,
            rng,
            retries: AtomicU64::new(0),
        }
    }

    /// Tries that were not the first of their call, since the start.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// The wait behind so many tries that failed.
    fn delay(&self, failed: u32) -> Duration {
        let factor = self.config.factor.max(1).saturating_pow(failed - 1);
        let delay = self.config.delay_min.saturating_mul(factor);
        let delay = delay.min(self.config.delay_max);
        if !self.config.jitter {
            return delay;
        }
        let [random] = random_bytes::<1>(self.rng.as_ref()).unwrap_or_default();
        // Between a half and the whole of it.
        delay.mul_f64(0.5 + f64::from(random) / 510.0)
    }
}

impl Wrapper for RetryKms {
    fn inner(&self) -> &dyn KeyManagementService {
        self.inner.as_ref()
    }

    async fn around<'a, T, A>(&self, call: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
    {
        let limit = limit_of(call.operation, self.config.deadline);
        let deadline = Instant::now() + limit;
        let mut failed = 0;
        loop {
            let error = match timeout_at(deadline, attempt()).await {
                Ok(Err(error)) if error.is_transient() => error,
                Ok(outcome) => return outcome,
                Err(_) => {
                    return Err(KmsError::Timeout {
                        provider: self.inner.capabilities().provider,
                        after: limit,
                    });
                }
            };
            failed += 1;
            if failed > self.config.retries_max || !call.operation.is_repeatable() {
                return Err(error);
            }
            let delay = self
                .delay(failed)
                .max(error.retry_after().unwrap_or_default());
            // A service may ask for any wait, also for one that no clock reaches the end of.
            if delay >= deadline.saturating_duration_since(Instant::now()) {
                return Err(error);
            }
            sleep(delay).await;
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }
}
