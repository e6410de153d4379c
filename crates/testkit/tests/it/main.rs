//! Tests that need more than one floor: the core with the real engines, in process.
//!
//! They stand here because a crate's own tests look down only, and the core may not know which
//! engines exist.

mod core;
mod support;
