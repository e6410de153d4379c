//! The merged rules of one path.

use crate::pattern::{Pattern, Priority};
use crate::request::{AccessRequest, Operation, PolicyId, Refusal};
use crate::{Capability, CapabilitySet, ParameterRules, Parameters, Rule};
use std::collections::BTreeSet;
use std::time::Duration;

/// What all policies together say of one path.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: RulePath,
    pub(crate) priority: Priority,
    pub(crate) capabilities: CapabilitySet,
    parameters: ParameterRules,
    min_wrapping_ttl: Option<Duration>,
    max_wrapping_ttl: Option<Duration>,
    pub(crate) mfa_methods: BTreeSet<String>,
    pub(crate) pagination_limit: Option<u64>,
    /// The rules it was merged from, and what each grants.
    sources: Vec<(CapabilitySet, PolicyId)>,
}

/// The path of a rule, as those are told who want to know all rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulePath {
    /// This path.
    Exact(String),
    /// All that begins so; with a `+` in it, in which a final `*` stays, all of this form.
    Glob(String),
}

impl RulePath {
    fn of(pattern: &Pattern) -> Self {
        let stem = pattern.stem().to_owned();
        match (pattern.has_wildcards(), pattern.is_glob()) {
            (false, false) => Self::Exact(stem),
            (true, true) => Self::Glob(stem + "*"),
            _ => Self::Glob(stem),
        }
    }
}

impl Entry {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        Self {
            path: RulePath::of(pattern),
            priority: pattern.priority(),
            capabilities: CapabilitySet::NONE,
            parameters: ParameterRules::default(),
            min_wrapping_ttl: None,
            max_wrapping_ttl: None,
            mfa_methods: BTreeSet::new(),
            pagination_limit: None,
            sources: Vec::new(),
        }
    }

    /// Adds a rule: rights add up, deny wins, and what narrows narrows for all.
    pub(crate) fn merge(&mut self, rule: &Rule, id: PolicyId) {
        self.sources.push((rule.capabilities, id));
        self.capabilities = self.capabilities.merged(rule.capabilities);
        self.parameters.merge(&rule.parameters);
        self.min_wrapping_ttl = least(self.min_wrapping_ttl, rule.min_wrapping_ttl);
        self.max_wrapping_ttl = least(self.max_wrapping_ttl, rule.max_wrapping_ttl);
        self.mfa_methods.extend(rule.mfa_methods.iter().cloned());
        let limit = rule.pagination_limit.filter(|limit| *limit > 0);
        self.pagination_limit = least(self.pagination_limit, limit);
    }

    /// Why the request is not permitted, if so.
    pub(crate) fn refuses(&self, request: &AccessRequest<'_>) -> Option<Refusal> {
        let capability = request.operation.capability();
        if self.capabilities.denies() {
            return Some(Refusal::Denied);
        }
        if !self.capabilities.contains(capability) {
            return Some(Refusal::Capability(capability));
        }
        if self.refuses_wrapping(request.wrap_ttl) {
            return Some(Refusal::WrappingTtl);
        }
        if request.operation.has_parameters() {
            return self
                .parameters
                .refuses(request.parameters)
                .map(Refusal::Parameter);
        }
        self.refuses_page(request.operation, request.parameters)
    }

    fn refuses_wrapping(&self, ttl: Option<Duration>) -> bool {
        // Who asks for no time at all gets an answer that is not wrapped.
        let ttl = ttl.filter(|ttl| !ttl.is_zero());
        let too_short = self
            .min_wrapping_ttl
            .is_some_and(|min| ttl.is_none_or(|ttl| ttl < min));
        let too_long = self
            .max_wrapping_ttl
            .is_some_and(|max| ttl.is_none_or(|ttl| ttl > max));
        too_short || too_long
    }

    /// With a limit of pages, `limit` is looked at, and may be required.
    fn refuses_page(
        &self,
        operation: Operation,
        parameters: Option<&dyn Parameters>,
    ) -> Option<Refusal> {
        let most = self.pagination_limit.filter(|_| operation.lists())?;
        let Some(limit) = parameters.and_then(|all| all.json("limit")) else {
            let required = self.parameters.required.contains("limit");
            return required.then(|| Refusal::Parameter("limit".to_owned()));
        };
        // A query has the number in quotes, a body may have it without.
        let limit = limit.trim().trim_matches('"');
        let fits =
            matches!(limit, "" | "max") || limit.parse().is_ok_and(|limit: u64| limit <= most);
        (!fits).then_some(Refusal::PageLimit)
    }

    /// The first rule that grants this or, where the path is denied, that denies.
    pub(crate) fn deciding(&self, capability: Capability) -> Option<PolicyId> {
        let denies = self.capabilities.denies();
        let capability = if denies { Capability::Deny } else { capability };
        let decides = |(granted, _): &&(CapabilitySet, PolicyId)| granted.contains(capability);
        let found = self
            .sources
            .iter()
            .find(decides)
            .or_else(|| self.sources.first());
        found.map(|(_, id)| id.clone())
    }
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
