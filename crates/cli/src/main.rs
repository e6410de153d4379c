//! The secretum binary: every command, and the wiring of server, engines and storage.
//!
//! Owns: the command line. `arguments` reads it, `session` turns flags and environment into a client,
//! `commands` holds one subject a file, and `output` is the only way to the terminal. Installed under
//! the name `vault` or `bao`, the binary answers as `vault` does.
//!
//! Must not know: how the server does anything; commands speak to it through the client library.

mod arguments;
mod commands;
mod failure;
mod output;
mod persona;
mod prompt;
mod serving;
mod session;

use std::process::ExitCode;

/// The system's allocator takes a tenth longer for a request.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    commands::main(std::env::args_os().collect())
}
