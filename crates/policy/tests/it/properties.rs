//! What holds for any rules.

use crate::reference;
use proptest::prelude::*;
use secretum_policy::{AccessRequest, Acl, Operation, Policy};
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

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "ab", "abc", "", "+", "+", "a+", "+a", "*", "a*b", "+*", "a+*",
    ])
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..5).prop_map(|segments| segments.join("/"))
}

fn rule() -> impl Strategy<Value = String> {
    let capability = prop::sample::select(vec![
        "create", "read", "update", "patch", "delete", "list", "scan", "sudo", "read", "list",
        "deny",
    ]);
    let glob = prop::bool::weighted(0.4);
    (path(), glob, prop::collection::vec(capability, 0..4)).prop_map(
        |(path, glob, capabilities)| {
            let star = if glob && !path.ends_with('+') {
                "*"
            } else {
                ""
            };
            let path = path.trim_start_matches('/');
            let path = if format!("{path}{star}").contains("+*") {
                "x"
            } else {
                path
            };
            format!("path \"{path}{star}\" {{ capabilities = {capabilities:?} }}\n")
        },
    )
}

fn policies() -> impl Strategy<Value = Vec<Arc<Policy>>> {
    let text = prop::collection::vec(rule(), 0..8).prop_map(|rules| rules.concat());
    prop::collection::vec(text, 1..4).prop_map(|texts| {
        texts
            .iter()
            .map(|text| Arc::new(Policy::parse("p", text).unwrap()))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_index_decides_as_the_documentation_tells(
        policies in policies(),
        paths in prop::collection::vec(path(), 1..8),
    ) {
        let acl = Acl::new(&policies);
        for path in paths {
            let path = path.trim_start_matches('/');
            for operation in OPERATIONS {
                let request = AccessRequest { path, operation, parameters: None, wrap_ttl: None };
                let decision = acl.decide(&request);
                let expected = reference::capabilities(&policies, operation, path);
                prop_assert_eq!(decision.deciding.is_some(), expected.is_some());
                let expected = expected.unwrap_or_default();
                prop_assert_eq!(decision.capabilities, expected);
                let allowed = expected.contains(operation.capability()) && !expected.denies();
                prop_assert_eq!(decision.allowed, allowed);
            }
        }
    }

    #[test]
    fn what_is_permitted_is_below_some_mount(policies in policies(), path in path()) {
        let acl = Acl::new(&policies);
        let path = path.trim_start_matches('/');
        let request = AccessRequest { path, operation: Operation::Read, parameters: None, wrap_ttl: None };
        if acl.decide(&request).allowed {
            for (at, _) in path.match_indices('/') {
                prop_assert!(acl.any_right_below(&path[..=at]), "{}", &path[..=at]);
            }
            prop_assert!(acl.any_right_below(""));
        }
    }

    #[test]
    fn what_holds_both_wildcards_at_once_is_refused(path in path()) {
        let text = format!("path {path:?} {{ capabilities = [\"read\"] }}");
        prop_assert_eq!(Policy::parse("p", &text).is_err(), path.contains("+*"));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), path in any::<String>()) {
        let _ = Policy::parse("p", &text);
        let text = format!("path {path:?} {{ capabilities = [\"read\"] }}");
        if let Ok(policy) = Policy::parse("p", &text) {
            let _ = Acl::new(&[policy.into()]).capabilities(&path);
        }
    }
}
