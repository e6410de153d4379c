//! The documented precedence of rules, case by case.

use crate::{acl, ask};
use secretum_policy::Operation::{Read, Update};

/// The second path wins over the first on the third, in whatever order they are written.
#[test]
fn the_more_special_rule_decides_alone() {
    let cases = [
        // The first wildcard comes earlier.
        ("*", "a*", "ab"),
        ("a/*", "a/b*", "a/bc"),
        ("+/b", "a/+", "a/b"),
        ("+/*", "foo/+/*", "foo/bar/bar/baz"),
        ("foo/+/(ar/baz", "foo/(ar/+/baz", "foo/(ar/(ar/baz"),
        ("secret/*", "secret/x+/*", "secret/x+/y"),
        // One ends in `*`.
        ("a/*", "a/+", "a/b"),
        ("foo/bar/+/baz*", "foo/bar/+/baz", "foo/bar/bar/baz"),
        ("1/2/*", "1/2/+/+", "1/2/3/4"),
        // One has more `+`.
        ("+/*", "*", "foo/bar/bar/baz"),
        ("secret/+/+/foo/*", "secret/*", "secret/a/b/foo/c"),
        ("foo/+/+/baz", "foo/+/bar/baz", "foo/bar/bar/baz"),
        // One is shorter.
        ("foo/bar/+/b*", "foo/bar/+/ba*", "foo/bar/bar/baz"),
        // One is lexicographically smaller.
        ("a/+/+/c", "a/+/b/+", "a/x/b/c"),
        // An exact path is above all.
        ("a/+", "a/b", "a/b"),
        ("a/b*", "a/b", "a/b"),
    ];
    for (loses, wins, path) in cases {
        let rules = |read: &str, update: &str| {
            let rule = |path, may| format!("path \"{path}\" {{ capabilities = [\"{may}\"] }}\n");
            [
                rule(loses, read) + &rule(wins, update),
                rule(wins, update) + &rule(loses, read),
            ]
        };
        for rules in rules("read", "update") {
            let acl = acl(&[&rules]);
            let decision = ask(&acl, Update, path);
            assert!(decision.allowed, "{wins} should win on {path}");
            assert_eq!(&*decision.deciding.unwrap().path, wins);
            assert!(
                !ask(&acl, Read, path).allowed,
                "{loses} should lose on {path}"
            );
        }
    }
}

#[test]
fn wildcards_match_whole_segments() {
    let rules = r#"
path "test/+/segment" { capabilities = ["read"] }
path "test/end/+" { capabilities = ["read"] }
path "test/v2/+/" { capabilities = ["read"] }
path "glob/+/end*" { capabilities = ["read"] }
path "star/a*b" { capabilities = ["read"] }
path "plus/a+" { capabilities = ["read"] }
path "plus/+b/c" { capabilities = ["read"] }
"#;
    let acl = acl(&[rules]);
    for (path, allowed) in [
        ("test/foo/segment", true),
        ("test/foo/bar/segment", false),
        ("test//segment", true),
        ("test/end/foo", true),
        ("test/end/foo/", false),
        ("test/v2/foo/", true),
        ("test/v2/foo", false),
        ("glob/x/end", true),
        ("glob/x/ending/more", true),
        ("glob/x/y/end", false),
        ("glob/x", false),
        ("star/a*b", true),
        ("star/axb", false),
        ("plus/a+", true),
        ("plus/ab", false),
        ("plus/+b/c", true),
        ("plus/ab/c", false),
    ] {
        assert_eq!(ask(&acl, Read, path).allowed, allowed, "{path}");
    }
}
