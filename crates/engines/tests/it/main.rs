//! Engines as the core runs them: found by path and verb, their writes committed for them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod conformance;
mod expiry;
mod interleaved;
mod kv2;
mod metadata;
mod mount;
mod transfer;
mod transit;
mod upgrade;
