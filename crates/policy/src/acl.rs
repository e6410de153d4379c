//! Policies made ready, and the decision.

use crate::entry::{Entry, RulePath};
use crate::index::{EntryAt, Prefixes, Segments, any_begins};
use crate::pattern::Pattern;
use crate::{
    AccessRequest, Capability, CapabilitySet, Decision, Operation, Policy, PolicyId, Refusal, Rule,
    VISITED_MAX,
};
use secretum_crypto::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What some policies together permit.
#[derive(Debug, Default)]
pub struct Acl {
    root: bool,
    entries: Vec<Entry>,
    exact: HashMap<String, EntryAt>,
    prefixes: Prefixes,
    segments: Segments,
    /// Paths, and those with a final `*` less it, of rules that grant something.
    granting: BTreeMap<String, ()>,
    valid_until: Option<Timestamp>,
}

impl Acl {
    /// Makes policies ready that know no time: a rule with an `expiration` is left out, unless it
    /// denies. Policies with such rules want [`Acl::at`].
    pub fn new(policies: &[Arc<Policy>]) -> Self {
        Self::build(policies, |rule| {
            rule.expiration.is_none() || rule.capabilities.denies()
        })
    }

    /// Makes policies ready as they are at this moment; they stay so until [`Acl::valid_until`].
    pub fn at(policies: &[Arc<Policy>], now: Timestamp) -> Self {
        let mut acl = Self::build(policies, |rule| rule.expiration.is_none_or(|end| now < end));
        let rules = policies.iter().flat_map(|policy| &policy.rules);
        acl.valid_until = rules
            .filter_map(|rule| rule.expiration)
            .filter(|end| now < *end)
            .min();
        acl
    }

    fn build(policies: &[Arc<Policy>], counts: impl Fn(&Rule) -> bool) -> Self {
        let mut merged: HashMap<&Pattern, EntryAt> = HashMap::new();
        let mut entries: Vec<Entry> = Vec::new();
        for policy in policies {
            for rule in policy.rules.iter().filter(|rule| counts(rule)) {
                // A template that was not filled is nobody's rule.
                let Some(pattern) = &rule.pattern else {
                    continue;
                };
                let at = *merged.entry(pattern).or_insert(entries.len());
                if at == entries.len() {
                    entries.push(Entry::new(pattern));
                }
                let (policy, path) = (Arc::clone(&policy.name), Arc::clone(&rule.path));
                if let Some(entry) = entries.get_mut(at) {
                    entry.merge(rule, PolicyId { policy, path });
                }
            }
        }
        Self::indexed(
            policies.iter().any(|policy| policy.is_root()),
            entries,
            &merged,
        )
    }

    fn indexed(root: bool, entries: Vec<Entry>, merged: &HashMap<&Pattern, EntryAt>) -> Self {
        let grants = |at: EntryAt| {
            entries
                .get(at)
                .is_some_and(|entry| entry.capabilities.grants())
        };
        let each = || merged.iter().map(|(pattern, at)| (*pattern, *at));
        let plain = || each().filter(|(pattern, _)| !pattern.has_wildcards());
        let of = |glob: bool| plain().filter(move |(pattern, _)| pattern.is_glob() == glob);
        let stem = |(pattern, at): (&Pattern, EntryAt)| (pattern.stem().to_owned(), at);
        let wild = each().filter(|(pattern, _)| pattern.has_wildcards());
        Self {
            root,
            exact: of(false).map(stem).collect(),
            prefixes: Prefixes::new(of(true).map(stem).collect()),
            segments: Segments::new(
                wild.map(|(pattern, at)| (pattern.stem(), pattern.is_glob(), at, grants(at))),
            ),
            granting: plain()
                .filter(|(_, at)| grants(*at))
                .map(|(pattern, _)| (pattern.stem().to_owned(), ()))
                .collect(),
            entries,
            valid_until: None,
        }
    }

    /// Until when this holds, if a rule ends.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// How many nodes of the index of rules with `+` a decision could have to look at, where that is more
    /// than [`VISITED_MAX`]: it then permits nothing.
    pub fn overload(&self) -> Option<usize> {
        Some(self.segments.most_visited()).filter(|visited| *visited > VISITED_MAX)
    }

