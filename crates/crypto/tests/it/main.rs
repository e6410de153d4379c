//! The published vectors of `tests/vectors`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod vectors;
