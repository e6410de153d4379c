//! What can be wrong with a Cedar document.

use super::{
    DEPTH_MAX, EVALUATED_MAX, ID_BYTES_MAX, ROLES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_ALIKE_MAX,
    STATEMENTS_MAX, TEXT_BYTES_MAX, TOTAL_TEXT_BYTES_MAX,
};
use secretum_hcl::Position;

/// A document that cannot be taken, with the place where it shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", .at.line, .at.column)]
pub struct CedarError {
    /// Where it shows.
    pub at: Position,
    /// What is wrong there.
    pub problem: CedarProblem,
}

impl CedarError {
    /// An error at this byte of a text.
    pub(super) fn at(text: &str, byte: usize, problem: CedarProblem) -> Self {
        let mut byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = text.get(..byte).unwrap_or_default();
        Self::new(Position::after(before), problem)
    }

    pub(super) fn new(at: Position, problem: CedarProblem) -> Self {
        Self { at, problem }
    }
}

/// What is wrong at a place of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CedarProblem {
    /// The text is no Cedar.
    #[error("{told}; {help}")]
    Syntax {
        /// What Cedar says.
        told: String,
        /// What to do.
        help: String,
    },
    /// It speaks of something that the schema does not have, or compares what cannot be compared.
    #[error("{told}; {help}")]
    Invalid {
        /// What Cedar says.
        told: String,
        /// What to do.
        help: String,
    },
    /// The document is too long.
    #[error("a document has at most {TEXT_BYTES_MAX} bytes; split it into several")]
    TextTooLong,
    /// All documents together are too long.
    #[error(
        "all Cedar documents together have at most {TOTAL_TEXT_BYTES_MAX} bytes; delete what is not in use"
    )]
    TotalTooLong,
    /// There are too many statements that are evaluated together.
    #[error(
        "there would be more than {STATEMENTS_ALIKE_MAX} statements like `{id}`, of the same principal, action \
         and resource, which are all evaluated for each request; name more in their heads"
    )]
    TooManyAlike {
        /// One of them.
        id: String,
    },
    /// All documents together have too many statements for one request.
    #[error(
        "one request could then meet {statements} statements of all documents, of a token with the \
         {ROLES_MAX} policies that most of them name, and {EVALUATED_MAX} is the most; name more \
         principals, actions and resources in their heads"
    )]
    TooManyTogether {
        /// How many.
        statements: usize,
    },
    /// There are too many statements.
    #[error("a document has at most {STATEMENTS_MAX} statements; split it into several")]
    TooManyStatements,
    /// A statement is too long.
    #[error("a statement has at most {STATEMENT_BYTES_MAX} bytes; split it into several")]
    StatementTooLong,
    /// Too deep.
    #[error(
        "brackets stand in each other at most {DEPTH_MAX} deep, and a statement says `if` at most \
         {DEPTH_MAX} times; write several statements instead"
    )]
    TooDeep,
    /// No statement at all.
    #[error(
        "there is no statement; write `permit (principal, action, resource) when {{ … }};` or a `forbid`"
    )]
    Empty,
    /// A template.
    #[error(
        "templates are not served; name an entity in the place of `?principal` and `?resource`"
    )]
    Template,
    /// An id that cannot be one.
    #[error(
        "`@id` is 1 to {ID_BYTES_MAX} bytes without `#` and control characters; without `@id` a \
         statement is called after its document"
    )]
    Id,
    /// An id that stands twice.
    #[error("`@id(\"{0}\")` stands twice; an id belongs to one statement of all documents")]
    DuplicateId(String),
    /// An id of another document.
    #[error("`@id(\"{id}\")` belongs to a statement of `{document}`; choose another")]
    TakenId {
        /// The id.
        id: String,
        /// The document that has it.
        document: String,
    },
    /// The schema is broken, which is no fault of the document.
    #[error("the schema of this version cannot be used: {0}")]
    Schema(String),
}
