//! What can be wrong with a policy.

use crate::{PARAMETERS_MAX, PATH_BYTES_MAX, RULES_MAX, WILDCARD_SEGMENTS_MAX};
use secretum_hcl::{HclError, Position};

/// A policy that cannot be read, with the place where it shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", .at.line, .at.column)]
pub struct PolicyError {
    /// Where it shows.
    pub at: Position,
    /// What is wrong there.
    pub problem: Problem,
}

impl PolicyError {
    /// An error at this place.
    pub fn new(at: Position, problem: Problem) -> Self {
        Self { at, problem }
    }
}

impl From<HclError> for PolicyError {
    fn from(error: HclError) -> Self {
        Self {
            at: error.at,
            problem: Problem::Syntax(error.problem),
        }
    }
}

/// What is wrong at a place of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The document is neither HCL nor JSON.
    #[error(transparent)]
    Syntax(secretum_hcl::Problem),
    /// The name is that of the policy without a document.
    #[error("the policy `root` permits everything and has no document")]
    Root,
    /// Something else than `name` and `path`.
    #[error("`{0}` is not known in a policy, only `path` (and `name`, which says nothing)")]
    UnknownKey(String),
    /// A field that no rule has.
    #[error("`{0}` is not known in the rule of a path")]
    UnknownField(String),
    /// A field that would narrow a right and is not served.
    #[error("`{0}` is not supported")]
    Unsupported(&'static str),
    /// A field of the wrong type.
    #[error("`{field}` must be {expected}, not {found}")]
    Type {
        /// The field.
        field: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A field that may stand once.
    #[error("`{0}` is set twice; keep one")]
    Duplicate(String),
    /// A parameter that may stand once.
    #[error("the parameter `{0}` is set twice; capitals make no difference")]
    DuplicateParameter(String),
    /// No such capability.
    #[error("invalid capability \"{0}\"")]
    Capability(String),
    /// No such shorthand.
    #[error(
        "invalid shorthand: `policy` is `read`, `write`, `sudo` or `deny`, not `{0}`; better list `capabilities`"
    )]
    Shorthand(String),
    /// Both wildcards at once.
    #[error("the path `{0}` holds `+*`: `+` stands for a whole segment, `*` for any rest")]
    PlusGlob(String),
    /// The path is too long.
    #[error("a path has at most {PATH_BYTES_MAX} bytes")]
    PathTooLong,
    /// The path with `+` has too many segments.
    #[error("a path with `+` has at most {WILDCARD_SEGMENTS_MAX} segments")]
    TooManySegments,
    /// Too many rules.
    #[error("a policy has at most {RULES_MAX} paths")]
    TooManyRules,
    /// Too many parameters.
    #[error("the rule of a path names at most {PARAMETERS_MAX} parameters in each list")]
    TooManyParameters,
    /// A template that is not closed, or not opened.
    #[error("the path `{0}` has a `{{{{` or `}}}}` without its other half")]
    Template(String),
    /// No duration.
    #[error(
        "`{field}` is a number of seconds or a duration such as `90s` or `1h30m`, not `{found}`"
    )]
    Duration {
        /// The field.
        field: String,
        /// What it is.
        found: String,
    },
    /// The shortest is longer than the longest.
    #[error("`max_wrapping_ttl` is less than `min_wrapping_ttl`")]
    WrappingOrder,
    /// No moment.
    #[error("`expiration` is a time in the form of RFC 3339, not `{0}`")]
    Expiration(String),
    /// No number of entries.
    #[error("`pagination_limit` is a whole number, 0 or more, not `{0}`")]
    PaginationLimit(String),
}
