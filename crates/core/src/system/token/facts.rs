//! What may be told of a token.

use crate::tokens::Token;
use schemars::JsonSchema;
use secretum_api::fields::AddressRange;
use secretum_crypto::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// A token, as lookups tell it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenFacts {
    id: String,
    accessor: String,
    policies: Vec<String>,
    path: String,
    meta: Option<BTreeMap<String, String>>,
    display_name: String,
    num_uses: u64,
    orphan: bool,
    creation_time: i64,
    creation_ttl: u64,
    expire_time: Option<String>,
    issue_time: String,
    ttl: u64,
    explicit_max_ttl: u64,
    entity_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    renewable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_renewal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_renewal_time: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    role: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bound_cidrs: Vec<AddressRange>,
}

impl TokenFacts {
    /// The facts of a token; `id` is the token itself, or empty where its text is not known.
    pub(crate) fn of(token: &Token, id: String, now: Timestamp) -> Self {
        let record = &token.record;
        let time = |seconds| Timestamp::from_unix_seconds(seconds).to_rfc3339();
        Self {
            id,
            accessor: record.accessor.clone(),
            policies: record.policies.clone(),
            path: record.path.clone(),
            meta: Some(record.meta.clone()).filter(|meta| !meta.is_empty()),
            display_name: record.display_name.clone(),
            num_uses: u64::try_from(record.num_uses).unwrap_or(0),
            orphan: record.parent.is_none(),
            creation_time: record.created,
            creation_ttl: record.ttl,
            expire_time: record.expires.map(time),
            issue_time: time(record.created),
            ttl: record.ttl_left(now),
            explicit_max_ttl: record.explicit_max_ttl,
            entity_id: record.entity_id.clone(),
            kind: record.kind.as_str(),
            renewable: record.renewable,
            period: Some(record.period).filter(|period| *period > 0),
            last_renewal: record.last_renewal.map(time),
            last_renewal_time: record.last_renewal,
            role: record.role.clone(),
            bound_cidrs: record.bound_cidrs.clone(),
        }
    }
}
