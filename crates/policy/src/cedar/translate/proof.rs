//! Holds a translation against its policy, on requests that are generated from both.
//!
//! Every path that a rule speaks of is asked for with every verb, and so are its neighbours: with
//! other segments in the place of wildcards, with more behind, with less. Times are those before, at and
//! after each end of a rule, lives of wrapping those at each bound.

use super::TranslateError;
use super::area::Area;
use crate::cedar::{
    Action, Ask, Caller, Cedar, Circumstances, Document, Resource, Verdict, Wanted,
};
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

/// The most segments that stand in for a wildcard.
const SEGMENTS_MAX: usize = 12;

/// The most moments, and the most lives of wrapping, that are asked for.
const AROUND_MAX: usize = 12;

struct Bench<'a> {
    policy: Arc<Policy>,
    cedar: Cedar,
    caller: Caller,
    left_out: &'a [Area],
}

/// Holds a document against a policy; returns on how many requests. In the areas of rules that were left
/// out it must permit nothing.
///
/// **Errors**: [`TranslateError::Differs`].
pub(super) fn compare(
    policy: Policy,
    document: Document,
    left_out: &[Area],
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
    let (paths, wraps) = (paths(rules), wraps(rules));
    let mut compared = 0;
    for now in moments(rules) {
        let acl = Acl::at(&[Arc::clone(&bench.policy)], now);
        for path in &paths {
            for operation in OPERATIONS {
                for wrap_ttl in &wraps {
                    bench.check(&acl, (path, operation), now, *wrap_ttl)?;
                    compared += 1;
                }
            }
        }
    }
    Ok(compared)
}

impl Bench<'_> {
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
        if self.left_out.iter().any(|area| area.contains(path)) {
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

/// The paths of all rules, and their neighbours.
fn paths(rules: &[Rule]) -> BTreeSet<String> {
    let patterns = || rules.iter().filter_map(|rule| rule.pattern.as_ref());
    let written = patterns().flat_map(|pattern| pattern.stem().split('/'));
    let known: BTreeSet<&str> = written.filter(|segment| !segment.is_empty()).collect();
    let mut segments: Vec<&str> = vec!["x", "*"];
    segments.extend(
        known
            .into_iter()
            .filter(|one| *one != "+")
            .take(SEGMENTS_MAX),
    );
    let mut paths = BTreeSet::new();
    for pattern in patterns() {
        let stem = pattern.stem();
        let filled = segments
            .iter()
            .map(|segment| match pattern.has_wildcards() {
                true => {
                    let parts = stem.split('/');
                    let parts = parts.map(|part| if part == "+" { *segment } else { part });
                    parts.collect::<Vec<_>>().join("/")
                }
                false => stem.to_owned(),
            });
        for path in filled.collect::<BTreeSet<_>>() {
            paths.extend(neighbours(&path, &segments));
        }
        if paths.len() > PATHS_MAX {
            break;
        }
    }
    paths.retain(|path| !path.is_empty() && !path.starts_with('/') && !path.contains("//"));
    paths.into_iter().take(PATHS_MAX).collect()
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
    use super::*;

    fn compared(hcl: &str, cedar: &str) -> Result<usize, TranslateError> {
        let document = Document::read("app", cedar).unwrap();
        compare(Policy::parse("app", hcl).unwrap(), document, &[])
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

    #[test]
    fn nothing_may_be_permitted_where_a_rule_was_left_out() {
        let hcl = r#"path "a/*" { capabilities = ["read"] }
            path "a/b" { capabilities = ["read"] pagination_limit = 5 }"#;
        let made = crate::cedar::translate::translate_rest("app", hcl).unwrap();
        let area = Area::Exactly("a/b".to_owned());
        let compared = |text: &str| {
            let (policy, document) = (Policy::parse("app", hcl), Document::read("app", text));
            compare(
                policy.unwrap(),
                document.unwrap(),
                std::slice::from_ref(&area),
            )
        };
        assert!(compared(&made.text).is_ok());
        let more = made.text.replace("!(resource.path == \"a/b\")", "true");
        assert!(matches!(
            compared(&more),
            Err(TranslateError::Differs { .. })
        ));
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
