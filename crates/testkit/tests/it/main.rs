//! Tests that need more than one floor: the core with the real engines, in process.
//!
//! They stand here because a crate's own tests look down only, and the core may not know which
//! engines exist.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod core;
mod support;
