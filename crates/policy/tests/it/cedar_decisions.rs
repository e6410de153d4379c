//! What Cedar documents say of requests.

use secretum_crypto::Timestamp;
use secretum_policy::cedar::{
    Action, Ask, Caller, CallerEntity, Cedar, Circumstances, Document, PARAMETERS_BYTES_MAX,
    Resource, Verdict, Wanted,
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::time::Duration;

/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

fn around() -> Circumstances<'static> {
    Circumstances {
        ttl: Duration::from_secs(3_600),
        time: Timestamp::from_unix_seconds(NOW),
        ip: Some("192.0.2.7".parse::<IpAddr>().unwrap()),
        mfa: false,
        wrap_ttl: Duration::ZERO,
        parameters: None,
    }
}

fn in_force(text: &str) -> Cedar {
    let cedar = Cedar::default();
    cedar.put(Document::read("d", text).unwrap());
    cedar
}

/// `read secret/dev/db` is asked by a caller.
fn say(cedar: &Cedar, caller: &Caller, asked: &str, around: Circumstances<'_>) -> String {
    let (action, path) = asked.split_once(' ').unwrap();
    let (mount, logical) = path.split_once('/').unwrap_or((path, ""));
    let resource = Resource::new(mount, logical, path, "kv");
    let ask = Ask {
        caller,
        action: Action::named(action).unwrap(),
        resource: &resource,
        around,
    };
    match cedar.decide(&ask, Wanted::Both).unwrap() {
        Verdict::Silent => "silent".to_owned(),
        Verdict::Permitted(id) => format!("permit {id}"),
        Verdict::Forbidden(id) => format!("forbid {id}"),
    }
}

fn token(roles: &[&str]) -> Caller {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    Caller::new(None, "accessor", &roles, &[]).unwrap()
}

/// A head without its brackets, what is asked, by whom, and whether that is permitted.
const HEADS: &str = r#"
principal, action, resource                                    | read secret/a      | app   | yes
principal in Role::"app", action, resource                     | read secret/a      | app   | yes
principal in Role::"other", action, resource                   | read secret/a      | app   | no
principal == Token::"accessor", action, resource               | read secret/a      | app   | yes
principal == Token::"accessor", action, resource               | read secret/a      | alice | no
principal == User::"alice", action, resource                   | read secret/a      | alice | yes
principal == User::"alice", action, resource                   | read secret/a      | robot | no
principal == Service::"alice", action, resource                | read secret/a      | robot | yes
principal is User, action, resource                            | read secret/a      | alice | yes
principal is User, action, resource                            | read secret/a      | app   | no
principal in Group::"developers", action, resource             | read secret/a      | alice | yes
principal is User in Group::"developers", action, resource     | read secret/a      | alice | yes
principal is Service in Group::"developers", action, resource  | read secret/a      | alice | no
principal, action == Action::"read", resource                  | list secret/a      | app   | no
principal, action in Action::"view", resource                  | list secret/a      | app   | yes
principal, action in Action::"view", resource                  | update secret/a    | app   | no
principal, action in [Action::"use", Action::"list"], resource | sign secret/a      | app   | yes
principal, action in [Action::"use", Action::"list"], resource | list secret/a      | app   | yes
principal, action in [Action::"use", Action::"list"], resource | read secret/a      | app   | no
principal, action, resource == Secret::"secret/a"              | read secret/a      | app   | yes
principal, action, resource == Secret::"secret/a"              | read secret/a/b    | app   | no
principal, action, resource in Secret::"secret/a"              | read secret/a/b    | app   | yes
principal, action, resource in Secret::"secret/a"              | read secret/ab     | app   | no
principal, action, resource in Secret::"secret"                | list secret        | app   | yes
principal, action, resource is Secret in Secret::"secret/a/b"  | read secret/a/b/   | app   | yes
principal, action, resource == Secret::"secret/a/b"            | read secret/a/b/   | app   | no
"#;

#[test]
fn heads_say_whom_and_what_they_concern() {
    let user = CallerEntity::User("alice".to_owned());
    let service = CallerEntity::Service("alice".to_owned());
    let groups = ["developers".to_owned()];
    let alice = Caller::new(Some(&user), "accessor", &[], &groups).unwrap();
    let robot = Caller::new(Some(&service), "accessor", &[], &[]).unwrap();
    let app = token(&["app", "default"]);
    for line in HEADS.trim().lines() {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let caller = match columns[2] {
            "alice" => &alice,
            "robot" => &robot,
            _ => &app,
        };
        let cedar = in_force(&format!("permit ({});", columns[0]));
        let expected = if columns[3] == "yes" {
            "permit d#1"
        } else {
            "silent"
        };
        assert_eq!(
            say(&cedar, caller, columns[1], around()),
            expected,
            "{line}"
        );
    }
}