    /// Whether everything is permitted.
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// Decides over a request.
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        if self.root {
            return root_decision();
        }
        let Some(entry) = self.entry(request.path, request.operation.lists()) else {
            return no_rule();
        };
        let refusal = entry.refuses(request);
        Decision {
            allowed: refusal.is_none(),
            sudo: entry.capabilities.contains(Capability::Sudo),
            root: false,
            deciding: entry.deciding(request.operation.capability()),
            capabilities: entry.capabilities,
            refusal,
            page_limit: entry.pagination_limit.filter(|_| request.operation.lists()),
            mfa_methods: entry.mfa_methods.iter().cloned().collect(),
        }
    }

    /// The capabilities over a path, sorted, as `sys/capabilities` prints them: `deny` alone when
    /// there is none, `root` alone for root.
    pub fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if self.root {
            return vec!["root"];
        }
        let capabilities = self.capability_set(path);
        if capabilities.is_empty() {
            vec!["deny"]
        } else {
            capabilities.names()
        }
    }

    /// The capabilities over a path; of root, none.
    pub fn capability_set(&self, path: &str) -> CapabilitySet {
        let entry = self.entry(path, Operation::List.lists());
        entry.map_or(CapabilitySet::NONE, |entry| entry.capabilities)
    }

    /// Every path that a rule speaks of, and its capabilities, sorted; `deny` alone where it denies.
    pub fn rules(&self) -> impl Iterator<Item = (&RulePath, Vec<&'static str>)> {
        self.entries
            .iter()
            .map(|entry| (&entry.path, entry.capabilities.names()))
    }

    /// Whether there is some right at or below the mount of this path, which ends in a slash.
    ///
    /// Never says no where a request below would be permitted; it may say yes where a rule of higher
    /// priority takes back what another with `+` or `*` gives.
    pub fn any_right_below(&self, mount_prefix: &str) -> bool {
        let mount = mount_prefix.strip_suffix('/').unwrap_or(mount_prefix);
        let grants = |at: EntryAt| {
            self.entries
                .get(at)
                .is_some_and(|e| e.capabilities.grants())
        };
        self.root
            || any_begins(&self.granting, mount_prefix)
            || self.granting.contains_key(mount) && self.exact.contains_key(mount)
            || self.prefixes.longest(mount_prefix).is_some_and(grants)
            || self.overload().is_none() && self.segments.any_below(mount, &grants)
    }

    /// The entry that decides over a path.
    fn entry(&self, path: &str, lists: bool) -> Option<&Entry> {
        if self.overload().is_some() {
            return None;
        }
        let path = path.trim_start_matches('/');
        let trimmed = path.strip_suffix('/').filter(|_| lists);
        let exact = |path: &str| self.exact.get(path).and_then(|at| self.entries.get(*at));
        exact(path)
            .or_else(|| trimmed.and_then(exact))
            .or_else(|| self.by_priority(path))
            .or_else(|| trimmed.and_then(|path| self.by_priority(path)))
    }

    /// Of the entries with `*` or `+` that match, the one of highest priority.
    fn by_priority(&self, path: &str) -> Option<&Entry> {
        let mut best = self
            .prefixes
            .longest(path)
            .and_then(|at| self.entries.get(at));
        self.segments.matching(path, &mut |at| {
            let found = self.entries.get(at);
            if found.map(|entry| &entry.priority) > best.map(|entry| &entry.priority) {
                best = found;
            }
        });
        best
    }
}

fn root_decision() -> Decision {
    Decision {
        allowed: true,
        sudo: true,
        root: true,
        deciding: Some(PolicyId {
            policy: crate::ROOT_POLICY_NAME.into(),
            path: "".into(),
        }),
        capabilities: Capability::ALL
            .into_iter()
            .filter(|c| *c != Capability::Deny)
            .collect(),
        refusal: None,
        page_limit: None,
        mfa_methods: Vec::new(),
    }
}

fn no_rule() -> Decision {
    Decision {
        allowed: false,
        sudo: false,
        root: false,
        deciding: None,
        capabilities: CapabilitySet::NONE,
        refusal: Some(Refusal::NoRule),
        page_limit: None,
        mfa_methods: Vec::new(),
    }
}
