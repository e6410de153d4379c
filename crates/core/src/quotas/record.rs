//! Quotas as they are stored.

use crate::limits::{check, check_life};
use secretum_engine::Fault;
use serde::{Deserialize, Serialize};

/// How many paths may be exempt from rate limits.
const EXEMPT_PATHS_MAX: usize = 256;

/// The paths that no rate limit holds for where none are named: who cannot use these cannot mend a vault.
const EXEMPT_PATHS: [&str; 7] = [
    "sys/generate-recovery-token/attempt",
    "sys/generate-recovery-token/update",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/seal-status",
    "sys/unseal",
];

/// What a quota limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Requests of an address in a time.
    RateLimit,
    /// Leases at a time.
    LeaseCount,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::RateLimit, Self::LeaseCount];

    /// The word for it on the wire and in keys.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate-limit",
            Self::LeaseCount => "lease-count",
        }
    }
}

/// How much a quota allows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    /// Requests.
    Rate(Rate),
    /// Leases.
    Leases {
        /// The most.
        most: u64,
    },
}

/// How many requests an address may make. Times are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// So many in an interval.
    pub(crate) requests: f64,
    pub(crate) interval: u64,
    /// Who made more is refused for so long; 0 for until there is room again.
    pub(crate) block: u64,
}

/// A quota as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuotaRecord {
    /// Path of the mount that it is of; empty for all.
    pub(crate) mount: String,
    /// The path below it, or with `*` at its end what it begins with; empty for all of the mount.
    pub(crate) below: String,
    pub(crate) limit: Limit,
    pub(crate) inheritable: bool,
}

/// What holds of all quotas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuotaConfig {
    /// Whether refused requests are recorded.
    pub(crate) audit_logging: bool,
    /// Whether answers tell of the limit.
    pub(crate) response_headers: bool,
    /// Paths that no rate limit holds for; with `*` at its end what one begins with.
    pub(crate) exempt_paths: Vec<String>,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            audit_logging: false,
            response_headers: false,
            exempt_paths: EXEMPT_PATHS.map(str::to_owned).to_vec(),
        }
    }
}

impl QuotaConfig {
    /// Whether no rate limit holds for a path.
    pub(super) fn exempts(&self, path: &str) -> bool {
        let mut exempt = self.exempt_paths.iter();
        exempt.any(|exempt| super::is_of(exempt, path))
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        check(
            self.exempt_paths.len() <= EXEMPT_PATHS_MAX
                && self.exempt_paths.iter().all(|path| !path.is_empty()),
            || format!("at most {EXEMPT_PATHS_MAX} paths are exempt, and none is empty"),
        )
    }
}

impl QuotaRecord {
    /// Whether it is of the same requests as another one.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        (&self.mount, &self.below) == (&other.mount, &other.below)
    }
}

impl Limit {
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Rate(rate) => {
                if !rate.requests.is_finite() || rate.requests <= 0.0 || rate.requests > 1e9 {
                    return Err(Fault::invalid("'rate' is invalid"));
                }
                check(rate.interval > 0, || "'interval' is invalid".to_owned())?;
                check_life("interval", rate.interval)?;
                check_life("block_interval", rate.block)
            }
            Self::Leases { most } => check(*most > 0, || "'max_leases' is invalid".to_owned()),
        }
    }
}
