//! What is read from a document, and the limits.

use crate::policy;
use secretum_policy::{
    Acl, DEFAULT_POLICY, PARAMETERS_MAX, PATH_BYTES_MAX, Policy, Problem, RULES_MAX,
    WILDCARD_SEGMENTS_MAX,
};
use std::time::Duration;

fn problem(text: &str) -> Problem {
    Policy::parse("p", text).unwrap_err().problem
}

#[test]
fn a_rule_has_its_fields() {
    let policy = policy(
        "p",
        r#"
path "/secret/*" {
  policy = "read"
  capabilities = ["sudo", "update"]
  min_wrapping_ttl = 5
  max_wrapping_ttl = "1h30m"
  mfa_methods = ["totp"]
  expiration = "2030-01-02T03:04:05Z"
  pagination_limit = "100"
  required_parameters = ["Name"]
  allowed_parameters = { "Name" = [] }
  comment = "any"
}
"#,
    );
    let rule = &policy.rules()[0];
    assert_eq!(&*rule.path, "secret/*");
    assert_eq!(
        rule.capabilities.names(),
        ["list", "read", "sudo", "update"]
    );
    assert_eq!(rule.min_wrapping_ttl, Some(Duration::from_secs(5)));
    assert_eq!(rule.max_wrapping_ttl, Some(Duration::from_secs(5_400)));
    assert_eq!(rule.mfa_methods, ["totp"]);
    assert_eq!(
        rule.expiration.unwrap().to_rfc3339(),
        "2030-01-02T03:04:05Z"
    );
    assert_eq!(rule.pagination_limit, Some(100));
    assert!(rule.parameters.required.contains("name"));
    assert!(rule.parameters.allowed.contains_key("name"));
    assert_eq!((rule.at.line, rule.at.column), (2, 6));
}

#[test]
fn json_says_the_same() {
    let hcl = policy(
        "p",
        r#"path "a" { capabilities = ["read"] } path "b" { policy = "deny" }"#,
    );
    let json = policy(
        "p",
        r#"{"path": {"a": {"capabilities": ["read"]}, "b": {"policy": "deny"}}}"#,
    );
    let said = |policy: &Policy| -> Vec<_> {
        let rules = policy.rules().iter();
        rules
            .map(|rule| (rule.path.to_string(), rule.capabilities.names()))
            .collect()
    };
    assert_eq!(said(&hcl), said(&json));
}

#[test]
fn errors_name_the_place_and_what_is_wrong() {
    let cases = [
        (
            "path \"a\" {\n  capabilites = []\n}",
            "line 2, column 3: `capabilites` is not known in the rule of a path",
        ),
        (
            "path \"a\" {\n  capabilities = [\"read\", \"banana\"]\n}",
            "line 2, column 27: invalid capability \"banana\"",
        ),
        (
            "x = 1",
            "line 1, column 1: `x` is not known in a policy, only `path` (and `name`, which says nothing)",
        ),
        (
            "path \"a/+*\" {}",
            "line 1, column 6: the path `a/+*` holds `+*`: `+` stands for a whole segment, `*` for any rest",
        ),
        (
            "path \"a/+*/b\" {}",
            "line 1, column 6: the path `a/+*/b` holds `+*`: `+` stands for a whole segment, `*` for any rest",
        ),
        (
            "path \"{{a\" {}",
            "line 1, column 6: the path `{{a` has a `{{` or `}}` without its other half",
        ),
        (
            "path \"a\" { capabilities = \"read\" }",
            "line 1, column 27: `capabilities` must be a list, not a string",
        ),
        (
            "path \"a\" { policy \"x\" {} }",
            "line 1, column 12: `policy` is not known in the rule of a path",
        ),
        (
            "path \"a\" {",
            "line 1, column 11: expected a key, found the end of the document",
        ),
        (
            r#"{"path": {"a": {"capabilities": ["read"], "capabilities": ["deny"]}}}"#,
            "line 1, column 43: `capabilities` is set twice; keep one",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Policy::parse("p", text).unwrap_err().to_string(), message);
    }
}

#[test]
fn root_has_no_document() {
    assert_eq!(
        Policy::parse("root", "").unwrap_err().problem,
        Problem::Root
    );
    assert!(Policy::root().is_root());
    assert!(Acl::new(&[Policy::root().into()]).is_root());
}

#[test]
fn limits_hold_at_their_edge() {
    let rules = |count: usize| "path \"a\" {}\n".repeat(count);
    assert_eq!(policy("p", &rules(RULES_MAX)).rules().len(), RULES_MAX);
    assert_eq!(problem(&rules(RULES_MAX + 1)), Problem::TooManyRules);

    let path = |bytes: usize| format!("path \"{}\" {{}}", "a".repeat(bytes));
    assert!(Policy::parse("p", &path(PATH_BYTES_MAX)).is_ok());
    assert_eq!(problem(&path(PATH_BYTES_MAX + 1)), Problem::PathTooLong);

    let segments = |count: usize| format!("path \"{}\" {{}}", vec!["+"; count].join("/"));
    assert!(Policy::parse("p", &segments(WILDCARD_SEGMENTS_MAX)).is_ok());
    assert_eq!(
        problem(&segments(WILDCARD_SEGMENTS_MAX + 1)),
        Problem::TooManySegments
    );

    let parameters = |count: usize| {
        let names: String = (0..count).map(|at| format!("p{at} = []\n")).collect();
        format!("path \"a\" {{ denied_parameters = {{ {names} }} }}")
    };
    assert!(Policy::parse("p", &parameters(PARAMETERS_MAX)).is_ok());
    assert_eq!(
        problem(&parameters(PARAMETERS_MAX + 1)),
        Problem::TooManyParameters
    );
    let required = |count: usize| {
        format!(
            "path \"a\" {{ required_parameters = [{}] }}",
            "\"p\",".repeat(count)
        )
    };
    assert!(Policy::parse("p", &required(PARAMETERS_MAX)).is_ok());
    assert_eq!(
        problem(&required(PARAMETERS_MAX + 1)),
        Problem::TooManyParameters
    );
}

#[test]
fn the_default_policy_is_read() {
    let policy = policy("default", DEFAULT_POLICY);
    assert!(policy.is_templated());
    let acl = Acl::new(&[policy]);
    assert_eq!(acl.capabilities("auth/token/lookup-self"), ["read"]);
    assert_eq!(acl.capabilities("auth/token/lookup"), ["deny"]);
    assert_eq!(
        acl.capabilities("cubbyhole/x"),
        ["create", "delete", "list", "read", "update"]
    );
    assert_eq!(acl.capabilities("sys/tools/hash/sha2-256"), ["update"]);
    assert_eq!(
        acl.capabilities("identity/oidc/provider/x/authorize"),
        ["read", "update"]
    );
    assert_eq!(acl.capabilities("identity/entity/id/"), ["deny"]);
}
