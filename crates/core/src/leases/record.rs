//! [`LeaseRecord`]: a lease as it is stored.

use super::Place;
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, Lease, LeaseTerms, to_json, unreadable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What stands at the place of a lease.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stored {
    /// A token; its id is the word of the lease.
    Token,
    /// What an engine handed out.
    Secret(LeaseRecord),
}

/// What an engine handed out, as it is stored. Times are seconds since 1970, lives are seconds.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    /// Id of the token with which it ends; `None` where it ends by its time alone.
    pub(crate) token: Option<String>,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    /// The latest end, where it belongs to a token of which nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_max: Option<i64>,
    /// When something is to be done: its end, or the next try to end it. It has no such time once no
    /// more is tried.
    pub(crate) due: Option<i64>,
    #[serde(default)]
    pub(crate) last_renewal: Option<i64>,
    #[serde(default)]
    pub(crate) ttl: u64,
    #[serde(default)]
    pub(crate) max_ttl: u64,
    pub(crate) renewable: bool,
    /// What the engine needs to end it.
    pub(crate) data: Box<RawValue>,
    /// How often it could not be ended.
    #[serde(default)]
    pub(crate) failures: u32,
    /// Why not, the last time.
    #[serde(default)]
    pub(crate) failure: String,
}

/// What it holds may be secret, and is not shown.
impl std::fmt::Debug for LeaseRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseRecord")
            .field("issued", &self.issued)
            .field("expires", &self.expires)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

impl Stored {
    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(value).map_err(|error| unreadable("lease", &error))
    }

    pub(crate) fn to_bytes(&self) -> Result<bytes::Bytes, Fault> {
        to_json(self)
    }
}

impl LeaseRecord {
    /// The lease as its engine sees it.
    pub(super) fn lease(&self, place: &Place) -> Lease {
        Lease {
            path: place.split().0.to_owned(),
            terms: LeaseTerms {
                ttl: self.ttl,
                max_ttl: self.max_ttl,
            },
            data: self.data.clone(),
        }
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now.unix_seconds()
    }

    /// Whether no more is tried to end it.
    pub(crate) fn is_irrevocable(&self) -> bool {
        self.due.is_none()
    }

    /// Seconds of life left.
    pub(crate) fn ttl_left(&self, now: Timestamp) -> u64 {
        u64::try_from(self.expires.saturating_sub(now.unix_seconds())).unwrap_or(0)
    }
}
