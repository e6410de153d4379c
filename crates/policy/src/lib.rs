//! HCL policies: parse, validate, decide, explain.
//!
//! Owns: what a policy document may say ([`Policy::parse`]), its templates
//! ([`Policy::instantiate`]), and the decision over a request ([`Acl::decide`]), with Vault's
//! precedence of rules.
//!
//! Must not know: where policies and tokens are stored, and HTTP.
//!
//! A request's way: the caller's policies, instantiated for the caller, are made into an [`Acl`]
//! once; each request then asks it. Rules of the same path are merged when the [`Acl`] is made; a
//! request is looked up in this order, and the first rule found decides alone:
//! 1. the rule of exactly this path; for LIST and SCAN, then that of the path less its last slash;
//! 2. of the rules with `*` or `+` that match, the one of highest priority (see [`pattern`]); for
//!    LIST and SCAN, if there is none, the same for the path less its last slash.
//!
//! Where Vault and OpenBao differ, this follows OpenBao (`scan`; a deny below `foo/bar/*` holds for
//! listing `foo/bar/`). On purpose it is different in this:
//! - a request to be wrapped for 0 seconds is not wrapped, and so refused where `max_wrapping_ttl`
//!   alone is set; there it is permitted;
//! - numbers in rules of parameters match JSON numbers of the same value; there they match none;
//! - `control_group` and `list_scan_response_keys_filter_path`, which narrow a right in ways not
//!   served here, are refused rather than ignored; `mfa_methods` is handed to the caller;
//! - the capabilities `subscribe` and `recover` of Vault's newer versions are known, and
//!   `subscribe_event_types` with them; no operation here asks for them;
//! - a path without its name, a name too many, and a parameter set twice are refused.

mod acl;
mod capability;
pub mod cedar;
mod document;
mod entry;
mod error;
mod index;
mod parameters;
pub mod pattern;
mod policy;
mod request;
mod template;

pub use acl::Acl;
pub use capability::{Capability, CapabilitySet};
pub use entry::RulePath;
pub use error::{PolicyError, Problem};
pub use parameters::{ParameterRules, Parameters};
pub use policy::{Policy, Rule};
pub use request::{AccessRequest, Decision, Operation, PolicyId, Refusal};
pub use template::{AliasValues, EntityValues, GroupValues, TemplateValues};

/// Result of reading a policy.
pub type Result<T> = std::result::Result<T, PolicyError>;

/// The name of the policy that permits everything, which has no document.
pub const ROOT_POLICY_NAME: &str = "root";

/// The name of the policy that tokens get unless they are made without.
pub const DEFAULT_POLICY_NAME: &str = "default";

/// The document that the default policy has until somebody changes it.
pub const DEFAULT_POLICY: &str = include_str!("default.hcl");

/// The most rules of one policy.
pub const RULES_MAX: usize = 10_000;

/// The most bytes of a rule's path.
pub const PATH_BYTES_MAX: usize = 2_000;

/// The most segments of a path with `+`.
pub const WILDCARD_SEGMENTS_MAX: usize = 64;

/// The most places of rules with `+` that a decision looks at; about a millisecond's work. Each segment
/// where the rules go on both by `+` and by the same name doubles the number.
pub const VISITED_MAX: usize = 16_384;

/// The most parameters that one rule allows, denies or requires.
pub const PARAMETERS_MAX: usize = 1_000;
