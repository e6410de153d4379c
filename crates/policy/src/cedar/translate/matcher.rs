//! [`Matcher`]: the rule of a path as a condition, and the order in which rules are looked at.

use crate::cedar::ask::moment;
use crate::pattern::{Pattern, Priority};
use crate::{Capability, CapabilitySet, Rule};
use secretum_crypto::Timestamp;
use std::cmp::Reverse;
use std::time::Duration;

/// How requests look a path up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// LIST and SCAN, whose paths end in a slash: also without that.
    Folder,
}

/// All rules of one path, for one way to look it up.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pattern: Pattern,
    /// Whether the path is meant with a slash behind it.
    with_slash: bool,
    pub(super) capabilities: CapabilitySet,
    min_wrapping: Option<Duration>,
    max_wrapping: Option<Duration>,
    end: Option<Timestamp>,
}

/// The rules in the order in which they are looked at, those of one path together.
pub(super) fn ordered(rules: &[Rule], kind: Kind) -> Vec<Matcher> {
    let mut all: Vec<Matcher> = Vec::new();
    for rule in rules {
        let Some(pattern) = &rule.pattern else {
            continue;
        };
        match all.iter_mut().find(|known| known.pattern == *pattern) {
            Some(known) => known.add(rule),
            None => all.push(Matcher::new(pattern, rule)),
        }
    }
    let mut places: Vec<(usize, Reverse<Priority>, Matcher)> = Vec::new();
    for matcher in all {
        let priority = Reverse(matcher.pattern.priority());
        let place = if matcher.pattern.is_exact() { 0 } else { 2 };
        if kind == Kind::Folder && !matcher.pattern.is_glob() {
            let with_slash = Matcher {
                with_slash: true,
                ..matcher.clone()
            };
            places.push((place + 1, priority.clone(), with_slash));
        }
        places.push((place, priority, matcher));
    }
    places.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let matchers = places.into_iter().map(|(_, _, matcher)| matcher);
    // A path of LIST and SCAN ends in a slash, so others are not met.
    matchers
        .filter(|matcher| kind == Kind::Plain || matcher.can_end_in_slash())
        .collect()
}

impl Matcher {
    fn new(pattern: &Pattern, rule: &Rule) -> Self {
        let mut matcher = Self {
            pattern: pattern.clone(),
            with_slash: false,
            capabilities: CapabilitySet::NONE,
            min_wrapping: None,
            max_wrapping: None,
            end: rule.expiration,
        };
        matcher.add(rule);
        matcher
    }

    fn add(&mut self, rule: &Rule) {
        self.capabilities = self.capabilities.merged(rule.capabilities);
        let least = |one: Option<Duration>, other: Option<Duration>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.min_wrapping = least(self.min_wrapping, rule.min_wrapping_ttl);
        self.max_wrapping = least(self.max_wrapping, rule.max_wrapping_ttl);
    }

