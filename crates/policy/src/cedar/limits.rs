//! How much there may be of what can grow.

/// The most bytes of a document.
pub const TEXT_BYTES_MAX: usize = 256 << 10;

/// The most bytes of all documents in force together.
pub const TOTAL_TEXT_BYTES_MAX: usize = 32 << 20;

/// The most statements of a document.
pub const STATEMENTS_MAX: usize = 1_000;

/// The most statements of one effect whose heads are alike, of all documents in force together: each of
/// them is evaluated where one is.
pub const STATEMENTS_ALIKE_MAX: usize = 1_000;

/// The most statements that one decision evaluates. Where the heads of more can match, nothing is decided.
pub const EVALUATED_MAX: usize = 5_000;

/// The most roles of a caller, and the most groups, that are counted on when a document is written.
pub const ROLES_MAX: usize = 256;

/// The most bytes of a statement, comments left out.
pub const STATEMENT_BYTES_MAX: usize = 16 << 10;

/// How deep brackets may stand in each other, and how often a statement may say `if`.
pub const DEPTH_MAX: usize = 32;

/// The most bytes of a statement's `@id`.
pub const ID_BYTES_MAX: usize = 256;

/// The most bytes that the parameters of a request may have together, names included, where a
/// statement looks at them.
pub const PARAMETERS_BYTES_MAX: usize = 64 << 10;

/// How many contexts are held.
pub(super) const CONTEXTS_MAX: usize = 512;

/// How many statements are held prepared for evaluation.
pub const PREPARED_MAX: usize = 4_096;
