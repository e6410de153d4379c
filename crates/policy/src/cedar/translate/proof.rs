//! Holds a translation against its policy, on requests that are generated from both.
//!
//! Every path that a rule speaks of is asked for with every verb, and so are its neighbours: with
//! other segments in the place of wildcards, with more behind, with less. Rules with templates are filled
//! with names, new ones and those that other rules speak of. Times are those before, at and after each end
//! of a rule, lives of wrapping those at each bound.

use super::TranslateError;
use super::area::Areas;
use super::matcher::Kind;
use crate::cedar::{
    Action, Ask, Caller, Cedar, Circumstances, Document, Resource, Verdict, Wanted,
};
use crate::pattern::Pattern;
use crate::{AccessRequest, Acl, Operation, Policy, Rule};
use secretum_crypto::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Read,
    Operation::Update,
    Operation::Patch,
    Operation::Delete,
    Operation::List,
    Operation::Scan,
];

/// The most paths that are asked for.
const PATHS_MAX: usize = 4_000;

/// The most paths around rules with templates, for each value that stands in.
const FILLED_PATHS_MAX: usize = 1_000;

/// How many segments of rules stand in for values of templates.
const STAND_INS_KNOWN: usize = 2;

/// The most segments that stand in for a wildcard.
const SEGMENTS_MAX: usize = 12;

/// The most moments, and the most lives of wrapping, that are asked for.
const AROUND_MAX: usize = 12;

struct Bench<'a> {
    policy: Arc<Policy>,
    cedar: Cedar,
    caller: Caller,
    left_out: &'a Areas,
}

/// Holds a document against a policy; returns on how many requests. In the areas of rules that were left
/// out it must permit nothing.
///
/// **Errors**: [`TranslateError::Differs`].
pub(super) fn compare(
    policy: Policy,
    document: Document,
    left_out: &Areas,
) -> Result<usize, TranslateError> {
    let differs = |_| TranslateError::Differs {
        operation: "",
        path: String::new(),
    };
    let roles = [policy.name().to_owned()];
    let bench = Bench {
        caller: Caller::new(None, "accessor", &roles, &[]).map_err(differs)?,
        policy: Arc::new(policy),
        cedar: Cedar::default(),
        left_out,
    };
    bench.cedar.put(document);
    let rules = bench.policy.rules();
    let mut compared = bench.compare(&bench.policy, &paths(rules, |_| true, PATHS_MAX))?;
    // Rules with templates match nothing before they are filled, and then they may match anything.
    for value in stand_ins(rules) {
        let filled = bench.policy.filled(|_| Some(value));
        let paths = paths(filled.rules(), is_templated, FILLED_PATHS_MAX);
        compared += bench.compare(&filled, &paths)?;
    }
    Ok(compared)
}

fn is_templated(rule: &Rule) -> bool {
    rule.path.contains("{{")
}

/// What stands in for the values of templates: new names, one of several segments, and some that rules
/// name.
fn stand_ins(rules: &[Rule]) -> Vec<&str> {
    if !rules.iter().any(is_templated) {
        return Vec::new();
    }
    let known = segments(rules).into_iter().take(STAND_INS_KNOWN);
    ["x", "x/y"].into_iter().chain(known).collect()
}

impl Bench<'_> {
    /// Holds the document against the policy on requests for these paths; returns on how many.
    fn compare(
        &self,
        policy: &Arc<Policy>,
        paths: &BTreeSet<String>,
    ) -> Result<usize, TranslateError> {
        let rules = policy.rules();
        let wraps = wraps(rules);
        let mut compared = 0;
        for now in moments(rules) {
            let acl = Acl::at(&[Arc::clone(policy)], now);
            for path in paths {
                for operation in OPERATIONS {
                    for wrap_ttl in &wraps {
                        self.check(&acl, (path, operation), now, *wrap_ttl)?;
                        compared += 1;
                    }
                }
            }
        }
        Ok(compared)
    }

    fn check(
        &self,
        acl: &Acl,
        (path, operation): (&str, Operation),
        now: Timestamp,
        wrap_ttl: Duration,
    ) -> Result<(), TranslateError> {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let path = if operation.lists() { &folder } else { path };
        let hcl = acl.decide(&AccessRequest {
            path,
            operation,
            parameters: None,
            wrap_ttl: Some(wrap_ttl).filter(|ttl| !ttl.is_zero()),
        });
        let differs = || TranslateError::Differs {
            operation: operation.capability().name(),
            path: path.to_owned(),
        };
        let ask = |action: &str| {
            let around = (now, wrap_ttl);
            let verdict = self.ask(path, operation.lists(), action, around);
            verdict.ok_or_else(differs)
        };
        let kind = match operation.lists() {
            true => Kind::Folder,
            false => Kind::Plain,
        };
        if self.left_out.contain(path, kind) {
            let permits = |verdict| matches!(verdict, Verdict::Permitted(_));
            let permitted = permits(ask(operation.capability().name())?) || permits(ask("sudo")?);
            return if permitted { Err(differs()) } else { Ok(()) };
        }
        let same = match ask(operation.capability().name())? {
            Verdict::Permitted(_) => hcl.allowed,
            Verdict::Forbidden(_) => hcl.forbids(),
            Verdict::Silent => !hcl.allowed && !hcl.forbids(),
        };
        // A path that ends in a slash may be a folder's or not, which `sudo` does not say. Where the
        // verb is forbidden, nobody asks for it.
        let same_sudo = path.ends_with('/') && !operation.lists()
            || hcl.forbids()
            || matches!(ask("sudo")?, Verdict::Permitted(_)) == hcl.sudo;
        if same && same_sudo {
            Ok(())
        } else {
            Err(differs())
        }
    }

    fn ask(
        &self,
        path: &str,
        lists: bool,
        action: &str,
        (time, wrap_ttl): (Timestamp, Duration),
    ) -> Option<Verdict> {
        let (mount, rest) = path.split_once('/').unwrap_or(("", path));
        let logical = if lists {
            rest.trim_end_matches('/')
        } else {
            rest
        };
        let ask = Ask {
            caller: &self.caller,
            action: Action::named(action)?,
            resource: &Resource::new(mount, logical, path, "kv"),
            around: Circumstances {
                ttl: Duration::from_secs(3_600),
                time,
                ip: None,
                mfa: false,
                wrap_ttl,
                parameters: None,
            },
        };
        self.cedar.decide(&ask, Wanted::Both).ok()
    }
}

