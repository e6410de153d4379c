//! Policies: reading them, and what they decide.

use crate::reference;
use secretum_policy::{AccessRequest, Acl, Operation, Parameters, Policy};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Read,
    Operation::Update,
    Operation::Patch,
    Operation::Delete,
    Operation::List,
    Operation::Scan,
];

/// The slow decision looks at every rule for every path.
const RULES_LOOKED_AT: usize = 24;

/// What is decided by the index is what the rules say one by one, for paths near the rules' own.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = Policy::parse("p", text);
    assert_eq!(
        format!("{read:?}"),
        format!("{:?}", Policy::parse("p", text))
    );
    let Ok(policy) = read else { return };
    let policies = [Arc::new(policy)];
    let acl = Acl::new(&policies);
    let rules = policies.iter().flat_map(|policy| policy.rules());
    let told = rules.clone().count() <= RULES_LOOKED_AT
        && rules
            .clone()
            .all(|rule| rule.pattern.is_some() && rule.expiration.is_none());
    for path in rules
        .take(RULES_LOOKED_AT)
        .flat_map(|rule| near(&rule.path))
    {
        for operation in OPERATIONS {
            let decision = acl.decide(&AccessRequest {
                path: &path,
                operation,
                parameters: None,
                wrap_ttl: None,
            });
            let capable = decision.capabilities.contains(operation.capability());
            assert!(!decision.allowed || capable && !decision.capabilities.denies());
            if told {
                let expected = reference::capabilities(&policies, operation, &path);
                assert_eq!(decision.deciding.is_some(), expected.is_some(), "{path:?}");
                assert_eq!(
                    decision.capabilities,
                    expected.unwrap_or_default(),
                    "{path:?}"
                );
            }
        }
        check_capabilities(&acl, &path);
    }
}

/// Capabilities are told without doubles, and `deny` alone.
fn check_capabilities(acl: &Acl, path: &str) {
    let names = acl.capabilities(path);
    assert!(!names.is_empty());
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    assert!(names.len() == 1 || !names.contains(&"deny"), "{names:?}");
}

/// Paths that a rule's path may or may not match.
fn near(rule: &str) -> Vec<String> {
    let stem = rule.strip_suffix('*').unwrap_or(rule);
    let filled: Vec<&str> = stem
        .split('/')
        .map(|segment| if segment == "+" { "one" } else { segment })
        .collect();
    let filled = filled.join("/");
    let near = [
        stem.to_owned(),
        format!("{filled}/"),
        format!("{filled}more"),
        format!("{filled}/one/two"),
        filled.split('/').skip(1).collect::<Vec<_>>().join("/"),
        filled,
    ];
    // A request's path has no slash before it.
    near.into_iter()
        .map(|path| path.trim_start_matches('/').to_owned())
        .collect()
}

/// A policy up to the first line `---`, and the fields of a body behind it: what one rule denies with
/// a list of values is refused also where the value came in another spelling.
pub(crate) fn parameters(data: &[u8]) {
    let Some((policy, body)) = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.split_once("\n---\n"))
    else {
        return;
    };
    let (Ok(policy), Ok(fields)) = (
        Policy::parse("p", policy),
        serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(body),
    ) else {
        return;
    };
    let policies = [Arc::new(policy)];
    let acl = Acl::new(&policies);
    for rule in policies
        .iter()
        .flat_map(|policy| policy.rules())
        .take(RULES_LOOKED_AT)
    {
        let allows = |fields: &dyn Parameters| {
            let request = AccessRequest {
                path: &rule.path,
                operation: Operation::Update,
                parameters: Some(fields),
                wrap_ttl: None,
            };
            acl.decide(&request).allowed
        };
        let allowed = allows(&fields);
        assert_eq!(allowed, allows(&respelt(&fields)));
        if allowed {
            // A rule grows by other rules for its path, and never allows what it denies by itself.
            check_denied(&rule.parameters.denied, &fields);
            let required = |name: &String| fields.keys().any(|own| own == name);
            assert!(rule.parameters.required.iter().all(required));
        }
    }
}

fn check_denied(
    denied: &BTreeMap<String, Vec<serde_json::Value>>,
    fields: &BTreeMap<String, Box<RawValue>>,
) {
    // Rules of one path are merged by their path's text: an empty list of values denies for all.
    for (name, value) in fields {
        let Some(values) = denied.get(&name.to_lowercase()) else {
            assert!(!denied.contains_key("*"), "any parameter is denied");
            continue;
        };
        let held: Result<serde_json::Value, _> = serde_json::from_str(value.get());
        let Ok(held) = held else {
            unreachable!("`{name}` cannot be held and is let through");
        };
        assert!(
            !values.is_empty() && !values.contains(&held),
            "`{name}` is denied"
        );
    }
}

/// The same fields, every character of a text that can be an escape being one.
fn respelt(fields: &BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, Box<RawValue>> {
    let escaped = |json: &str| {
        let text: String = serde_json::from_str(json).ok()?;
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        RawValue::from_string(format!("\"{}\"", units.collect::<String>())).ok()
    };
    fields
        .iter()
        .map(|(name, value)| {
            let other = escaped(value.get()).unwrap_or_else(|| value.clone());
            (name.clone(), other)
        })
        .collect()
}
