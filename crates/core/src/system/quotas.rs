//! `sys/quotas`.

use super::{Sys, System};
use crate::active::Active;
use crate::quotas::{Kind, Limit, QuotaConfig, QuotaRecord, Quotas, Rate};
use schemars::JsonSchema;
use secretum_api::fields::{CommaList, Seconds};
use secretum_engine::{Context, Fault, Handle, Listing, Reply, listing};
use serde::{Deserialize, Serialize};

/// Reads what holds of all quotas.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadConfig {}

/// Changes what holds of all quotas.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteConfig {
    /// Whether requests that a rate limit refused are recorded by audit devices.
    #[serde(default)]
    enable_rate_limit_audit_logging: bool,
    /// Whether answers tell of the rate limit in headers.
    #[serde(default)]
    enable_rate_limit_response_headers: bool,
    /// Paths that no rate limit holds for; with `*` at its end what one begins with.
    #[serde(default)]
    rate_limit_exempt_paths: CommaList,
}

/// Lists the rate limits.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListRates {}

/// Lists the lease counts.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListCounts {}

/// Reads a rate limit.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadRate {
    /// Name of the quota.
    name: String,
}

/// Reads a lease count.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadCount {
    /// Name of the quota.
    name: String,
}

/// Removes a rate limit.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteRate {
    /// Name of the quota.
    name: String,
}

/// Removes a lease count.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteCount {
    /// Name of the quota.
    name: String,
}

/// Limits how many requests an address may make.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteRate {
    /// Name of the quota.
    name: String,
    /// A mount, and a path below it, which may end in `*`; everything where it is missing.
    #[serde(default)]
    path: String,
    /// Not served by this version.
    #[serde(default)]
    role: String,
    /// How many requests in an interval.
    #[serde(default)]
    rate: f64,
    /// The interval; a second where it is missing.
    #[serde(default)]
    interval: Seconds,
    /// How long who made more is refused.
    #[serde(default)]
    block_interval: Seconds,
    /// Kept; there are no namespaces below.
    #[serde(default)]
    inheritable: Option<bool>,
    /// Accepted for compatibility.
    #[serde(rename = "type", default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    kind: String,
}

/// Limits how many leases there may be. Tokens that an auth method issued for a time are leases of it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteCount {
    /// Name of the quota.
    name: String,
    /// A mount, and a path below it, which may end in `*`; everything where it is missing.
    #[serde(default)]
    path: String,
    /// Not served by this version.
    #[serde(default)]
    role: String,
    /// How many leases.
    #[serde(default)]
    max_leases: u64,
    /// Kept; there are no namespaces below.
    #[serde(default)]
    inheritable: Option<bool>,
    /// Accepted for compatibility.
    #[serde(rename = "type", default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    kind: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Config {
    enable_rate_limit_audit_logging: bool,
    enable_rate_limit_response_headers: bool,
    rate_limit_exempt_paths: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Facts {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    path: String,
    role: String,
    inheritable: bool,
    #[serde(flatten)]
    limit: LimitFacts,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum LimitFacts {
    Rate {
        rate: f64,
        interval: u64,
        block_interval: u64,
    },
    Leases {
        max_leases: u64,
        /// How many there are; null while they are being counted.
        counter: Option<u64>,
    },
}

/// What a quota is of: a mount, and a path below it.
fn scope(active: &Active, path: &str, role: &str) -> Result<(String, String), Fault> {
    if !role.is_empty() {
        return Err(Fault::invalid(
            "quotas of a role are not served by this version: leave `role` out",
        ));
    }
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok((String::new(), String::new()));
    }
    let unknown = || Fault::invalid(format!("invalid mount path {path:?}"));
    let with_slash = format!("{path}/");
    let (mount, below) = active.mounts.find(&with_slash).ok_or_else(unknown)?;
    Ok((
        mount.path.to_string(),
        below.trim_end_matches('/').to_owned(),
    ))
}

/// Makes or changes a quota.
async fn write(
    context: &Context,
    kind: Kind,
    name: &str,
    (path, role): (&str, &str),
    (limit, inheritable): (Limit, Option<bool>),
) -> Result<Reply<()>, Fault> {
    let active = &System::of(context)?.active;
    let (mount, below) = scope(active, path, role)?;
    let record = QuotaRecord {
        inheritable: inheritable.unwrap_or(mount.is_empty()),
        mount,
        below,
        limit,
    };
    Ok(Reply::wrote(
        active.quotas.prepare(active, (kind, name), &record).await?,
    ))
}

fn read(context: &Context, kind: Kind, name: String) -> Result<Reply<Facts>, Fault> {
    let quotas = &System::of(context)?.active.quotas;
    let record = quotas.get(kind, &name).ok_or(Fault::NotFound)?;
    let limit = match record.limit {
        Limit::Rate(rate) => LimitFacts::Rate {
            rate: rate.requests,
            interval: rate.interval,
            block_interval: rate.block,
        },
        Limit::Leases { most } => LimitFacts::Leases {
            max_leases: most,
            counter: quotas.leases_of(&record),
        },
    };
    Ok(Reply::data(Facts {
        kind: kind.as_str(),
        name,
        path: record.mount + &record.below,
        role: String::new(),
        inheritable: record.inheritable,
        limit,
    }))
}

fn list(context: &Context, kind: Kind) -> Result<Reply<Listing>, Fault> {
    listing(System::of(context)?.active.quotas.names(kind))
}

fn delete(kind: Kind, name: &str) -> Result<Reply<()>, Fault> {
    Ok(Reply::wrote(Quotas::prepare_removal(kind, name)?))
}

handler!(ListRates, Listing, _ask, context => list(context, Kind::RateLimit));
handler!(ListCounts, Listing, _ask, context => list(context, Kind::LeaseCount));
handler!(ReadRate, Facts, ask, context => read(context, Kind::RateLimit, ask.name));
handler!(ReadCount, Facts, ask, context => read(context, Kind::LeaseCount, ask.name));
handler!(DeleteRate, (), ask, _context => delete(Kind::RateLimit, &ask.name));
handler!(DeleteCount, (), ask, _context => delete(Kind::LeaseCount, &ask.name));

handler!(WriteRate, (), ask, context => {
    let limit = Limit::Rate(Rate {
        requests: ask.rate,
        interval: if ask.interval.0 > 0 { ask.interval.0 } else { 1 },
        block: ask.block_interval.0,
    });
    let of = (ask.path.as_str(), ask.role.as_str());
    write(context, Kind::RateLimit, &ask.name, of, (limit, ask.inheritable)).await
});

handler!(WriteCount, (), ask, context => {
    let limit = Limit::Leases { most: ask.max_leases };
    let of = (ask.path.as_str(), ask.role.as_str());
    write(context, Kind::LeaseCount, &ask.name, of, (limit, ask.inheritable)).await
});

handler!(ReadConfig, Config, _ask, context => {
    let config = System::of(context)?.active.quotas.config();
    Ok(Reply::data(Config {
        enable_rate_limit_audit_logging: config.audit_logging,
        enable_rate_limit_response_headers: config.response_headers,
        rate_limit_exempt_paths: config.exempt_paths,
    }))
});

handler!(WriteConfig, (), ask, _context => {
    let config = QuotaConfig {
        audit_logging: ask.enable_rate_limit_audit_logging,
        response_headers: ask.enable_rate_limit_response_headers,
        exempt_paths: ask.rate_limit_exempt_paths.0,
    };
    Ok(Reply::wrote(Quotas::prepare_config(&config)?))
});