/// The segments that the rules name.
fn segments(rules: &[Rule]) -> BTreeSet<&str> {
    let patterns = rules.iter().filter_map(|rule| rule.pattern.as_ref());
    let written = patterns.flat_map(|pattern| pattern.stem().split('/'));
    let is_name = |segment: &&str| !segment.is_empty() && !segment.contains('+');
    written.filter(is_name).collect()
}

/// The paths of these rules, and their neighbours: of every rule the nearest first.
fn paths(rules: &[Rule], of: fn(&Rule) -> bool, most: usize) -> BTreeSet<String> {
    let known = segments(rules).into_iter().take(SEGMENTS_MAX);
    let segments: Vec<&str> = ["x", "*"].into_iter().chain(known).collect();
    let patterns = rules
        .iter()
        .filter(|rule| of(rule))
        .filter_map(|rule| rule.pattern.as_ref());
    let mut around: Vec<_> = patterns
        .map(|pattern| {
            let filled = filled(pattern, &segments).into_iter();
            let near = filled.clone().flat_map(|path| neighbours(&path, &segments));
            filled.chain(near)
        })
        .collect();
    let mut paths = BTreeSet::new();
    while !around.is_empty() && paths.len() < most {
        around.retain_mut(|more| {
            let path = more.next();
            let is_one =
                |path: &String| !path.is_empty() && !path.starts_with('/') && !path.contains("//");
            let is_more = path.is_some();
            paths.extend(path.filter(is_one).filter(|_| paths.len() < most));
            is_more
        });
    }
    paths
}

