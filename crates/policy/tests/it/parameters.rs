//! Rules over parameters.

use crate::acl;
use secretum_policy::Operation::{self, Create, Delete, List, Patch, Read, Update};
use secretum_policy::{AccessRequest, Acl, Decision, Refusal};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

fn ask(acl: &Acl, operation: Operation, body: &str) -> Decision {
    let parameters: Map<String, Value> = serde_json::from_str(body).unwrap();
    let parameters = Some(&parameters as &dyn secretum_policy::Parameters);
    acl.decide(&AccessRequest {
        path: "a",
        operation,
        parameters,
        wrap_ttl: None,
    })
}

fn rule(fields: &str) -> String {
    let all = r#"["create", "read", "update", "patch", "delete", "list"]"#;
    format!("path \"a\" {{ capabilities = {all} {fields} }}")
}

/// Each body with its verdict.
fn check(rules: &[&str], bodies: &[(&str, bool)]) {
    let texts: Vec<String> = rules.iter().map(|fields| rule(fields)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let acl = acl(&texts);
    for (body, allowed) in bodies {
        for operation in [Create, Read, Update, Patch] {
            let decision = ask(&acl, operation, body);
            assert_eq!(decision.allowed, *allowed, "{rules:?} {operation:?} {body}");
        }
        assert!(ask(&acl, Delete, body).allowed && ask(&acl, List, body).allowed);
    }
}

#[test]
fn allowed() {
    check(
        &[r#"allowed_parameters = { "zip" = [] bar = ["x", "y*"] }"#],
        &[
            (r#"{}"#, true),
            (r#"{"zip": 1}"#, true),
            (r#"{"ZIP": {"a": 1}, "bar": "yes"}"#, true),
            (r#"{"bar": "z"}"#, false),
            (r#"{"bar": ["x"]}"#, false),
            (r#"{"zip": 1, "other": 1}"#, false),
        ],
    );
    check(
        &[r#"allowed_parameters = { "*" = [] bar = [false] }"#],
        &[
            (r#"{"other": 1}"#, true),
            (r#"{"bar": false}"#, true),
            (r#"{"bar": true}"#, false),
        ],
    );
    // `*` alone lets everything through, whatever its values.
    check(
        &[r#"allowed_parameters = { "*" = ["x"] }"#],
        &[(r#"{"other": "y"}"#, true)],
    );
    check(&["allowed_parameters = {}"], &[(r#"{"other": 1}"#, true)]);
}

/// JSON that a server takes as text, and that no value of ours can hold.
#[test]
fn what_cannot_be_read_passes_no_rule_over_values() {
    let acl = |fields: &str| acl(&[&rule(fields)]);
    let denied = acl(r#"denied_parameters = { bar = ["*secret"] }"#);
    // Only JSON can write a null.
    let rule =
        r#"{"path": {"a": {"capabilities": ["update"], "allowed_parameters": {"bar": [null]}}}}"#;
    let allowed = crate::acl(&[rule]);
    let free = acl(r#"allowed_parameters = { bar = [] }"#);
    for value in [r#""\ud800secret""#, "1e999"] {
        let value: Box<RawValue> = serde_json::from_str(value).unwrap();
        let parameters = BTreeMap::from([("bar".to_owned(), value)]);
        let allows = |acl: &Acl| {
            let request = AccessRequest {
                path: "a",
                operation: Update,
                parameters: Some(&parameters),
                wrap_ttl: None,
            };
            acl.decide(&request).allowed
        };
        assert!(!allows(&denied), "{parameters:?}");
        assert!(!allows(&allowed), "{parameters:?}");
        assert!(allows(&free), "{parameters:?}");
    }
}

#[test]
fn denied() {
    check(
        &[r#"denied_parameters = { zip = [] bar = ["bad*"] }"#],
        &[
            (r#"{}"#, true),
            (r#"{"zip": 1}"#, false),
            (r#"{"Zip": null}"#, false),
            (r#"{"bar": "bad things"}"#, false),
            (r#"{"bar": "good"}"#, true),
            (r#"{"bar": null}"#, true),
            (r#"{"other": 1}"#, true),
        ],
    );
    check(
        &[r#"denied_parameters = { "*" = [] }"#],
        &[(r#"{"other": 1}"#, false), ("{}", true)],
    );
    // What is denied is denied, allowed or not.
    check(
        &[r#"allowed_parameters = { a = [] b = [] } denied_parameters = { a = [] }"#],
        &[(r#"{"a": 1}"#, false), (r#"{"b": 1}"#, true)],
    );
}

#[test]
fn required() {
    check(
        &[r#"required_parameters = ["Foo"]"#],
        &[
            (r#"{"foo": null}"#, true),
            (r#"{"Foo": 1}"#, false),
            ("{}", false),
        ],
    );
    let acl = acl(&[&rule(r#"required_parameters = ["foo"]"#)]);
    let refused = ask(&acl, Update, "{}").refusal;
    assert_eq!(refused, Some(Refusal::Parameter("foo".to_owned())));
    let request = AccessRequest {
        path: "a",
        operation: Update,
        parameters: None,
        wrap_ttl: None,
    };
    assert!(!acl.decide(&request).allowed);
}

#[test]
fn values() {
    check(
        &[
            r#"allowed_parameters = { v = ["x*", "*y", "*mid*", "p*q", true, 1, 2.5, ["a", 1], {b = "c"}] }"#,
        ],
        &[
            (r#"{"v": "xa"}"#, true),
            (r#"{"v": "ay"}"#, true),
            (r#"{"v": "a mid b"}"#, true),
            (r#"{"v": "p*q"}"#, true),
            (r#"{"v": "pq"}"#, false),
            (r#"{"v": true}"#, true),
            (r#"{"v": "true"}"#, false),
            (r#"{"v": 1}"#, true),
            (r#"{"v": 1.0}"#, true),
            (r#"{"v": "1"}"#, false),
            (r#"{"v": 2.50}"#, true),
            (r#"{"v": ["a", 1]}"#, true),
            (r#"{"v": ["a"]}"#, false),
            (r#"{"v": {"b": "c"}}"#, true),
            (r#"{"v": {"b": "c", "d": 1}}"#, false),
            (r#"{"v": null}"#, false),
        ],
    );
    // A lone `*` is no wildcard.
    check(
        &[r#"allowed_parameters = { v = ["*"] }"#],
        &[(r#"{"v": "x"}"#, false), (r#"{"v": "*"}"#, true)],
    );
}

#[test]
fn rules_of_one_path_are_merged() {
    check(
        &[
            "allowed_parameters = { v = [1, 2] }",
            "allowed_parameters = { v = [3] w = [] }",
        ],
        &[
            (r#"{"v": 3, "w": 9}"#, true),
            (r#"{"v": 1}"#, true),
            (r#"{"v": 4}"#, false),
        ],
    );
    // No values mean any value, on whichever side.
    check(
        &[
            "allowed_parameters = { v = [1] }",
            "allowed_parameters = { v = [] }",
        ],
        &[(r#"{"v": 9}"#, true), (r#"{"w": 9}"#, false)],
    );
    check(
        &[
            "denied_parameters = { v = [] }",
            "denied_parameters = { v = [1] }",
        ],
        &[(r#"{"v": 9}"#, false)],
    );
    // What one policy narrows is narrow for all.
    check(
        &["", "allowed_parameters = { v = [] }"],
        &[(r#"{"w": 9}"#, false)],
    );
    check(
        &[
            "required_parameters = [\"a\"]",
            "required_parameters = [\"b\"]",
        ],
        &[(r#"{"a": 1}"#, false), (r#"{"a": 1, "b": 1}"#, true)],
    );
}

#[test]
fn pages() {
    let limited = |required: &str| acl(&[&rule(&format!("pagination_limit = 5 {required}"))]);
    let bodies = [
        (r#"{}"#, true),
        (r#"{"limit": 5}"#, true),
        (r#"{"limit": "5"}"#, true),
        (r#"{"limit": 6}"#, false),
        (r#"{"limit": "6"}"#, false),
        (r#"{"limit": 0}"#, true),
        (r#"{"limit": "max"}"#, true),
        (r#"{"limit": ""}"#, true),
        (r#"{"limit": -1}"#, false),
        (r#"{"limit": 3.5}"#, false),
        (r#"{"limit": null}"#, false),
        (r#"{"limit": "x"}"#, false),
    ];
    for (body, allowed) in bodies {
        let decision = ask(&limited(""), List, body);
        assert_eq!(decision.allowed, allowed, "{body}");
        assert_eq!(decision.page_limit, Some(5));
        assert!(ask(&limited(""), Read, body).allowed);
    }
    assert!(!ask(&limited("required_parameters = [\"limit\"]"), List, "{}").allowed);
    assert!(ask(&limited("required_parameters = [\"x\"]"), List, "{}").allowed);
    let least = acl(&[
        &rule("pagination_limit = 9"),
        &rule("pagination_limit = 3"),
        &rule("pagination_limit = 0"),
    ]);
    assert_eq!(ask(&least, List, "{}").page_limit, Some(3));
}
