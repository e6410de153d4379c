//! The wrappers, over a real provider that fails as a test says.

use super::*;
use crate::test_keys::{context, id, local};
use crate::{
    Ciphertext, DataEncryptionKey, DataKeySpec, EncryptedEnvelope, KeyManagementService, KmsError,
    KmsOperation, Result,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use secretum_crypto::{SystemRng, TestClock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

mod audit;
mod breaker;
mod cache;
mod retry;
mod spans;
mod stack;

/// What a call meets before it reaches the provider.
#[derive(Debug, Clone)]
pub(super) enum Weather {
    Fine,
    /// It takes this long.
    Slow(Duration),
    /// It fails so.
    Fault(KmsError),
}

/// A service in such weather; fine behind the end of the forecast.
#[derive(Debug)]
pub(super) struct Weathered {
    inner: crate::ProviderKms,
    forecast: Mutex<VecDeque<Weather>>,
    calls: AtomicU32,
    at_once: AtomicU32,
    most_at_once: AtomicU32,
}

impl Weathered {
    fn new(forecast: impl IntoIterator<Item = Weather>) -> Arc<Self> {
        Arc::new(Self {
            inner: local(),
            forecast: Mutex::new(forecast.into_iter().collect()),
            calls: AtomicU32::new(0),
            at_once: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
        })
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    fn expect(&self, weather: Weather) {
        self.forecast.lock().push_back(weather);
    }
}

impl Wrapper for Weathered {
    fn inner(&self) -> &dyn KeyManagementService {
        &self.inner
    }

    async fn around<'a, T, A>(&self, _: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> futures::future::BoxFuture<'a, Result<T>> + Send + Sync,
    {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let weather = self.forecast.lock().pop_front().unwrap_or(Weather::Fine);
        let outcome = match weather {
            Weather::Fine => attempt().await,
            Weather::Slow(time) => {
                tokio::time::sleep(time).await;
                attempt().await
            }
            Weather::Fault(error) => Err(error),
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}

fn away() -> Weather {
    Weather::Fault(KmsError::Unavailable {
        provider: "local",
        reason: "connection refused".to_owned(),
        source: None,
    })
}

fn throttled(retry_after: Option<Duration>) -> Weather {
    Weather::Fault(KmsError::Throttled {
        provider: "local",
        retry_after,
    })
}

fn refused() -> Weather {
    Weather::Fault(KmsError::NotAuthentic { key: id("k") })
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn encrypt(kms: &dyn KeyManagementService) -> Result<Ciphertext> {
    kms.encrypt(&id("k"), b"x", &context("")).await
}
