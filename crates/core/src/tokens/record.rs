//! [`TokenRecord`]: a token as it is stored.

use secretum_crypto::Timestamp;
use secretum_engine::{Fault, unreadable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The number of uses of a token whose last one is under way.
pub(super) const USED_UP: i64 = -1;

/// A token as it is stored. Times are seconds since 1970, lives are seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) accessor: String,
    /// Id of the token that made it; `None` for an orphan.
    #[serde(default)]
    pub(crate) parent: Option<String>,
    /// Sorted, without doubles.
    pub(crate) policies: Vec<String>,
    /// The path that issued it.
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) display_name: String,
    /// Uses left; 0 for any number, negative when there is none.
    #[serde(default)]
    pub(crate) num_uses: i64,
    pub(crate) created: i64,
    /// The life it was given; 0 for no end.
    pub(crate) ttl: u64,
    #[serde(default)]
    pub(crate) explicit_max_ttl: u64,
    #[serde(default)]
    pub(crate) period: u64,
    pub(crate) renewable: bool,
    /// When it ends; `None` for never.
    #[serde(default)]
    pub(crate) expires: Option<i64>,
    #[serde(default)]
    pub(crate) last_renewal: Option<i64>,
}

impl TokenRecord {
    /// Reads a stored record.
    pub(crate) fn read(value: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(value).map_err(|error| unreadable("token", &error))
    }

    /// The record as it is stored.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec(self).map_err(Fault::internal)
    }

    /// Whether its time is over, or its uses are.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.num_uses < 0
            || self
                .expires
                .is_some_and(|expires| expires <= now.unix_seconds())
    }

    /// Seconds of life left; 0 for no end.
    pub(crate) fn ttl_left(&self, now: Timestamp) -> u64 {
        self.expires.map_or(0, |expires| {
            u64::try_from(expires.saturating_sub(now.unix_seconds())).unwrap_or(0)
        })
    }

    /// Whether it is a root token.
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    /// How long it may still live when renewed now, of `wanted`.
    pub(super) fn renewed_ttl(&self, wanted: Duration, max: Duration, now: Timestamp) -> u64 {
        let age = u64::try_from(now.unix_seconds().saturating_sub(self.created)).unwrap_or(0);
        let mut ttl = wanted.as_secs();
        if self.period > 0 {
            ttl = self.period;
        } else {
            ttl = ttl.min(max.as_secs().saturating_sub(age));
        }
        if self.explicit_max_ttl > 0 {
            ttl = ttl.min(self.explicit_max_ttl.saturating_sub(age));
        }
        ttl
    }
}

/// What an accessor leads to, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AccessorRecord {
    pub(super) accessor: String,
    pub(super) id: String,
}

impl AccessorRecord {
    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(value).map_err(|error| unreadable("token", &error))
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TokenRecord {
        TokenRecord {
            accessor: "a".to_owned(),
            parent: None,
            policies: vec!["default".to_owned()],
            path: "auth/token/create".to_owned(),
            meta: BTreeMap::new(),
            display_name: "token".to_owned(),
            num_uses: 0,
            created: 1_000,
            ttl: 60,
            explicit_max_ttl: 0,
            period: 0,
            renewable: true,
            expires: Some(1_060),
            last_renewal: None,
        }
    }

    #[test]
    fn times_at_the_ends_of_time_are_told() {
        let mut record = record();
        (record.created, record.expires) = (i64::MIN, Some(i64::MIN));
        let now = Timestamp::from_unix_seconds(1_000);
        assert!(record.is_over(now));
        assert_eq!(record.ttl_left(now), 0);
        let hour = Duration::from_secs(3_600);
        assert_eq!(record.renewed_ttl(hour, hour, now), 0);
    }

    #[test]
    fn a_token_ends_at_its_second() {
        let record = record();
        assert!(!record.is_over(Timestamp::from_unix_seconds(1_059)));
        assert!(record.is_over(Timestamp::from_unix_seconds(1_060)));
        assert_eq!(record.ttl_left(Timestamp::from_unix_seconds(1_010)), 50);
    }

    #[test]
    fn renewal_stays_within_every_limit() {
        let (hour, max) = (Duration::from_secs(3_600), Duration::from_secs(7_200));
        let at = |seconds: i64| Timestamp::from_unix_seconds(1_000 + seconds);
        let mut token = record();
        assert_eq!(token.renewed_ttl(hour, max, at(30)), 3_600);
        assert_eq!(token.renewed_ttl(hour, max, at(7_000)), 200);
        assert_eq!(token.renewed_ttl(hour, max, at(9_000)), 0);
        token.explicit_max_ttl = 100;
        assert_eq!(token.renewed_ttl(hour, max, at(30)), 70);
        token.explicit_max_ttl = 0;
        token.period = 500;
        assert_eq!(token.renewed_ttl(hour, max, at(100_000)), 500);
    }
}
