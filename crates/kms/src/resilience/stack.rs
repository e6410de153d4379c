//! [`ResilientKms`]: every wrapper, in the one order.

use super::{
    AuditedKms, CacheStats, CachedKms, Call, CircuitBreakerConfig, CircuitBreakerKms, CircuitState,
    KmsAuditSink, KmsCacheConfig, KmsMetrics, RateLimitConfig, RateLimitKms, RetryConfig, RetryKms,
    TimeoutKms, Wrapper,
};
use crate::{KeyId, KeyInfo, KeyManagementService, Provider, Result};
use futures::future::BoxFuture;
use secretum_crypto::{ClockRef, RngRef, SystemClock, SystemRng};
use std::sync::Arc;
use std::time::Duration;

/// Which wrappers, and their settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ResilientKmsConfig {
    /// The longest that one try takes.
    pub timeout: Duration,
    /// Trying again.
    pub retry: RetryConfig,
    /// The circuit breaker, or none.
    pub breaker: Option<CircuitBreakerConfig>,
    /// The cache of data keys, or none.
    pub cache: Option<KmsCacheConfig>,
    /// The rate limit, or none.
    pub rate_limit: Option<RateLimitConfig>,
}

impl ResilientKmsConfig {
    /// For development: what is wrong is told at once.
    pub fn development() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            retry: RetryConfig {
                retries_max: 1,
                deadline: Duration::from_secs(10),
                ..RetryConfig::default()
            },
            breaker: None,
            cache: None,
            rate_limit: None,
        }
    }

    /// For production: the defaults of each wrapper.
    pub fn production() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            retry: RetryConfig::default(),
            breaker: Some(CircuitBreakerConfig::default()),
            cache: Some(KmsCacheConfig::default()),
            rate_limit: None,
        }
    }

    /// For where an application must go on while its key service is away: more is kept and for
    /// longer, it is tried more often, and the breaker opens sooner and for a shorter time.
    pub fn high_availability() -> Self {
        Self {
            timeout: Duration::from_secs(3),
            retry: RetryConfig {
                retries_max: 5,
                delay_max: Duration::from_secs(5),
                ..RetryConfig::default()
            },
            breaker: Some(CircuitBreakerConfig {
                failures_to_open: 3,
                open_for: Duration::from_secs(10),
                successes_to_close: 2,
                probes_max: 2,
            }),
            cache: Some(KmsCacheConfig {
                entries_max: 10_000,
                ttl: Duration::from_secs(900),
                ..KmsCacheConfig::default()
            }),
            rate_limit: None,
        }
    }
}

/// Who is told of calls, and by which clock.
#[derive(Debug, Clone)]
pub struct Observers {
    /// They take the audit records.
    pub sinks: Vec<Arc<dyn KmsAuditSink>>,
    /// Who asks, where nobody is named by [`ResilientKms::for_caller`].
    pub caller: Option<String>,
    /// They count calls.
    pub metrics: Arc<KmsMetrics>,
    /// The time of the records.
    pub clock: ClockRef,
    /// The jitter of waits.
    pub rng: RngRef,
}

impl Default for Observers {
    /// Nobody takes records; calls are counted.
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            caller: None,
            metrics: Arc::new(KmsMetrics::new()),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        }
    }
}

/// A service with every wrapper that its configuration names.
#[derive(Debug, Clone)]
pub struct ResilientKms {
    outermost: AuditedKms,
    cache: Option<Arc<CachedKms>>,
    breaker: Option<Arc<CircuitBreakerKms>>,
    retry: Arc<RetryKms>,
    metrics: Arc<KmsMetrics>,
}

impl ResilientKms {
    /// Puts the wrappers over this service.
    pub fn new(
        inner: Arc<dyn KeyManagementService>,
        config: ResilientKmsConfig,
        observers: Observers,
    ) -> Self {
        let timeout = Arc::new(TimeoutKms::new(inner, config.timeout));
        let retry = Arc::new(RetryKms::new(timeout, config.retry, observers.rng));
        let mut top: Arc<dyn KeyManagementService> = Arc::clone(&retry) as _;
        let breaker = config.breaker.map(|breaker| {
            let breaker = Arc::new(CircuitBreakerKms::new(Arc::clone(&top), breaker));
            top = Arc::clone(&breaker) as _;
            breaker
        });
        let cache = config.cache.map(|cache| {
            let cache = Arc::new(CachedKms::new(Arc::clone(&top), cache));
            top = Arc::clone(&cache) as _;
            cache
        });
        if let Some(limit) = config.rate_limit {
            top = Arc::new(RateLimitKms::new(top, limit));
        }
        let metrics = observers.metrics;
        let (sinks, clock) = (observers.sinks, observers.clock);
        let mut outermost = AuditedKms::new(top, sinks, Arc::clone(&metrics), clock);
        if let Some(caller) = observers.caller {
            outermost = outermost.for_caller(&caller);
        }
        Self {
            outermost,
            cache,
            breaker,
            retry,
            metrics,
        }
    }

    /// The same service, as this caller asks for it.
    #[must_use]
    pub fn for_caller(&self, caller: &str) -> Self {
        Self {
            outermost: self.outermost.for_caller(caller),
            ..self.clone()
        }
    }

    /// Has a provider make a key, and records it as every call. None of the wrappers but the audit stands
    /// around it: a key is not made twice.
    ///
    /// **Errors**: as [`AuditedKms::create_key`].
    pub async fn create_key(&self, maker: &dyn Provider, key: &KeyId) -> Result<KeyInfo> {
        self.outermost.create_key(maker, key).await
    }

    /// What the cache did, where there is one.
    pub fn cache_stats(&self) -> Option<CacheStats> {
        self.cache.as_ref().map(|cache| cache.stats())
    }

    /// The state of the circuit, where there is a breaker.
    pub fn circuit_state(&self) -> Option<CircuitState> {
        self.breaker.as_ref().map(|breaker| breaker.state())
    }

    /// Tries that were not the first of their call.
    pub fn retries(&self) -> u64 {
        self.retry.retries()
    }

    /// The counts of calls.
    pub fn metrics(&self) -> &KmsMetrics {
        &self.metrics
    }
}

impl Wrapper for ResilientKms {
    fn inner(&self) -> &dyn KeyManagementService {
        &self.outermost
    }

    async fn around<'a, T, A>(&self, _: Call<'_>, attempt: A) -> Result<T>
    where
        T: Send + 'a,
        A: Fn() -> BoxFuture<'a, Result<T>> + Send + Sync,
    {
        attempt().await
    }
}
