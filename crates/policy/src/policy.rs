//! A policy and its rules.

use crate::pattern::Pattern;
use crate::template::{self, TemplateValues};
use crate::{CapabilitySet, ParameterRules, ROOT_POLICY_NAME, Result, document};
use secretum_crypto::Timestamp;
use secretum_hcl::Position;
use std::sync::Arc;
use std::time::Duration;

/// A policy that was read.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) name: Arc<str>,
    pub(crate) rules: Vec<Rule>,
}

/// What a policy says of one path.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The path as it was written, less a slash before it.
    pub path: Arc<str>,
    /// Where it is written.
    pub at: Position,
    /// What it matches; none as long as its templates are not filled.
    pub pattern: Option<Pattern>,
    /// What it grants or denies.
    pub capabilities: CapabilitySet,
    /// Which parameters it allows, denies and requires.
    pub parameters: ParameterRules,
    /// The shortest time that an answer may be wrapped for; when set, it must be wrapped.
    pub min_wrapping_ttl: Option<Duration>,
    /// The longest time that an answer may be wrapped for; when set, it must be wrapped.
    pub max_wrapping_ttl: Option<Duration>,
    /// Methods of multi-factor authentication that must have been passed.
    pub mfa_methods: Vec<String>,
    /// When the rule ends.
    pub expiration: Option<Timestamp>,
    /// The most names of a page.
    pub pagination_limit: Option<u64>,
}

impl Policy {
    /// Reads a policy in HCL or JSON.
    ///
    /// **Errors**: [`PolicyError`](crate::PolicyError) with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        document::parse(name, text)
    }

    /// The policy that permits everything.
    pub fn root() -> Self {
        Self {
            name: ROOT_POLICY_NAME.into(),
            rules: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules in the order they are written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether it permits everything.
    pub fn is_root(&self) -> bool {
        *self.name == *ROOT_POLICY_NAME
    }

    /// Whether a path names values of the caller, so that [`Policy::instantiate`] is needed.
    pub fn is_templated(&self) -> bool {
        self.rules.iter().any(|rule| rule.pattern.is_none())
    }

    /// The policy for a caller. A rule whose values are not all there, or hold `*` or `+`, is left out.
    pub fn instantiate(self: &Arc<Self>, values: &TemplateValues) -> Arc<Self> {
        self.filled(|selector| values.select(selector))
    }

    /// The policy with what there is for each selector.
    pub(crate) fn filled<'v>(
        self: &Arc<Self>,
        value_of: impl Fn(&str) -> Option<&'v str>,
    ) -> Arc<Self> {
        if !self.is_templated() {
            return Arc::clone(self);
        }
        let filled = |rule: &Rule| {
            let mut rule = rule.clone();
            if rule.pattern.is_none() {
                let path = template::fill(&rule.path, &value_of)?;
                rule.pattern = Some(Pattern::parse(&path).ok()?);
            }
            Some(rule)
        };
        let rules = self.rules.iter().filter_map(filled).collect();
        Arc::new(Self {
            name: Arc::clone(&self.name),
            rules,
        })
    }
}