    /// Whether it matches this path.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self.with_slash {
            true => {
                let without = path.strip_suffix('/');
                without.is_some_and(|path| self.pattern.matches(path))
            }
            false => self.pattern.matches(path),
        }
    }

    /// Whether it matches one path and no other.
    pub(super) fn is_exact(&self) -> bool {
        self.pattern.is_exact()
    }

    /// Whether every path that it matches begins so, as far as it is certain.
    pub(super) fn begins_with(&self, start: &str) -> bool {
        self.fixed().0.starts_with(start)
    }

    /// Whether some path that it matches may begin so; says no only where none can.
    pub(super) fn may_begin_with(&self, start: &str) -> bool {
        let (text, whole) = self.fixed();
        text.starts_with(start) || !whole && start.starts_with(&text)
    }

    fn can_end_in_slash(&self) -> bool {
        let stem = self.pattern.stem();
        self.with_slash || self.pattern.is_glob() || stem.ends_with('/') || stem.ends_with("/+")
    }

    /// Its own condition, less what rules before it take that do not `give` the same.
    pub(super) fn less(&self, before: &[Self], gives: impl Fn(&Self) -> bool) -> Vec<String> {
        let mut conditions = vec![self.condition()];
        for other in before {
            if !gives(other) && other.may_meet(self) {
                conditions.push(format!("!({})", other.condition()));
            }
        }
        conditions
    }

    /// Whether what it says is at least these rights, without further conditions. What denies is
    /// another statement's to say, which beats all.
    pub(super) fn gives(&self, rights: CapabilitySet) -> bool {
        let plain = self.min_wrapping.is_none() && self.max_wrapping.is_none();
        let all = rights.iter().all(|right| self.capabilities.contains(right));
        self.capabilities.denies() || plain && all
    }

    /// The same of `sudo`, which does not look at wrapping.
    pub(super) fn has_sudo(&self) -> bool {
        self.capabilities.denies() || self.capabilities.contains(Capability::Sudo)
    }

    /// The first segment of every path that it matches, if it is always the same and more follows:
    /// the mount of such a path begins with it.
    pub(super) fn first_segment(&self) -> Option<&str> {
        let (first, _) = self.pattern.stem().split_once('/')?;
        (!first.is_empty() && (first != "+" || !self.pattern.has_wildcards())).then_some(first)
    }

    /// The bounds of wrapping.
    pub(super) fn wrapping(&self) -> Vec<String> {
        let mut conditions = Vec::new();
        if self.min_wrapping.is_some() || self.max_wrapping.is_some() {
            conditions.push("context.wrap_ttl > duration(\"0s\")".to_owned());
        }
        let whole = |of: Duration| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
        if let Some(min) = self.min_wrapping {
            let millis = whole(min.saturating_add(Duration::from_nanos(999_999)));
            conditions.push(format!("context.wrap_ttl >= duration(\"{millis}ms\")"));
        }
        if let Some(max) = self.max_wrapping {
            let millis = whole(max);
            conditions.push(format!("context.wrap_ttl <= duration(\"{millis}ms\")"));
        }
        conditions
    }

    fn condition(&self) -> String {
        let path = self.path_condition();
        match self.end {
            None => path,
            Some(end) => {
                // Cedar's clock shows whole milliseconds: what is between two ends with the earlier.
                let end = moment(end);
                format!("{path} && context.time < datetime(\"{end}\")")
            }
        }
    }

    fn path_condition(&self) -> String {
        let slash = if self.with_slash { "/" } else { "" };
        let stem = format!("{}{slash}", self.pattern.stem());
        if self.pattern.is_glob() {
            return format!("resource.path like \"{}*\"", literal(&stem));
        }
        if !self.pattern.has_wildcards() {
            return format!("resource.path == {stem:?}");
        }
        let segments: Vec<String> = stem
            .split('/')
            .map(|segment| match segment {
                "+" => "*".to_owned(),
                segment => literal(segment),
            })
            .collect();
        // With as many slashes as are written, no star has one.
        let more = "*/".repeat(segments.len());
        let pattern = segments.join("/");
        format!("resource.path like \"{pattern}\" && !(resource.path like \"{more}*\")")
    }

    /// What every path that it matches begins with, and whether that is the whole path.
    fn fixed(&self) -> (String, bool) {
        let stem = self.pattern.stem();
        let slash = if self.with_slash { "/" } else { "" };
        if self.pattern.is_exact() {
            return (format!("{stem}{slash}"), true);
        }
        let end = match self.pattern.has_wildcards() {
            true => stem.find('+').unwrap_or(stem.len()),
            false => stem.len(),
        };
        (stem.get(..end).unwrap_or_default().to_owned(), false)
    }

    /// Whether some path may match both; says no only where none can.
    fn may_meet(&self, other: &Self) -> bool {
        match (self.fixed(), other.fixed()) {
            ((one, true), (other, true)) => one == other,
            ((path, true), (start, false)) | ((start, false), (path, true)) => {
                path.starts_with(&start)
            }
            ((one, false), (other, false)) => one.starts_with(&other) || other.starts_with(&one),
        }
    }
}

/// A text in a pattern of `like`, where it stands for itself.
pub(super) fn literal(text: &str) -> String {
    let quoted = format!("{text:?}");
    let inner = quoted.trim_start_matches('"');
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    inner.replace('*', "\\*")
}