/// The path of a pattern, with each of these segments in the place of its wildcards.
fn filled(pattern: &Pattern, segments: &[&str]) -> Vec<String> {
    let stem = pattern.stem();
    if !pattern.has_wildcards() {
        return vec![stem.to_owned()];
    }
    let with = |segment: &&str| {
        let parts = stem.split('/');
        let parts = parts.map(|part| if part == "+" { *segment } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    segments.iter().map(with).collect()
}

fn neighbours(path: &str, segments: &[&str]) -> Vec<String> {
    let mut all = vec![
        path.to_owned(),
        format!("{path}/"),
        format!("{path}x"),
        path.trim_end_matches('/').to_owned(),
    ];
    if let Some((above, _)) = path.trim_end_matches('/').rsplit_once('/') {
        all.extend([
            above.to_owned(),
            format!("{above}/"),
            format!("{above}/other"),
        ]);
    }
    for segment in segments {
        let below = path.trim_end_matches('/');
        all.push(format!("{path}{segment}"));
        all.push(format!("{below}/{segment}"));
        all.push(format!("{below}/{segment}/y"));
    }
    all
}

fn moments(rules: &[Rule]) -> Vec<Timestamp> {
    let mut all = vec![Timestamp::from_unix_seconds(0)];
    for end in rules.iter().filter_map(|rule| rule.expiration) {
        let second = Duration::from_secs(1);
        all.extend([end.minus(second), end, end.plus(second)]);
    }
    all.sort_unstable();
    all.dedup();
    all.truncate(AROUND_MAX);
    all
}

fn wraps(rules: &[Rule]) -> Vec<Duration> {
    let second = Duration::from_secs(1);
    let bounds = rules
        .iter()
        .flat_map(|rule| [rule.min_wrapping_ttl, rule.max_wrapping_ttl]);
    let mut all = vec![Duration::ZERO];
    for bound in bounds.flatten() {
        let whole = Duration::from_secs(bound.as_secs());
        all.extend([
            whole.saturating_sub(second),
            whole,
            whole.saturating_add(second),
        ]);
    }
    all.sort_unstable();
    all.dedup();
    all.truncate(AROUND_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::super::area::Area;
    use super::*;

    fn compared(hcl: &str, cedar: &str) -> Result<usize, TranslateError> {
        let document = Document::read("app", cedar).unwrap();
        let none = Areas::default();
        compare(Policy::parse("app", hcl).unwrap(), document, &none)
    }

    fn check(hcl: &str, changes: &[(&str, &str)]) {
        let right = crate::cedar::translate::translate("app", hcl).unwrap().text;
        for (said, otherwise) in changes {
            assert!(right.contains(said), "{said}: {right}");
            let wrong = compared(hcl, &right.replace(said, otherwise));
            let differs = matches!(wrong, Err(TranslateError::Differs { .. }));
            assert!(differs, "{said}: {wrong:?}");
        }
    }

    /// Whether a document that permits more, in the place of what it says of an area, is found out.
    fn check_area(hcl: &str, area: Area, said: &str) {
        let made = crate::cedar::translate::translate_rest("app", hcl).unwrap();
        let areas = Areas::new(vec![area]);
        let compared = |text: &str| {
            let (policy, document) = (Policy::parse("app", hcl), Document::read("app", text));
            compare(policy.unwrap(), document.unwrap(), &areas)
        };
        assert!(compared(&made.text).is_ok());
        assert!(made.text.contains(said), "{said}: {}", made.text);
        let more = made.text.replace(said, "true");
        let differs = matches!(compared(&more), Err(TranslateError::Differs { .. }));
        assert!(differs, "{said}");
    }

    #[test]
    fn nothing_may_be_permitted_where_a_rule_was_left_out() {
        let limited = r#"path "a/*" { capabilities = ["read"] }
            path "a/b" { capabilities = ["read"] pagination_limit = 5 }"#;
        let area = Area::Exactly("a/b".to_owned());
        check_area(limited, area, "!(resource.path == \"a/b\")");
        let templated = r#"path "a/*" { capabilities = ["read"] }
            path "a/own/{{identity.entity.id}}/x" { capabilities = ["update"] }"#;
        let area = Area::From("a/own/".to_owned());
        check_area(templated, area, "!(resource.path like \"a/own/*\")");
    }

    #[test]
    fn a_template_that_reaches_beyond_its_area_is_found() {
        let said = r#"path "a/*" { capabilities = ["read"] }"#;
        let left_out = r#"path "a/b/{{identity.entity.name}}" { capabilities = ["update"] }"#;
        let text = crate::cedar::translate::translate("app", said)
            .unwrap()
            .text;
        let compared = |hcl: &str, start: &str| {
            let (policy, document) = (Policy::parse("app", hcl), Document::read("app", &text));
            let areas = Areas::new(vec![Area::From(start.to_owned())]);
            compare(policy.unwrap(), document.unwrap(), &areas)
        };
        assert!(compared(said, "z/").is_ok());
        let differs = compared(&format!("{said} {left_out}"), "z/");
        assert!(matches!(differs, Err(TranslateError::Differs { .. })));
    }

    #[test]
    fn every_rule_is_asked_for_though_there_are_many() {
        let rule = |n: usize| format!("path \"s/{n:04}/+/x\" {{ capabilities = [\"read\"] }}\n");
        let hcl: String = (0..600).map(rule).collect();
        let policy = Policy::parse("app", &hcl).unwrap();
        let paths = paths(policy.rules(), |_| true, PATHS_MAX);
        assert_eq!(paths.len(), PATHS_MAX);
        for n in 0..600 {
            assert!(paths.contains(&format!("s/{n:04}/x/x")), "{n}");
        }
    }

    #[test]
    fn a_difference_is_found() {
        let paths = r#"path "a/*" { capabilities = ["read"] } path "a/b" { capabilities = ["deny"] }
            path "c/+/d" { capabilities = ["list"] }"#;
        check(
            paths,
            &[
                ("like \"a/*\"", "like \"a*\""),
                ("resource.path == \"a/b\"", "resource.path == \"a/c\""),
                ("like \"*/*/*/*/*\"", "like \"*/*/*/*/*/*\""),
                ("Action::\"read\"", "Action::\"scan\""),
                ("in Role::\"app\"", "in Role::\"other\""),
                ("forbid", "permit"),
            ],
        );
        let around = r#"path "e" { capabilities = ["update", "sudo"]
            max_wrapping_ttl = "1m" expiration = "2027-01-01T00:00:00Z" }"#;
        check(
            around,
            &[
                ("Action::\"sudo\"", "Action::\"create\""),
                ("2027-01-01T00:00:00", "2027-01-01T00:00:01"),
                ("<= duration(\"60000ms\")", "<= duration(\"61000ms\")"),
            ],
        );
    }
}
