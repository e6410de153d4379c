//! The decision as the documentation tells it: slow, and plain to see.

use secretum_policy::{CapabilitySet, Operation, Policy};
use std::cmp::Ordering;
use std::sync::Arc;

/// What the rules grant over a path, if one matches.
pub(crate) fn capabilities(
    policies: &[Arc<Policy>],
    operation: Operation,
    path: &str,
) -> Option<CapabilitySet> {
    let rules = policies.iter().flat_map(|policy| policy.rules());
    let all: Vec<(String, CapabilitySet)> = rules
        .map(|rule| (rule.path.to_string(), rule.capabilities))
        .collect();
    let lists = matches!(operation, Operation::List | Operation::Scan);
    let trimmed = path.strip_suffix('/').filter(|_| lists);
    let exact = |path: &str| {
        all.iter()
            .map(|(p, _)| p)
            .find(|p| is_exact(p) && *p == path)
    };
    let wild = |path: &str| {
        let matching = all.iter().map(|(pattern, _)| pattern);
        matching
            .filter(|p| !is_exact(p) && matches(p, path))
            .max_by(|a, b| compare(a, b))
    };
    let winner = exact(path)
        .or_else(|| trimmed.and_then(exact))
        .or_else(|| wild(path))
        .or_else(|| trimmed.and_then(wild))?;
    let same = all.iter().filter(|(pattern, _)| pattern == winner);
    Some(same.fold(CapabilitySet::NONE, |sum, (_, more)| sum.merged(*more)))
}

fn has_plus(pattern: &str) -> bool {
    pattern == "+" || pattern.starts_with("+/") || pattern.contains("/+")
}

fn is_exact(pattern: &str) -> bool {
    !has_plus(pattern) && !pattern.ends_with('*')
}

fn matches(pattern: &str, path: &str) -> bool {
    if !has_plus(pattern) {
        return path.starts_with(pattern.stem());
    }
    let glob = pattern.ends_with('*');
    let wanted: Vec<&str> = pattern.stem().split('/').collect();
    let given: Vec<&str> = path.split('/').collect();
    if given.len() < wanted.len() || (!glob && given.len() > wanted.len()) {
        return false;
    }
    let last = wanted.len() - 1;
    wanted
        .iter()
        .zip(&given)
        .enumerate()
        .all(|(at, (wanted, given))| {
            *wanted == "+" || wanted == given || (glob && at == last && given.starts_with(wanted))
        })
}

/// Which of two patterns that match has the higher priority.
fn compare(a: &str, b: &str) -> Ordering {
    let first = |pattern: &str| {
        let end = pattern.stem().len();
        if has_plus(pattern) {
            pattern.find('+').unwrap_or(end)
        } else {
            end
        }
    };
    let pluses = |pattern: &str| {
        pattern
            .stem()
            .split('/')
            .filter(|segment| *segment == "+")
            .count()
    };

    first(a)
        .cmp(&first(b))
        .then(b.ends_with('*').cmp(&a.ends_with('*')))
        .then(pluses(b).cmp(&pluses(a)))
        .then(a.stem().len().cmp(&b.stem().len()))
        .then(a.stem().cmp(b.stem()))
}

trait Stem {
    fn stem(&self) -> &str;
}

impl Stem for str {
    /// The pattern less one final `*`.
    fn stem(&self) -> &str {
        self.strip_suffix('*').unwrap_or(self)
    }
}
