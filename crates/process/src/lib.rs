//! What every server does, whatever it serves: [`hardening`] shuts what would let secrets out of its
//! process, [`Supervisor`] is told how it fares, [`log_lines()`] takes what it logs, [`Traces`] sends spans
//! of requests, [`tls`] makes the handshake with its clients.
//!
//! Owns: core dumps, locked memory, sd_notify, the log's way to standard error, traces' way to a receiver, the
//! key agreement of TLS. Must not know: what the process serves, and by which certificates.

pub mod hardening;
mod log_lines;
mod supervisor;
pub mod tls;
mod traces;

pub use log_lines::{LOG_LINES_MAX, LogGuard, LogOut, log_lines};
pub use supervisor::Supervisor;
pub use traces::{Traced, Traces, TracesError};
pub use tracing_appender::non_blocking::NonBlocking;
