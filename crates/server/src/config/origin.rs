//! Keys of a listener that say whose word is taken for where clients are.

use super::section::Section;
use super::{Problem, values};
use crate::http::ForwardedFor;
use crate::listener::{Networks, ProxyProtocol, Untrusted};
use ipnet::IpNet;
use secretum_hcl::{Value, ValueKind};
use std::net::IpAddr;

/// The most networks of a list.
const NETWORKS_MAX: usize = 1_024;

/// The most addresses that are skipped.
const HOP_SKIPS_MAX: u64 = 1_000;

const BEHAVIOR: &str = "`use_always`, `allow_authorized` or `deny_unauthorized`";
const NETWORKS: &str =
    "a list of at most 1024 IP addresses and networks, such as `[\"10.0.0.0/8\", \"192.0.2.1\"]`";
const HOPS: &str = "a number of addresses from 0 to 1000";

const PROXY_BEHAVIOR: &str = "proxy_protocol_behavior";
const PROXY_ADDRESSES: &str = "proxy_protocol_authorized_addrs";
const FORWARDED_ADDRESSES: &str = "x_forwarded_for_authorized_addrs";
const FORWARDED_HOPS: &str = "x_forwarded_for_hop_skips";
const FORWARDED_PRESENT: &str = "x_forwarded_for_reject_not_present";
const FORWARDED_AUTHORIZED: &str = "x_forwarded_for_reject_not_authorized";

/// Keys that listeners on Unix sockets do not have.
pub(crate) const KEYS: &[&str] = &[
    PROXY_BEHAVIOR,
    PROXY_ADDRESSES,
    FORWARDED_ADDRESSES,
    FORWARDED_HOPS,
    FORWARDED_PRESENT,
    FORWARDED_AUTHORIZED,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    UseAlways,
    AllowAuthorized,
    DenyUnauthorized,
}

/// What a listener does with PROXY headers: `Some(None)` if it reads none, and `None` if what is said of
/// it is wrong.
pub(crate) fn proxy_protocol(section: &mut Section<'_, '_>) -> Option<Option<ProxyProtocol>> {
    let behavior = section.take(PROXY_BEHAVIOR, BEHAVIOR, behavior);
    let networks = section.take(PROXY_ADDRESSES, NETWORKS, networks);
    let is_faulty = (behavior.is_none() && section.has(PROXY_BEHAVIOR))
        || (networks.is_none() && section.has(PROXY_ADDRESSES));
    if is_faulty {
        return None;
    }
    let (behavior, networks) = match (behavior, networks) {
        (None, None) => return Some(None),
        (None, Some(networks)) => {
            let problem = Problem::Without(PROXY_ADDRESSES, PROXY_BEHAVIOR);
            section.notices.push(networks.place, problem);
            return Some(None);
        }
        (Some(behavior), networks) => (behavior, networks),
    };
    let trusted = networks.map(|networks| networks.value);
    let trusted = trusted.filter(|trusted| !trusted.is_empty());
    let untrusted = match behavior.value {
        Behavior::UseAlways => {
            return Some(Some(ProxyProtocol {
                trusted: None,
                untrusted: Untrusted::Ignored,
            }));
        }
        Behavior::AllowAuthorized => Untrusted::Ignored,
        Behavior::DenyUnauthorized => Untrusted::Refused,
    };
    let Some(trusted) = trusted else {
        let problem = Problem::Needs(PROXY_BEHAVIOR, PROXY_ADDRESSES);
        section.notices.push(behavior.place, problem);
        return None;
    };
    Some(Some(ProxyProtocol {
        trusted: Some(trusted),
        untrusted,
    }))
}

/// What a listener does with X-Forwarded-For, in the same way.
pub(crate) fn forwarded_for(section: &mut Section<'_, '_>) -> Option<Option<ForwardedFor>> {
    let trusted = section.take(FORWARDED_ADDRESSES, NETWORKS, networks);
    let hop_skips = section.take(FORWARDED_HOPS, HOPS, hops);
    let not_present = section.flag(FORWARDED_PRESENT);
    let not_authorized = section.flag(FORWARDED_AUTHORIZED);
    let places = [
        (FORWARDED_HOPS, hop_skips.as_ref().map(|hops| &hops.place)),
        (
            FORWARDED_PRESENT,
            not_present.as_ref().map(|flag| &flag.place),
        ),
        (
            FORWARDED_AUTHORIZED,
            not_authorized.as_ref().map(|flag| &flag.place),
        ),
    ];
    let is_faulty = |(key, place): &(&'static str, Option<_>)| place.is_none() && section.has(key);
    if places.iter().any(is_faulty) || (trusted.is_none() && section.has(FORWARDED_ADDRESSES)) {
        return None;
    }
    let trusted = trusted.filter(|trusted| !trusted.value.is_empty());
    let Some(trusted) = trusted else {
        for (key, place) in places {
            if let Some(place) = place {
                let problem = Problem::Without(key, FORWARDED_ADDRESSES);
                section.notices.push(place.clone(), problem);
            }
        }
        return Some(None);
    };
    Some(Some(ForwardedFor {
        trusted: trusted.value,
        hop_skips: hop_skips.map_or(0, |hops| hops.value),
        rejects_not_present: not_present.is_none_or(|flag| flag.value),
        rejects_not_authorized: not_authorized.is_none_or(|flag| flag.value),
    }))
}

fn behavior(value: &Value) -> Option<Behavior> {
    match value.as_str()? {
        "use_always" => Some(Behavior::UseAlways),
        "allow_authorized" => Some(Behavior::AllowAuthorized),
        "deny_unauthorized" => Some(Behavior::DenyUnauthorized),
        _ => None,
    }
}

fn hops(value: &Value) -> Option<usize> {
    let hops = values::whole_number(value).filter(|hops| *hops <= HOP_SKIPS_MAX)?;
    usize::try_from(hops).ok()
}

/// Addresses and networks, in a list or separated by commas.
fn networks(value: &Value) -> Option<Networks> {
    let networks: Option<Vec<IpNet>> = match &value.kind {
        ValueKind::String(text) => text.split(',').map(network).collect(),
        ValueKind::List(values) => {
            let texts = values.iter().map(|value| value.as_str().and_then(network));
            texts.collect()
        }
        _ => None,
    };
    networks
        .filter(|networks| networks.len() <= NETWORKS_MAX)
        .map(Networks::new)
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(alone)
}
