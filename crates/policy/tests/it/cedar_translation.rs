//! HCL to Cedar, and what cannot be said there.

use proptest::prelude::*;
use secretum_policy::cedar::translate::{TranslateError, translate, translate_rest};

#[test]
fn a_rule_becomes_a_statement() {
    let hcl = r#"path "secret/data/app/*" { capabilities = ["read", "update"] }"#;
    let made = translate("app", hcl).unwrap();
    assert_eq!(
        made.text,
        r#"permit (
  principal in Role::"app",
  action in [Action::"read", Action::"update"],
  resource in Secret::"secret"
)
when
{
  resource.path like "secret/data/app/*"
};
"#
    );
    assert!(made.requests > 100, "{}", made.requests);
}

#[test]
fn what_a_rule_of_higher_priority_takes_is_left_out() {
    let hcl = r#"
        path "secret/*"        { capabilities = ["read", "list"] }
        path "secret/a"        { capabilities = ["update"] }
        path "secret/no/*"     { capabilities = ["deny"] }
        path "secret/no/but"   { capabilities = ["read"] }
        path "secret/more"     { capabilities = ["read", "list", "sudo"] }
    "#;
    let made = translate("app", hcl).unwrap();
    let read = made
        .text
        .split("};")
        .find(|text| text.contains("like \"secret/*\""))
        .unwrap();
    assert!(read.contains("!(resource.path == \"secret/a\")"), "{read}");
    assert!(!read.contains("secret/more"), "{read}");
    assert!(!read.contains("secret/no"), "a forbid says it: {read}");
    assert!(made.text.contains("forbid ("));
}

#[test]
fn the_shipped_policy_can_be_said() {
    translate("default", secretum_policy::DEFAULT_POLICY).unwrap_err();
    let mended = secretum_policy::DEFAULT_POLICY.replace("{{identity.entity.id}}", "e");
    let mended = mended.replace("{{identity.entity.name}}", "n");
    if let Err(error) = translate("default", &mended) {
        panic!("{error}");
    }
}

