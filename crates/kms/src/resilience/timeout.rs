//! [`TimeoutKms`]: no try without an end.

use super::{Call, Wrapper, limit_of};
use crate::{KeyManagementService, KmsError, Result};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Ends each call after a time.
#[derive(Debug, Clone)]
pub struct TimeoutKms {
    inner: Arc<dyn KeyManagementService>,
    limit: Duration,
}

impl TimeoutKms {
    /// Calls of this service end after `limit`; rotations not before 20 seconds.
    pub fn new(inner: Arc<dyn KeyManagementService>, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl Wrapper for TimeoutKms {
    fn inner(&self) -> &dyn KeyManagementService {
        self.inner.as_ref()
    }

    async fn around<'a, T, A>(&self, call: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
    {
        let limit = limit_of(call.operation, self.limit);
        let outcome = tokio::time::timeout(limit, attempt()).await;
        outcome.unwrap_or_else(|_| {
            Err(KmsError::Timeout {
                provider: self.inner.capabilities().provider,
                after: limit,
            })
        })
    }
}
