//! Wrappers that keep an application going while a key service does not.
//!
//! Each is a [`KeyManagementService`] over another one. [`ResilientKms`] puts them together in the one
//! order in which they make sense, outermost first:
//!
//! 1. **audit and metrics** ([`AuditedKms`]): every call, also one that a cache answers or a limit
//!    refuses;
//! 2. **rate limit** ([`RateLimitKms`]): what the application may ask for, cached or not;
//! 3. **cache** ([`CachedKms`]): opened data keys; it answers while the service rests;
//! 4. **circuit breaker** ([`CircuitBreakerKms`]): gives a failing service a rest. It counts a call
//!    that failed after all its tries as one;
//! 5. **retry** ([`RetryKms`]): tries again what may pass, within a deadline;
//! 6. **timeout** ([`TimeoutKms`]): bounds each try;
//! 7. the provider.

mod audit;
mod breaker;
mod cache;
mod metrics;
mod rate_limit;
mod retry;
mod stack;
mod timeout;
mod wrapper;

pub(crate) use self::audit::recorded;
pub use self::audit::{
    AuditedKms, AuditedOrigin, CANCELLED, KmsAuditEvent, KmsAuditSink, SinkError,
};
pub use self::breaker::{CircuitBreakerConfig, CircuitBreakerKms, CircuitState};
pub use self::cache::{CacheStats, CachedKms, KmsCacheConfig};
pub use self::metrics::{DURATION_BUCKETS_US, KmsMetrics, KmsMetricsSnapshot, OperationMetrics};
pub use self::rate_limit::{RateLimitConfig, RateLimitKms};
pub use self::retry::{RetryConfig, RetryKms};
pub use self::stack::{Observers, ResilientKms, ResilientKmsConfig};
pub use self::timeout::TimeoutKms;
pub use self::wrapper::{Call, Wrapper};

#[cfg(doc)]
use crate::KeyManagementService;
use crate::KmsOperation;
use std::time::Duration;

/// What a rotation has at least: a service may make the new version behind its answer, which is waited
/// for, and one that is cut off leaves a version that never encrypts.
const ROTATION_LIMIT_MIN: Duration = Duration::from_secs(20);

/// The time of an operation, where calls are given this one.
fn limit_of(operation: KmsOperation, limit: Duration) -> Duration {
    match operation {
        KmsOperation::RotateKey => limit.max(ROTATION_LIMIT_MIN),
        _ => limit,
    }
}

#[cfg(feature = "local")]
#[cfg(test)]
mod tests;
