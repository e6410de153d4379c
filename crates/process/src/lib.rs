//! What a server does to its own process: [`hardening`] shuts what would let secrets out of it,
//! [`Supervisor`] is told how it fares, [`log_lines()`] takes what it logs.
//!
//! Owns: core dumps, locked memory, sd_notify, the log's way to standard error. Must not know: what the process serves.

pub mod hardening;
mod log_lines;
mod supervisor;

pub use log_lines::{LOG_LINES_MAX, LogGuard, log_lines};
pub use supervisor::Supervisor;
