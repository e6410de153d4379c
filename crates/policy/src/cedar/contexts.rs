//! [`Contexts`]: contexts of requests, remembered.
//!
//! Cedar makes durations, moments and addresses of texts, by regular expressions, which takes longer
//! than the evaluation of a statement. What is around requests is mostly the same.

use super::CONTEXTS_MAX;
use cedar_policy::Context;
use lru::LruCache;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// What a context is made of; what it does not have is the default.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Around {
    /// The attributes that it has.
    pub(super) attributes: u8,
    pub(super) ttl: Duration,
    pub(super) millis: i64,
    pub(super) ip: Option<IpAddr>,
    pub(super) mfa: bool,
    pub(super) wrap_ttl: Duration,
}

/// The contexts used last.
#[derive(Debug)]
pub(super) struct Contexts(Mutex<LruCache<Around, Context>>);

impl Default for Contexts {
    fn default() -> Self {
        let most = NonZeroUsize::new(CONTEXTS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(most)))
    }
}

impl Contexts {
    /// The context of this, made where it is not remembered.
    pub(super) fn get(
        &self,
        around: Around,
        make: impl FnOnce(&Around) -> Option<Context>,
    ) -> Option<Context> {
        if let Some(found) = self.0.lock().get(&around) {
            return Some(found.clone());
        }
        let made = make(&around)?;
        self.0.lock().push(around, made.clone());
        Some(made)
    }
}
