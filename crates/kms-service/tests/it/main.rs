//! The real binary on a free port, with real providers, driven over HTTP.

mod access;
mod bad_input;
mod operations;
mod peer_bao;
mod process;
mod running;
mod tls;