#[test]
fn conditions_see_what_is_around() {
    let caller = token(&[]);
    for (condition, satisfied) in [
        ("context.ttl <= duration(\"1h\")", true),
        ("context.ttl < duration(\"1h\")", false),
        ("context.time == datetime(\"2027-01-15T08:00:00Z\")", true),
        ("context.time < datetime(\"2027-01-15\")", false),
        ("context.ip.isInRange(ip(\"192.0.2.0/24\"))", true),
        ("context.ip.isIpv6()", false),
        ("context.mfa", false),
        ("context.wrap_ttl == duration(\"0s\")", true),
        ("resource.path == \"secret/dev/db\"", true),
        ("resource.path like \"secret/*/db\"", true),
        (
            "resource.mount == \"secret\" && resource.engine == \"kv\"",
            true,
        ),
        ("resource.namespace == \"root\"", true),
        (
            "resource in [Secret::\"secret/dev\", Secret::\"other\"]",
            true,
        ),
        ("principal in Role::\"app\"", false),
        ("context.parameters.hasTag(\"ttl\")", false),
    ] {
        let cedar = in_force(&format!(
            "permit (principal, action, resource) when {{ {condition} }};"
        ));
        let expected = if satisfied { "permit d#1" } else { "silent" };
        let said = say(&cedar, &caller, "read secret/dev/db", around());
        assert_eq!(said, expected, "{condition}");
    }
}

#[test]
fn times_and_lives_at_the_ends_are_held() {
    let cedar = in_force(
        "permit (principal, action, resource)
         when { context.ttl > duration(\"1d\") && context.time < datetime(\"1970-01-01\") };",
    );
    let ends = Circumstances {
        ttl: Duration::MAX,
        time: Timestamp::from_unix_nanos(-1),
        ..around()
    };
    assert_eq!(
        say(&cedar, &token(&[]), "read secret/a", ends),
        "permit d#1"
    );
}

#[test]
fn parameters_are_texts_by_their_names() {
    let caller = token(&[]);
    let Value::Object(fields) = json!({
        "ttl": "1h", "uses": 3, "renewable": true, "nothing": null,
        "policies": ["a", "b"], "meta": {"b": 1, "a": "x"}
    }) else {
        panic!()
    };
    for (name, value) in [
        ("ttl", "1h"),
        ("uses", "3"),
        ("renewable", "true"),
        ("nothing", "null"),
        ("policies", r#"[\"a\",\"b\"]"#),
        ("meta", r#"{\"a\":\"x\",\"b\":1}"#),
    ] {
        let cedar = in_force(&format!(
            "permit (principal, action, resource)
             when {{ context.parameters.hasTag(\"{name}\") && context.parameters.getTag(\"{name}\") == \"{value}\" }};"
        ));
        let around = Circumstances {
            parameters: Some(&fields),
            ..around()
        };
        let said = say(&cedar, &caller, "update secret/a", around);
        assert_eq!(said, "permit d#1", "{name}");
    }
}

#[test]
fn what_cannot_be_evaluated_forbids_and_does_not_permit() {
    let caller = token(&[]);
    let unknown_address = Circumstances {
        ip: None,
        ..around()
    };
    let by_address = "when { context.ip.isLoopback() };";
    let cedar = in_force(&format!(
        "permit (principal, action, resource) {by_address}"
    ));
    assert_eq!(
        say(&cedar, &caller, "read secret/a", unknown_address),
        "silent"
    );
    let cedar = in_force(&format!(
        "permit (principal, action, resource);
         @id(\"local\") forbid (principal, action, resource) {by_address}"
    ));
    assert_eq!(
        say(&cedar, &caller, "read secret/a", around()),
        "permit d#1"
    );
    assert_eq!(
        say(&cedar, &caller, "read secret/a", unknown_address),
        "forbid local"
    );
    // Parameters that are too long are none; only what looks at them errs.
    let long = Map::from_iter([(
        "a".to_owned(),
        Value::from("x".repeat(PARAMETERS_BYTES_MAX)),
    )]);
    let around = Circumstances {
        parameters: Some(&long),
        ..around()
    };
    let cedar = in_force(
        "forbid (principal, action == Action::\"update\", resource) when { context.parameters.hasTag(\"b\") };
         forbid (principal, action, resource) when { context.mfa };
         permit (principal, action, resource);",
    );
    assert_eq!(
        say(&cedar, &caller, "update secret/a", around),
        "forbid d#1"
    );
    assert_eq!(say(&cedar, &caller, "read secret/a", around), "permit d#3");
}

#[test]
fn forbid_beats_permit_and_the_same_one_decides_each_time() {
    let cedar = in_force(
        "@id(\"b\") permit (principal, action, resource);
         @id(\"a\") permit (principal, action, resource in Secret::\"secret\");
         @id(\"z\") forbid (principal, action, resource in Secret::\"secret/x\");
         @id(\"y\") forbid (principal in Role::\"app\", action, resource in Secret::\"secret/x\");",
    );
    let caller = token(&["app"]);
    assert_eq!(say(&cedar, &caller, "read secret/a", around()), "permit a");
    assert_eq!(say(&cedar, &caller, "read other/a", around()), "permit b");
    assert_eq!(
        say(&cedar, &caller, "read secret/x/y", around()),
        "forbid y"
    );
}

#[test]
fn names_with_every_character_are_entities() {
    let role = "a\"b\\c\u{e9}\n::x";
    let path = "we\"ird\\na\u{308}me";
    let cedar = in_force(&format!(
        "permit (principal in Role::{role:?}, action, resource in Secret::\"secret/we\\\"ird\\\\na\u{308}me\");"
    ));
    let asked = format!("read secret/{path}");
    assert_eq!(say(&cedar, &token(&[role]), &asked, around()), "permit d#1");
}