#[test]
fn ends_and_bounds_and_plus_signs_are_said() {
    for hcl in [
        r#"path "a/+/c" { capabilities = ["read", "list"] } path "a/b/+" { capabilities = ["update"] }"#,
        r#"path "a/+" { capabilities = ["list", "sudo"] } path "a/*" { capabilities = ["read"] }"#,
        r#"path "a/*" { capabilities = ["read"] }
           path "a/b" { capabilities = ["deny"] expiration = "2027-01-01T00:00:00Z" }"#,
        r#"path "a/b" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "1h" }
           path "a/*" { capabilities = ["read", "delete"] }"#,
        r#"path "a/b*c/\"q\"" { capabilities = ["read"] } path "a/b*" { capabilities = ["list"] }"#,
        r#"path "a" { capabilities = ["list"] } path "a/" { capabilities = ["scan"] }"#,
        r#"path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "scan", "sudo"] }"#,
        r#"path "a" { capabilities = ["subscribe"] }"#,
        "",
    ] {
        if let Err(error) = translate("app", hcl) {
            panic!("{hcl}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_said_is_named_with_its_place() {
    let hcl = r#"path "a" { capabilities = ["read"] }
path "a/+/b*" { capabilities = ["read"] }
path "b" { capabilities = ["update"] allowed_parameters = { "x" = [] } }
path "c" { capabilities = ["update"] required_parameters = ["x"] }
path "d/{{identity.entity.id}}" { capabilities = ["read"] }
path "e" { capabilities = ["list"] pagination_limit = 5 }
path "f" { capabilities = ["read"] mfa_methods = ["x"] }
"#;
    let TranslateError::Unsayable(found) = translate("app", hcl).unwrap_err() else {
        panic!()
    };
    let lines: Vec<u32> = found.iter().map(|one| one.at.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    let broken = translate("app", "path").unwrap_err();
    assert!(matches!(broken, TranslateError::Hcl(_)));
}

#[test]
fn what_can_be_said_is_said_and_permits_nothing_where_the_rest_may_decide() {
    let hcl = r#"
path "secret/data/*" { capabilities = ["read", "list", "sudo"] }
path "secret/data/app" { capabilities = ["update"] allowed_parameters = { "x" = [] } }
path "secret/data/own/{{identity.entity.id}}" { capabilities = ["create"] }
path "secret/data/no/*" { capabilities = ["deny"] }
path "one/+/b*" { capabilities = ["read"] }
"#;
    let made = translate_rest("app", hcl).unwrap();
    let lines: Vec<u32> = made.left_out.iter().map(|one| one.at.line).collect();
    assert_eq!(lines, [3, 4, 6]);
    for said in [
        "// Left out: rules over parameters ignore capitals",
        "//   line 3, column 6: the rule of `secret/data/app`\n",
        "//   line 4, column 6: the rule of `secret/data/own/{{identity.entity.id}}`\n",
        "!(resource.path == \"secret/data/app\")",
        "!(resource.path like \"secret/data/own/*\")",
        "forbid (",
    ] {
        assert!(made.text.contains(said), "{said} in\n{}", made.text);
    }
    assert!(made.requests > 100);
    // What a statement does not speak of anyway, it does not take out.
    assert!(!made.text.contains("like \"one/"), "{}", made.text);
    // Where it may be any path, or nothing else is there, there is nothing to hand out.
    for hcl in [
        r#"path "{{identity.entity.id}}/a" { capabilities = ["read"] } path "b" { capabilities = ["read"] }"#,
        r#"path "e" { capabilities = ["list"] pagination_limit = 5 }"#,
    ] {
        let refused = translate_rest("app", hcl).unwrap_err();
        assert!(matches!(refused, TranslateError::Unsayable(_)), "{refused}");
    }
}

#[test]
fn no_denial_is_left_out() {
    for denies in [
        r#"path "a/{{identity.entity.id}}/x" { capabilities = ["deny"] }"#,
        r#"path "a/+/b*" { capabilities = ["deny"] }"#,
    ] {
        let hcl = format!("path \"b\" {{ capabilities = [\"read\"] }}\n{denies}");
        let refused = translate_rest("app", &hcl).unwrap_err();
        let TranslateError::Unsayable(found) = refused else {
            panic!("{refused}");
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].at.line, 2);
    }
    // What else it says does not count: it denies anyway.
    for more in [
        "allowed_parameters = { \"x\" = [] }",
        "mfa_methods = [\"x\"]",
        "pagination_limit = 5",
    ] {
        let hcl = format!("path \"a/*\" {{ capabilities = [\"deny\"] {more} }}");
        let made = translate("app", &hcl).unwrap();
        assert!(made.text.contains("forbid ("), "{}", made.text);
    }
}

fn rule() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "+", "+", "c*", "+a"]);
    let path = prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"));
    let end = prop::sample::select(vec!["", "", "/", "*", "/*"]);
    let words = prop::collection::vec(
        prop::sample::select(vec![
            "create", "read", "update", "list", "scan", "sudo", "deny",
        ]),
        0..4,
    );
    let more = prop::sample::select(vec![
        "",
        "",
        "",
        "denied_parameters = { \"x\" = [] }",
        "pagination_limit = 5",
        "min_wrapping_ttl = \"1m\"",
        "max_wrapping_ttl = \"1m\"",
        "expiration = \"2027-01-01T00:00:00Z\"",
    ]);
    (path, end, words, more).prop_map(|(path, end, words, more)| {
        let end = if path.ends_with('+') && end == "*" {
            ""
        } else {
            end
        };
        format!("path \"{path}{end}\" {{ capabilities = {words:?} {more} }}\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// The translation itself compares; that it refuses to differ would show here.
    #[test]
    fn any_rules_are_said_or_named(rules in prop::collection::vec(rule(), 1..6)) {
        match translate_rest("app", &rules.concat()) {
            Ok(made) => prop_assert!(made.requests > 0),
            Err(TranslateError::Unsayable(_)) => {}
            Err(error) => prop_assert!(false, "{}: {error}", rules.concat()),
        }
    }
}

#[test]
fn an_end_between_two_milliseconds_is_the_earlier_one() {
    for (end, said) in [
        ("2026-12-31T23:59:59.999Z", "2026-12-31T23:59:59.999Z"),
        ("2026-12-31T23:59:59.9995Z", "2026-12-31T23:59:59.999Z"),
        ("2027-01-01T00:00:00.0004Z", "2027-01-01T00:00:00.000Z"),
    ] {
        let hcl = format!("path \"a\" {{ capabilities = [\"read\"] expiration = \"{end}\" }}");
        let text = translate("app", &hcl).unwrap().text;
        let said = format!("context.time < datetime(\"{said}\")");
        assert!(text.contains(&said), "{end}: {text}");
    }
}

#[test]
fn a_folder_that_is_denied_needs_no_word_on_sudo() {
    let hcl = r#"
        path "ab/+" { capabilities = ["sudo"] }
        path "ab"   { capabilities = ["deny"] }"#;
    assert!(translate("app", hcl).is_ok());
}

#[test]
fn hundreds_of_rules_are_left_out_of_one_document() {
    let limited = |n: usize| {
        format!(
            "path \"secret/data/team-{n:03}/service/app\" {{ capabilities = [\"list\"] pagination_limit = 5 }}\n"
        )
    };
    let templated = |n: usize| {
        format!(
            "path \"secret/data/team-{n:03}/{{{{identity.entity.id}}}}/*\" {{ capabilities = [\"read\"] }}\n"
        )
    };
    let long = |n: usize| {
        let deep = "a-long-name-of-a-folder/".repeat(12);
        format!(
            "path \"secret/data/{deep}{n:03}\" {{ capabilities = [\"list\"] pagination_limit = 5 }}\n"
        )
    };
    let all = "path \"secret/*\" { capabilities = [\"create\", \"read\", \"list\", \"sudo\"] }
        path \"secret/data/+/x\" { capabilities = [\"update\"] }
        path \"other/*\" { capabilities = [\"read\"] }\n";
    let made = |rule: &dyn Fn(usize) -> String| {
        let hcl = format!("{all}{}", (0..200).map(rule).collect::<String>());
        let made = translate_rest("app", &hcl).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(made.left_out.len(), 200);
        made.text
    };
    for text in [made(&limited), made(&templated)] {
        assert!(text.contains("line 202, column 6: the rule of"), "{text}");
        assert!(!text.contains("To be short"), "{text}");
    }
    // What is too long all the same is taken together, and told.
    let text = made(&long);
    let told = text.lines().filter(|line| line.contains("To be short"));
    let told: Vec<&str> = told.collect();
    assert!(!told.is_empty() && told.len() < 20, "{told:?}");
    assert!(
        told.iter()
            .all(|line| line.contains("`secret/data/a-long-name-of-a-folder/a-long")),
        "{told:?}"
    );
    assert!(text.contains("resource.path like \"other/*\"\n"), "{text}");
}

#[test]
fn sudo_is_not_given_where_a_rule_of_higher_priority_takes_it() {
    for taken in ["secret/a", "secret/+/x", "secret/a/"] {
        let hcl = format!(
            "path \"secret/*\" {{ capabilities = [\"read\", \"list\", \"sudo\"] }}
             path \"{taken}\" {{ capabilities = [\"update\"] }}"
        );
        if let Err(error) = translate("app", &hcl) {
            panic!("{taken}: {error}");
        }
    }
}
