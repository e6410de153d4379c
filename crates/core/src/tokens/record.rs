//! [`TokenRecord`]: a token as it is stored.

use crate::life::Bounds;
use secretum_api::fields::AddressRange;
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, unreadable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The number of uses of a token whose last one is under way.
pub(super) const USED_UP: i64 = -1;

/// How a token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    /// As a record of its own.
    #[default]
    Service,
    /// Nowhere: its text is its record, encrypted.
    Batch,
}

impl TokenKind {
    /// The word for it on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Batch => "batch",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_service(&self) -> bool {
        *self == Self::Service
    }
}

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
    /// The entity that it belongs to; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) entity_id: String,
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
    #[serde(default, skip_serializing_if = "TokenKind::is_service")]
    pub(crate) kind: TokenKind,
    /// The role that made it; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) role: String,
    /// Where it can be used from; anywhere where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) bound_cidrs: Vec<AddressRange>,
    /// UUID of the mount that issued it and the path there, where it stands among leases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<String>,
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

    /// Whether it can be used from an address; one that is bound, not from one that is not known.
    pub(crate) fn is_usable_from(&self, address: Option<IpAddr>) -> bool {
        let allowed = |address| self.bound_cidrs.iter().any(|range| range.contains(address));
        self.bound_cidrs.is_empty() || address.is_some_and(allowed)
    }

    /// Whether it is a root token.
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    /// The life that it was given last, of which this is the end.
    pub(super) fn last_life(&self, expires: i64) -> u64 {
        let since = self.last_renewal.unwrap_or(self.created);
        u64::try_from(expires.saturating_sub(since)).unwrap_or(0)
    }

    /// What bounds its life when it is renewed now.
    pub(super) fn bounds(&self, now: Timestamp) -> Bounds {
        let age = now.unix_seconds().saturating_sub(self.created);
        Bounds {
            explicit_max: self.explicit_max_ttl,
            period: self.period,
            age: u64::try_from(age).unwrap_or(0),
        }
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
            entity_id: "entity-1".to_owned(),
            num_uses: 0,
            created: 1_000,
            ttl: 60,
            explicit_max_ttl: 0,
            period: 0,
            renewable: true,
            expires: Some(1_060),
            last_renewal: None,
            kind: TokenKind::Service,
            role: String::new(),
            bound_cidrs: Vec::new(),
            lease: None,
        }
    }

    #[test]
    fn times_at_the_ends_of_time_are_told() {
        let mut record = record();
        (record.created, record.expires) = (i64::MIN, Some(i64::MIN));
        let now = Timestamp::from_unix_seconds(1_000);
        assert!(record.is_over(now));
        assert_eq!(record.ttl_left(now), 0);
        assert_eq!(record.last_life(i64::MIN), 0);
        assert_eq!(record.bounds(now).age, i64::MAX.unsigned_abs());
    }

    #[test]
    fn a_token_ends_at_its_second() {
        let record = record();
        assert!(!record.is_over(Timestamp::from_unix_seconds(1_059)));
        assert!(record.is_over(Timestamp::from_unix_seconds(1_060)));
        assert_eq!(record.ttl_left(Timestamp::from_unix_seconds(1_010)), 50);
    }

    #[test]
    fn the_last_life_is_that_of_the_last_renewal() {
        let mut record = record();
        assert_eq!(record.last_life(1_060), 60);
        record.last_renewal = Some(1_050);
        assert_eq!(record.last_life(1_350), 300);
    }
}
