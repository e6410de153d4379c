//! Cedar policies: parse, validate, decide, translate.
//!
//! Owns: the [schema](self) that documents are validated against, what a document may say
//! ([`Document::read`]), the documents in force ([`Cedar`]), and their decision over a request.
//!
//! All documents are in force at once; whom and what a statement concerns is said in its head. A
//! request's way: an index over the heads yields the statements that can match, at a cost of the
//! path's length and of the caller's policies; each is evaluated as a set of one, and the outcomes are
//! combined as Cedar defines it: any `forbid` that is satisfied forbids, else any `permit` that is
//! satisfied permits. On purpose it is different in this:
//! - a `forbid` whose evaluation errs forbids; Cedar leaves it out;
//! - a document that was stored and cannot be read any more makes every decision an error, since it
//!   may have forbidden something;
//! - templates (`?principal`) are refused: nothing here would link them.
//!
//! Evaluation errors are never shown: they may repeat what a caller sent.

mod ask;
mod contexts;
mod document;
mod error;
mod force;
mod format;
mod heads;
mod limits;
mod load;
mod parameters;
mod prepared;
mod reads;
mod statement;
pub mod translate;
mod vocabulary;

pub use ask::{Ask, Caller, CallerEntity, Circumstances, Resource};
pub use document::Document;
pub use error::{CedarError, CedarProblem};
pub use force::{Cedar, Undecided, Verdict, Wanted};
pub use format::format;
use limits::CONTEXTS_MAX;
pub use limits::{
    DEPTH_MAX, EVALUATED_MAX, ID_BYTES_MAX, PARAMETERS_BYTES_MAX, PREPARED_MAX, ROLES_MAX,
    STATEMENT_BYTES_MAX, STATEMENTS_ALIKE_MAX, STATEMENTS_MAX, TEXT_BYTES_MAX,
    TOTAL_TEXT_BYTES_MAX,
};
pub use vocabulary::{Action, is_action};
