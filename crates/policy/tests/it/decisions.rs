//! Merging, denial, LIST, time, and what a decision says.

use crate::{acl, ask, policy};
use secretum_crypto::Timestamp;
use secretum_policy::Operation::{Create, Delete, List, Read, Scan, Update};
use secretum_policy::{AccessRequest, Acl, Capability, Policy, Refusal};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn root_may_everything() {
    let acl = Acl::new(&[
        Policy::root().into(),
        policy("p", "path \"*\" { policy = \"deny\" }"),
    ]);
    let decision = ask(&acl, Delete, "sys/raw/x");
    assert!(decision.allowed && decision.root && decision.sudo && !decision.forbids());
    assert_eq!(&*decision.deciding.unwrap().policy, "root");
    assert_eq!(acl.capabilities("any"), ["root"]);
    assert!(acl.any_right_below("any/"));
}

#[test]
fn rights_of_the_same_path_add_up_and_deny_wins() {
    let read = "path \"a\" { capabilities = [\"read\"] } path \"b\" { capabilities = [\"read\"] }";
    let more =
        "path \"a\" { capabilities = [\"update\", \"sudo\"] } path \"b\" { policy = \"deny\" }";
    for texts in [[read, more], [more, read]] {
        let acl = acl(&texts);
        assert_eq!(acl.capabilities("a"), ["read", "sudo", "update"]);
        assert_eq!(acl.capabilities("b"), ["deny"]);
        assert!(ask(&acl, Read, "a").allowed && ask(&acl, Read, "a").sudo);
        let denied = ask(&acl, Read, "b");
        assert!(!denied.allowed && denied.forbids() && !denied.sudo);
        let policy = if texts[0] == more { "p0" } else { "p1" };
        assert_eq!(&*denied.deciding.unwrap().policy, policy);
    }
}

#[test]
fn a_decision_says_why() {
    let acl = acl(&["path \"a\" { capabilities = [\"sudo\"] }"]);
    let none = ask(&acl, Read, "b");
    assert_eq!(
        (none.refusal.clone(), none.deciding.clone()),
        (Some(Refusal::NoRule), None)
    );
    assert!(!none.forbids());
    let lacking = ask(&acl, Read, "a");
    assert_eq!(lacking.refusal, Some(Refusal::Capability(Capability::Read)));
    assert!(lacking.sudo && !lacking.forbids());
    assert_eq!(&*lacking.deciding.unwrap().policy, "p0");
}

#[test]
fn a_list_looks_at_the_path_without_its_slash_too() {
    let list = |path: &str| format!("path \"{path}\" {{ capabilities = [\"list\", \"scan\"] }}\n");
    let rule = |path: &str, may: &str| format!("path \"{path}\" {{ capabilities = [{may}] }}\n");
    let cases = [
        (list("foo"), true),
        (list("foo/"), true),
        (list("foo*"), true),
        (list("foo/*"), true),
        (list("+"), true),
        (list("+/"), true),
        (list("fo"), false),
        (list("foo/bar"), false),
        // The exact path less its slash comes before any wildcard.
        (list("foo/*") + &rule("foo", "\"read\""), false),
        (list("foo") + &rule("foo/*", "\"deny\""), true),
        // Among wildcards the path with its slash comes first.
        (list("fo*") + &rule("foo/*", "\"deny\""), false),
        (list("foo/*") + &rule("+", "\"deny\""), true),
    ];
    for (text, allowed) in cases {
        let acl = acl(&[&text]);
        assert_eq!(ask(&acl, List, "foo/").allowed, allowed, "{text}");
        assert_eq!(ask(&acl, Scan, "foo/").allowed, allowed, "{text}");
    }
    assert!(!ask(&acl(&[&rule("foo", "\"read\"")]), Read, "foo/").allowed);
}

#[test]
fn wrapping_has_its_bounds() {
    let acl = acl(&[
        "path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = 100 max_wrapping_ttl = 300 }",
        "path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = 50 max_wrapping_ttl = 200 }",
    ]);
    let wrapped = |seconds: Option<u64>| {
        let wrap_ttl = seconds.map(Duration::from_secs);
        acl.decide(&AccessRequest {
            path: "a",
            operation: Read,
            parameters: None,
            wrap_ttl,
        })
    };
    for (seconds, allowed) in [
        (None, false),
        (Some(49), false),
        (Some(50), true),
        (Some(200), true),
        (Some(201), false),
    ] {
        assert_eq!(wrapped(seconds).allowed, allowed, "{seconds:?}");
    }
    assert_eq!(wrapped(None).refusal, Some(Refusal::WrappingTtl));
}

