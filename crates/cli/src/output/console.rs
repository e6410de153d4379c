//! Standard output and standard error.

use crate::failure::Failure;
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes text to standard output.
///
/// **Errors**: [`Failure::ClosedPipe`] where the reader has gone; it ends the command without a word.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes a line to standard output.
///
/// **Errors**: as [`out`].
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    out(text)?;
    out("\n")
}

/// Writes bytes to standard output.
///
/// **Errors**: as [`out`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::local(format!("cannot write to standard output: {error}")),
        })
}

/// Writes a line to standard error. That nobody reads it is no failure.
pub(crate) fn note(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

/// Shows what the server warns of.
pub(crate) fn warnings(warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    let lines: Vec<_> = warnings
        .iter()
        .map(|warning| format!("  * {warning}"))
        .collect();
    note(&format!(
        "WARNING! The following warnings were returned from Vault:\n\n{}\n",
        lines.join("\n")
    ));
}

/// Whether standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
