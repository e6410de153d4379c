//! What is asked of an [`Acl`](crate::Acl), and what it answers.

use crate::{Capability, CapabilitySet, Parameters};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Write what is not there yet.
    Create,
    /// Read.
    Read,
    /// Write what is there.
    Update,
    /// Change a part.
    Patch,
    /// Remove.
    Delete,
    /// List the names below.
    List,
    /// List the names at every depth below.
    Scan,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::List,
        Self::Scan,
    ];

    /// Its word, that of the capability it needs.
    pub fn name(self) -> &'static str {
        self.capability().name()
    }

    /// The capability it needs.
    pub fn capability(self) -> Capability {
        match self {
            Self::Create => Capability::Create,
            Self::Read => Capability::Read,
            Self::Update => Capability::Update,
            Self::Patch => Capability::Patch,
            Self::Delete => Capability::Delete,
            Self::List => Capability::List,
            Self::Scan => Capability::Scan,
        }
    }

    pub(crate) fn lists(self) -> bool {
        matches!(self, Self::List | Self::Scan)
    }

    /// Whether the rules over parameters are looked at.
    pub(crate) fn has_parameters(self) -> bool {
        matches!(self, Self::Create | Self::Read | Self::Update | Self::Patch)
    }
}

/// A request, as far as policies look at it.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The path, with its mount and without a slash before it; a LIST ends in a slash.
    pub path: &'a str,
    /// What it wants to do.
    pub operation: Operation,
    /// The fields of its body and query.
    pub parameters: Option<&'a dyn Parameters>,
    /// How long the wrapped answer is to live, when it is to be wrapped; 0 is the same as none.
    pub wrap_ttl: Option<Duration>,
}

impl fmt::Debug for AccessRequest<'_> {
    /// Parameters hold secrets and are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest")
            .field("path", &self.path)
            .field("operation", &self.operation)
            .field("wrap_ttl", &self.wrap_ttl)
            .finish_non_exhaustive()
    }
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyId {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The rule's path as it was written; empty for the root policy.
    pub path: Arc<str>,
}

/// Why a request is not permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No rule matches the path.
    NoRule,
    /// The rule denies: nothing can permit this.
    Denied,
    /// The rules with `+` are too many to look at: nothing can permit this, since one of them may deny.
    Overload,
    /// The rule does not have the capability.
    Capability(Capability),
    /// The answer must be wrapped for another time, or wrapped at all.
    WrappingTtl,
    /// This parameter is missing, denied or not allowed.
    Parameter(String),
    /// The page asked for is too long, or no number.
    PageLimit,
}

/// What is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whether the policies permit the request.
    pub allowed: bool,
    /// Whether the rule has `sudo`, permitted or not.
    pub sudo: bool,
    /// Whether the caller is root.
    pub root: bool,
    /// The rule that decided: of the policies that have it, the first that grants what is asked or,
    /// where it is denied, the first that denies. None when no rule matches.
    pub deciding: Option<PolicyId>,
    /// Everything the rule grants.
    pub capabilities: CapabilitySet,
    /// Why it is not permitted.
    pub refusal: Option<Refusal>,
    /// For LIST and SCAN, the most names of a page: what asks for none, for 0 or for `max` gets this.
    pub page_limit: Option<u64>,
    /// Methods of multi-factor authentication that must have been passed.
    pub mfa_methods: Vec<String>,
}

impl Decision {
    /// Whether it is forbidden, so that nothing else may permit it.
    pub fn forbids(&self) -> bool {
        matches!(self.refusal, Some(Refusal::Denied | Refusal::Overload))
    }
}
