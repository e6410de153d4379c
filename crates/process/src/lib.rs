//! What a server does to its own process: [`hardening`] shuts what would let secrets out of it,
//! [`Supervisor`] is told how it fares.
//!
//! Owns: core dumps, locked memory, sd_notify. Must not know: what the process serves.

pub mod hardening;
mod supervisor;

pub use supervisor::Supervisor;
