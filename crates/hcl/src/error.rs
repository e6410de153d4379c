//! What can be wrong with a document.

use crate::{DEPTH_MAX, DOCUMENT_BYTES_MAX, Position};

/// A document that cannot be read, with the place where it shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", .at.line, .at.column)]
pub struct HclError {
    /// Where it shows.
    pub at: Position,
    /// What is wrong there.
    pub problem: Problem,
}

impl HclError {
    /// An error at this place.
    pub fn new(at: Position, problem: Problem) -> Self {
        Self { at, problem }
    }
}

/// What is wrong at a place of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The document is longer than any may be.
    #[error("the document is longer than {DOCUMENT_BYTES_MAX} bytes; divide it")]
    TooLong,
    /// Objects and lists stand too deep within each other.
    #[error("objects and lists are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// Bytes that are no text.
    #[error("the document is not UTF-8; save it as that")]
    NotUtf8,
    /// A character that may not stand anywhere.
    #[error("the character U+{0:04X} is not allowed")]
    Reserved(u32),
    /// A character that starts nothing.
    #[error("unexpected character `{0}`; a text stands in double quotes")]
    Character(char),
    /// Something else was needed here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What could stand here.
        expected: &'static str,
        /// What stands here.
        found: String,
    },
    /// A string that does not end on its line.
    #[error("the string is not closed; a line break in it is written `\\n`")]
    OpenString,
    /// A comment that does not end.
    #[error("the comment is not closed by `*/`")]
    OpenComment,
    /// A heredoc whose closing line is missing.
    #[error(
        "the heredoc is not closed by a line that holds `{0}` alone, indented if it began with `<<-`"
    )]
    OpenHeredoc(String),
    /// A heredoc whose marker is missing or has other characters than letters and digits.
    #[error(
        "a heredoc begins with `<<` or `<<-` and a marker of letters and digits, alone to the line's end"
    )]
    HeredocMarker,
    /// An escape that means nothing.
    #[error("the escape `\\{0}` is not known; a backslash itself is written `\\\\`")]
    Escape(char),
    /// Escapes that together are no text.
    #[error("the escapes of the string do not make UTF-8; write its characters as they are")]
    EscapedBytes,
    /// A number that cannot be told.
    #[error("`{0}` is no number that can be held; write it in quotes if it is a text")]
    Number(String),
    /// A key that was set before.
    #[error("`{0}` is set twice; keep one")]
    Duplicate(String),
    /// A block lacks a name in quotes.
    #[error("`{0}` lacks its name: write `{0} \"name\" {{ … }}`")]
    LabelMissing(String),
    /// A block is something else.
    #[error("`{key}` must be a block, not {found}")]
    NotABlock {
        /// Its key.
        key: String,
        /// What it is.
        found: &'static str,
    },
}
