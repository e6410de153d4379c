//! What a token may carry.
//!
//! With these a record has at most about 32 KiB: 8 KiB of metadata, 8 KiB of policy names, which
//! its caller repeats, a path of 4 KiB, and what is small. The cache's 8,192 tokens then take
//! 256 MiB at the very most, and about 1 KiB each as they usually are.

use super::{NewToken, TOKEN_BYTES_MAX};
use crate::limits::{check, check_life};
use secretum_engine::Fault;
use std::collections::BTreeMap;

/// The most pairs of metadata.
const META_PAIRS_MAX: usize = 64;

/// The longest key of metadata, in bytes.
const META_KEY_BYTES_MAX: usize = 128;

/// The longest value of metadata, in bytes.
const META_VALUE_BYTES_MAX: usize = 512;

/// All keys and values of metadata together, in bytes.
const META_BYTES_MAX: usize = 8_192;

/// The most policies.
const POLICIES_MAX: usize = secretum_policy::cedar::ROLES_MAX;

/// The longest name of a policy, in bytes.
const POLICY_NAME_BYTES_MAX: usize = crate::policies::NAME_BYTES_MAX;

/// All names of policies together, in bytes.
const POLICY_NAMES_BYTES_MAX: usize = 8_192;

/// The longest name for logs, in bytes.
const DISPLAY_NAME_BYTES_MAX: usize = 256;

/// Refuses a token that carries too much, or that could not be used.
pub(super) fn check_new(new: &NewToken) -> Result<(), Fault> {
    if let Some(text) = &new.text {
        check_text(text.expose())?;
    }
    check_meta(&new.meta)?;
    check_policies(&new.policies)?;
    check(new.display_name.len() <= DISPLAY_NAME_BYTES_MAX, || {
        format!("the display name of a token has at most {DISPLAY_NAME_BYTES_MAX} bytes")
    })?;
    check_life("explicit_max_ttl", new.explicit_max_ttl)?;
    check_life("period", new.period)
}

fn check_text(text: &str) -> Result<(), Fault> {
    check((1..=TOKEN_BYTES_MAX).contains(&text.len()), || {
        format!("a token ID has 1 to {TOKEN_BYTES_MAX} bytes")
    })?;
    // It must fit into a header.
    check(!text.chars().any(char::is_control), || {
        "a token ID has no control characters".to_owned()
    })
}

fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), Fault> {
    check(meta.len() <= META_PAIRS_MAX, || {
        format!("a token has at most {META_PAIRS_MAX} pairs of metadata")
    })?;
    check(
        meta.keys().all(|key| key.len() <= META_KEY_BYTES_MAX),
        || format!("a key of token metadata has at most {META_KEY_BYTES_MAX} bytes"),
    )?;
    let values_fit = meta
        .values()
        .all(|value| value.len() <= META_VALUE_BYTES_MAX);
    check(values_fit, || {
        format!("a value of token metadata has at most {META_VALUE_BYTES_MAX} bytes")
    })?;
    let bytes: usize = meta
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    check(bytes <= META_BYTES_MAX, || {
        format!("the metadata of a token has at most {META_BYTES_MAX} bytes")
    })
}

fn check_policies(policies: &[String]) -> Result<(), Fault> {
    check(policies.len() <= POLICIES_MAX, || {
        format!("a token has at most {POLICIES_MAX} policies")
    })?;
    let names_fit = policies
        .iter()
        .all(|name| name.len() <= POLICY_NAME_BYTES_MAX);
    check(names_fit, || {
        format!("the name of a policy has at most {POLICY_NAME_BYTES_MAX} bytes")
    })?;
    let bytes: usize = policies.iter().map(String::len).sum();
    check(bytes <= POLICY_NAMES_BYTES_MAX, || {
        format!("the policy names of a token have at most {POLICY_NAMES_BYTES_MAX} bytes together")
    })
}
