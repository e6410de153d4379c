use super::*;

fn normal(user: &str, used: &str) -> Option<String> {
    objection(&Use {
        user,
        used,
        in_tests_only: false,
    })
}

fn in_tests(user: &str, used: &str) -> Option<String> {
    objection(&Use {
        user,
        used,
        in_tests_only: true,
    })
}

fn assert_refused(found: Option<String>, why: &str) {
    assert!(
        found.as_ref().is_some_and(|text| text.contains(why)),
        "{found:?}, not `{why}`"
    );
}

#[test]
fn downward_is_allowed() {
    for (user, used) in [
        ("secretum-barrier", "secretum-storage"),
        ("secretum-core", "secretum-policy"),
        ("secretum-engines", "secretum-engine"),
        ("secretum-cli", "secretum-engines"),
        ("secretum-testkit", "secretum-cli"),
        ("secretum-fuzz", "secretum-hcl"),
    ] {
        assert_eq!(normal(user, used), None, "{user} {used}");
    }
}

#[test]
fn upward_and_sideways_is_refused() {
    assert_refused(
        normal("secretum-storage", "secretum-core"),
        "floor 0 may not know floor 2",
    );
    assert_refused(
        normal("secretum-policy", "secretum-audit"),
        "floor 1 may not know floor 1",
    );
    assert_refused(
        normal("secretum-server", "secretum-cli"),
        "floor 4 may not know floor 5",
    );
}

#[test]
fn tests_look_down_too() {
    assert_eq!(in_tests("secretum-core", "secretum-hcl"), None);
    assert_refused(
        in_tests("secretum-core", "secretum-engines"),
        "floor 2 may not know floor 3",
    );
}

#[test]
fn what_a_crate_must_not_know_though_it_is_lower() {
    assert_refused(
        normal("secretum-engines", "secretum-core"),
        "though it is lower",
    );
    assert_refused(
        normal("secretum-policy", "secretum-storage"),
        "though it is lower",
    );
    assert_refused(
        normal("secretum-server", "secretum-engines"),
        "though it is lower",
    );
    assert_refused(
        normal("secretum-kms-service", "secretum-core"),
        "though it is lower",
    );
}

#[test]
fn http_stays_above_core() {
    assert_refused(normal("secretum-core", "hyper"), "must not know about that");
    assert_refused(
        normal("secretum-engine", "http"),
        "must not know about that",
    );
    assert_eq!(normal("secretum-server", "hyper"), None);
}

#[test]
fn only_crypto_calls_a_cryptography_library() {
    assert_eq!(normal("secretum-crypto", "aws-lc-rs"), None);
    assert_refused(
        normal("secretum-barrier", "aws-lc-rs"),
        "only `secretum-crypto` may",
    );
    assert_refused(
        in_tests("secretum-engines", "sha2"),
        "only `secretum-crypto` may",
    );
}

#[test]
fn testkit_is_for_the_tests_of_what_serves() {
    assert_eq!(in_tests("secretum-server", "secretum-testkit"), None);
    assert_eq!(in_tests("secretum-cli", "secretum-testkit"), None);
    assert_refused(
        normal("secretum-server", "secretum-testkit"),
        "tests of floor 4",
    );
    assert_refused(
        in_tests("secretum-engines", "secretum-testkit"),
        "tests of floor 4",
    );
}

#[test]
fn nothing_uses_chores_and_chores_use_nothing() {
    assert_refused(
        in_tests("secretum-cli", "secretum-xtask"),
        "nothing may use it",
    );
    assert_refused(
        normal("secretum-testkit", "secretum-fuzz"),
        "nothing may use it",
    );
    assert_refused(
        normal("secretum-xtask", "secretum-api"),
        "without any of the others",
    );
}

#[test]
fn a_crate_that_is_not_in_the_table_is_named() {
    assert_refused(
        normal("secretum-core", "secretum-utils"),
        "no crate `utils`",
    );
}

#[test]
fn the_table_has_every_crate_once_and_names_only_those_it_has() {
    for (at, known) in CRATES.iter().enumerate() {
        let again = CRATES
            .iter()
            .skip(at + 1)
            .any(|other| other.folder == known.folder);
        assert!(!again, "`{}` stands in the table twice", known.folder);
    }
    for (_, home) in ONLY_IN {
        assert!(
            CRATES.iter().any(|known| known.folder == *home),
            "no crate `{home}`"
        );
    }
}