#[test]
fn one_bound_of_wrapping_needs_a_wrapped_answer() {
    for (bound, seconds, allowed) in [
        ("min_wrapping_ttl = 50", None, false),
        ("min_wrapping_ttl = 50", Some(0), false),
        ("min_wrapping_ttl = 50", Some(50), true),
        ("max_wrapping_ttl = 50", None, false),
        ("max_wrapping_ttl = 50", Some(0), false),
        ("max_wrapping_ttl = 50", Some(1), true),
        ("max_wrapping_ttl = 50", Some(51), false),
        // A bound of 0 is none.
        ("max_wrapping_ttl = 0", None, true),
        ("max_wrapping_ttl = 0", Some(51), true),
        ("min_wrapping_ttl = 0", Some(0), true),
    ] {
        let text = format!("path \"a\" {{ capabilities = [\"read\"] {bound} }}");
        let decision = acl(&[&text]).decide(&AccessRequest {
            path: "a",
            operation: Read,
            parameters: None,
            wrap_ttl: seconds.map(Duration::from_secs),
        });
        assert_eq!(decision.allowed, allowed, "{bound} {seconds:?}");
    }
}

#[test]
fn a_rule_ends_at_its_expiration() {
    let text = "path \"a\" { capabilities = [\"read\"] expiration = 100 }
                path \"a\" { capabilities = [\"list\"] expiration = 200 }
                path \"b\" { capabilities = [\"deny\"] expiration = 100 }
                path \"*\" { capabilities = [\"update\"] }";
    let policies = [policy("p", text)];
    let at = |seconds| Acl::at(&policies, Timestamp::from_unix_seconds(seconds));
    assert_eq!(at(99).capabilities("a"), ["list", "read"]);
    assert_eq!(
        at(99).valid_until(),
        Some(Timestamp::from_unix_seconds(100))
    );
    assert_eq!(at(100).capabilities("a"), ["list"]);
    assert_eq!(at(100).capabilities("b"), ["update"]);
    assert_eq!(
        at(100).valid_until(),
        Some(Timestamp::from_unix_seconds(200))
    );
    assert_eq!(at(200).capabilities("a"), ["update"]);
    assert_eq!(at(200).valid_until(), None);
    // Without a time, what ends grants nothing, and what denies denies.
    assert_eq!(Acl::new(&policies).capabilities("a"), ["update"]);
    assert_eq!(Acl::new(&policies).capabilities("b"), ["deny"]);
}

#[test]
fn methods_of_authentication_are_handed_out() {
    let acl = acl(&[
        "path \"a\" { capabilities = [\"create\"] mfa_methods = [\"b\", \"c\"] }",
        "path \"a\" { mfa_methods = [\"a\", \"b\"] }",
    ]);
    assert_eq!(ask(&acl, Create, "a").mfa_methods, ["a", "b", "c"]);
    assert!(ask(&acl, Update, "b").mfa_methods.is_empty());
}

/// A rule for each path of so many segments that are `+` or `a`, and this one.
fn bomb(name: &str, levels: u32, last: &str) -> Arc<Policy> {
    let paths = (0..1_u32 << levels).map(|bits| {
        let segment = |at: u32| if bits >> at & 1 == 0 { "+" } else { "a" };
        let segments: Vec<_> = (0..levels).map(segment).chain([last]).collect();
        format!(
            "path \"{}\" {{ capabilities = [\"read\"] }}\n",
            segments.join("/")
        )
    });
    Policy::parse(name, &paths.collect::<String>())
        .unwrap()
        .into()
}

#[test]
fn what_one_decision_looks_at_has_its_limit() {
    let read = |acl: &Acl, path: &str| acl.capabilities(path) == ["read"];
    let path = format!("{}b", "a/".repeat(12));
    // Two to the twelfth paths, and what stands above them.
    let fits = Acl::new(&[bomb("fits", 12, "b")]);
    assert_eq!(fits.overload(), None);
    assert!(read(&fits, &path));
    // Other names beside do not count: a path has one at each place.
    let beside = Acl::new(&[bomb("fits", 12, "b"), bomb("beside", 12, "c")]);
    assert_eq!(beside.overload(), None);
    // Policies that each fit may not fit together, and then give nothing.
    let policies = [bomb("fits", 12, "b"), bomb("more", 12, "b/+/c/d")];
    let together = Acl::new(&policies);
    assert_eq!(together.overload(), Some((1 << 13) - 1 + 4_096 * 4));
    assert!(!read(&together, &path));
    assert!(!together.any_right_below("a/"));
}
