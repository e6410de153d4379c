//! [`RateLimit`]: how many requests each address may make.

use super::record::Rate;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use lru::LruCache;
use parking_lot::Mutex;
use secretum_crypto::Timestamp;
use secretum_engine::RateFacts;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// So many addresses are told apart at a time; those beyond share one limit.
const ADDRESSES_MAX: usize = 100_000;

/// After so many requests it is looked whether there is room for more addresses.
const LOOKED_EACH: u64 = 4_096;

/// So many addresses are blocked at a time; of more, those longest ago may ask again.
const BLOCKED_MAX: NonZeroUsize = match NonZeroUsize::new(65_536) {
    Some(most) => most,
    None => NonZeroUsize::MIN,
};

/// Stands for requests of which the address is not known, and for those of too many addresses.
const SHARED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The time of the request that is being looked at.
#[derive(Debug, Clone, Default)]
struct Now(Arc<AtomicI64>);

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

type Limiter = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, Now, StateInformationMiddleware>;

/// A limit, and what each address has used of it.
pub(super) struct RateLimit {
    rate: Rate,
    now: Now,
    limiter: Limiter,
    asked: AtomicU64,
    is_full: AtomicBool,
    /// Until when, in nanoseconds since 1970.
    blocked: Mutex<LruCache<IpAddr, i64>>,
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl RateLimit {
    pub(super) fn new(rate: Rate) -> Self {
        let now = Now::default();
        let store = DefaultKeyedStateStore::default();
        Self {
            rate,
            limiter: Limiter::new(quota(rate), store, now.clone()),
            now,
            asked: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            blocked: Mutex::new(LruCache::new(BLOCKED_MAX)),
        }
    }

    /// Takes one request of an address, and says what is left; where nothing is, when to come again.
    pub(super) fn admit(
        &self,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<RateFacts, RateFacts> {
        let nanos = now.unix_nanos();
        // Time goes on only, also where the clock is set back.
        self.now.0.fetch_max(nanos, Ordering::Relaxed);
        let address = self.told_apart(address);
        if let Some(until) = self.blocked_until(address, nanos) {
            return Err(self.refused(Duration::from_nanos(until.abs_diff(nanos))));
        }
        match self.limiter.check_key(&address) {
            Ok(left) => Ok(RateFacts {
                limit: u64::from(left.quota().burst_size().get()),
                remaining: u64::from(left.remaining_burst_capacity()),
                wait_seconds: 0,
                shows: true,
            }),
            Err(not_until) => {
                let mut wait = not_until.wait_time_from(self.now.now());
                if self.rate.block > 0 {
                    wait = Duration::from_secs(self.rate.block);
                    let until = now.plus(wait).unix_nanos();
                    self.blocked.lock().put(address, until);
                }
                Err(self.refused(wait))
            }
        }
    }

    fn refused(&self, wait: Duration) -> RateFacts {
        RateFacts {
            limit: u64::from(burst(self.rate).get()),
            remaining: 0,
            // Who comes a moment too early waits again.
            wait_seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
            shows: true,
        }
    }

    fn blocked_until(&self, address: IpAddr, now: i64) -> Option<i64> {
        if self.rate.block == 0 {
            return None;
        }
        let mut blocked = self.blocked.lock();
        let until = *blocked.get(&address)?;
        if until <= now {
            blocked.pop(&address);
            return None;
        }
        Some(until)
    }

    /// What stands for an address: who has one of version 6 has a network of them.
    fn told_apart(&self, address: Option<IpAddr>) -> IpAddr {
        if self
            .asked
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(LOOKED_EACH)
        {
            self.limiter.retain_recent();
            let is_full = self.limiter.len() >= ADDRESSES_MAX;
            self.is_full.store(is_full, Ordering::Relaxed);
        }
        match address {
            Some(_) if self.is_full.load(Ordering::Relaxed) => SHARED,
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            Some(address) => address,
            None => SHARED,
        }
    }
}

/// How many requests may come at once.
fn burst(rate: Rate) -> NonZeroU32 {
    let whole = rate.requests.ceil().clamp(1.0, f64::from(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was clamped to what fits"
    )]
    NonZeroU32::new(whole as u32).unwrap_or(NonZeroU32::MIN)
}

fn quota(rate: Rate) -> Quota {
    let seconds = Duration::from_secs(rate.interval).as_secs_f64() / rate.requests;
    let period = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let period = period.max(Duration::from_nanos(1));
    let quota = Quota::with_period(period).unwrap_or(Quota::per_second(burst(rate)));
    quota.allow_burst(burst(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn limit(requests: f64, interval: u64, block: u64) -> RateLimit {
        RateLimit::new(Rate {
            requests,
            interval,
            block,
        })
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_address_has_its_own_and_gets_it_back() {
        let limit = limit(3.0, 60, 0);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for left in [2, 1, 0] {
            assert_eq!(limit.admit(one, at(0)).unwrap().remaining, left);
        }
        let refused = limit.admit(one, at(0)).unwrap_err();
        assert_eq!((refused.limit, refused.wait_seconds), (3, 20));
        assert!(limit.admit(other, at(0)).is_ok());
        assert!(limit.admit(one, at(19)).is_err());
        assert!(limit.admit(one, at(20)).is_ok());
        assert!(limit.admit(one, at(20)).is_err());
    }

    #[test]
    fn a_network_of_version_6_is_one_caller() {
        let limit = limit(1.0, 60, 0);
        assert!(limit.admit(address("2001:db8::1"), at(0)).is_ok());
        assert!(limit.admit(address("2001:db8::2"), at(0)).is_err());
        assert!(limit.admit(address("2001:db8:1::1"), at(0)).is_ok());
    }

    #[test]
    fn who_asked_too_much_is_blocked_for_a_time() {
        let limit = limit(1.0, 1, 60);
        let one = address("192.0.2.1");
        limit.admit(one, at(0)).unwrap();
        assert_eq!(limit.admit(one, at(0)).unwrap_err().wait_seconds, 60);
        assert_eq!(limit.admit(one, at(50)).unwrap_err().wait_seconds, 10);
        assert!(limit.admit(one, at(60)).is_ok());
    }

    #[test]
    fn less_than_one_in_an_interval_and_very_many_are_limits_too() {
        let limit_of_half = limit(0.5, 1, 0);
        assert!(limit_of_half.admit(None, at(0)).is_ok());
        assert!(limit_of_half.admit(None, at(1)).is_err());
        assert!(limit_of_half.admit(None, at(2)).is_ok());
        let many = limit(1e9, 1, 0);
        assert!(many.admit(None, at(0)).is_ok());
    }

    #[test]
    fn callers_beyond_those_told_apart_share_a_limit() {
        let limit = limit(1.0, 600, 0);
        let of = |number: u32| Some(IpAddr::V4(Ipv4Addr::from_bits(number)));
        let callers = u32::try_from(2 * ADDRESSES_MAX).unwrap();
        let slack = usize::try_from(2 * LOOKED_EACH).unwrap();
        let refused = (1..=callers).filter(|number| limit.admit(of(*number), at(0)).is_err());
        assert!(refused.count() > ADDRESSES_MAX - slack);
        assert!(limit.limiter.len() < ADDRESSES_MAX + slack);
    }
}
