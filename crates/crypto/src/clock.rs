//! Time, as a parameter: the system's clock, or one that a test sets.

use crate::{CryptoError, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A moment, in nanoseconds since the Unix epoch.
///
/// **Shape**: in JSON an RFC 3339 text in UTC, the fraction without trailing zeros, as Go's
/// `RFC3339Nano` prints it.
///
/// **Units and limits**: nanoseconds, in years -9999 to 9999; what would leave that range stops at
/// its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The moment so many seconds after the epoch, or the nearest that can be told.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        let end = if seconds < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        Self(jiff::Timestamp::from_second(seconds).unwrap_or(end))
    }

    /// The moment so many nanoseconds after the epoch.
    pub fn from_unix_nanos(nanos: i64) -> Self {
        // Every number of them is a moment between 1677 and 2262.
        Self(jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(jiff::Timestamp::MAX))
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub fn unix_seconds(self) -> i64 {
        let whole = self.0.as_second();
        if self.0.subsec_nanosecond() < 0 {
            whole.saturating_sub(1)
        } else {
            whole
        }
    }

    /// Nanoseconds since the epoch; before 1677 and behind 2262 the first and the last that can be
    /// counted.
    pub fn unix_nanos(self) -> i64 {
        let nanos = self.0.as_nanosecond();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// The moment so much later, or the last that can be told.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.checked_add(duration).unwrap_or(jiff::Timestamp::MAX))
    }

    /// The moment so much earlier, or the first that can be told.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.checked_sub(duration).unwrap_or(jiff::Timestamp::MIN))
    }

    /// How long ago `earlier` was; nothing when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0
            .duration_since(earlier.0)
            .try_into()
            .unwrap_or(Duration::ZERO)
    }

    /// RFC 3339 in UTC with `Z`, the fraction without trailing zeros.
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// Reads an RFC 3339 text with any offset; digits beyond the nanosecond are dropped.
    ///
    /// **Errors**: [`CryptoError::Time`] for anything else, a leap second (`:60`) included.
    pub fn parse_rfc3339(text: &str) -> Result<Self> {
        let refused = || CryptoError::Time(text.to_owned());
        let text = rfc3339_to_the_nanosecond(text).ok_or_else(refused)?;
        text.parse().map(Self).map_err(|_| refused())
    }
}

/// The text, when it has the form of RFC 3339, with at most nine digits of fraction.
///
/// The library's own parser takes more forms than clients of Vault may send.
fn rfc3339_to_the_nanosecond(text: &str) -> Option<String> {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let (whole, rest) = text.split_at_checked(FORM.len())?;
    let fits = |(byte, form): (u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        form => byte == *form,
    };
    if !whole.bytes().zip(FORM).all(fits) || whole.ends_with("60") {
        return None;
    }
    let offset_at = rest.find(['Z', '+', '-'])?;
    let (fraction, offset) = rest.split_at_checked(offset_at)?;
    let offset_fits =
        offset == "Z" || offset.len() == 6 && offset.bytes().skip(1).zip(b"dd:dd").all(fits);
    if !offset_fits {
        return None;
    }
    if fraction.is_empty() {
        return Some(text.to_owned());
    }
    let digits = fraction.strip_prefix('.')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(format!(
        "{whole}.{}{offset}",
        digits.get(..9).unwrap_or(digits)
    ))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(de::Error::custom)
    }
}

/// A source of the present moment.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// A clock that many share.
pub type ClockRef = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now())
    }
}

/// A clock that stands still until it is set. **For tests only.**
#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// A clock that shows this moment.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock() = now;
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        *now = now.plus(by);
    }
}

impl Default for TestClock {
    /// A clock that shows 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(Timestamp::from_unix_seconds(1_767_225_600))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn prints_as_go_does() {
        assert_eq!(Timestamp::UNIX_EPOCH.to_rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(
            at("2026-11-02T03:04:05.120000000Z").to_rfc3339(),
            "2026-11-02T03:04:05.12Z"
        );
        assert_eq!(
            at("2026-11-02T03:04:05.000000001Z").to_rfc3339(),
            "2026-11-02T03:04:05.000000001Z"
        );
        assert_eq!(
            at("0001-01-01T00:00:00Z").to_rfc3339(),
            "0001-01-01T00:00:00Z"
        );
        assert_eq!(
            TestClock::default().now().to_rfc3339(),
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn reads_offsets_and_long_fractions() {
        assert_eq!(at("2026-11-02T05:04:05+02:00"), at("2026-11-02T03:04:05Z"));
        assert_eq!(
            at("2026-11-02T03:04:05.1234567899Z").unix_nanos() % 1_000_000_000,
            123_456_789
        );
    }

    #[test]
    fn refuses_what_is_not_rfc_3339() {
        for text in [
            "",
            "2026-11-02",
            "2026-11-02T03:04:05",
            "2026-11-02 03:04:05Z",
            "20261102T030405Z",
            "2026-13-02T03:04:05Z",
            "2026-02-30T03:04:05Z",
            "2026-11-02T24:04:05Z",
            "2026-11-02T03:04:60Z",
            "2026-11-02T03:04:05.Z",
            "2026-11-02T03:04:05+0200",
            "2026-11-02T03:04:05Z[UTC]",
            "2026-11-02T03:04:05+é:00",
            "2026-11-02t03:04:05z",
        ] {
            assert!(Timestamp::parse_rfc3339(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let now = at("2026-01-01T00:00:00Z");
        let later = now.plus(Duration::from_millis(1500));
        assert_eq!(later.since(now), Duration::from_millis(1500));
        assert_eq!(now.since(later), Duration::ZERO);
        assert_eq!(later.minus(Duration::from_millis(1500)), now);
        assert_eq!(now.plus(Duration::MAX).0, jiff::Timestamp::MAX);
        assert_eq!(now.minus(Duration::MAX).0, jiff::Timestamp::MIN);
        assert_eq!(
            Timestamp::from_unix_seconds(i64::MIN).0,
            jiff::Timestamp::MIN
        );
        for nanos in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(Timestamp::from_unix_nanos(nanos).unix_nanos(), nanos);
        }
        assert_eq!(Timestamp(jiff::Timestamp::MIN).unix_nanos(), i64::MIN);
        assert_eq!(Timestamp(jiff::Timestamp::MAX).unix_nanos(), i64::MAX);
        assert_eq!(
            Timestamp::from_unix_seconds(i64::MAX).0,
            jiff::Timestamp::MAX
        );
    }

    #[test]
    fn seconds_round_towards_the_past() {
        assert_eq!(Timestamp::from_unix_nanos(1_999_999_999).unix_seconds(), 1);
        assert_eq!(Timestamp::from_unix_nanos(-1).unix_seconds(), -1);
        assert_eq!(
            Timestamp::from_unix_nanos(-1_000_000_000).unix_seconds(),
            -1
        );
    }

    #[test]
    fn is_a_text_in_json() {
        let now = at("2026-11-02T03:04:05.5Z");
        let json = serde_json::to_string(&now).unwrap();
        assert_eq!(json, "\"2026-11-02T03:04:05.5Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), now);
        assert!(serde_json::from_str::<Timestamp>("\"soon\"").is_err());
    }

    #[test]
    fn a_test_clock_moves_when_told() {
        let clock = TestClock::new(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now().unix_seconds(), 60);
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert!(SystemClock.now() > at("2025-01-01T00:00:00Z"));
    }
}
