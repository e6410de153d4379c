//! The corpus, what documents mean, and properties of any document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;
mod limits;
mod meaning;
mod properties;
