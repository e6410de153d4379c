//! Standard output and standard error.

use crate::failure::Failure;
use secretum_client::Environment;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

/// The colours of what is said on a terminal: sequences of ECMA-48.
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const AS_BEFORE: &str = "\x1b[0m";

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

/// Says on standard error why something was not done; red where that is a terminal.
pub(crate) fn failure(text: &str) {
    coloured(RED, text);
}

/// Says on standard error what to beware of; yellow where that is a terminal.
pub(crate) fn warning(text: &str) {
    coloured(YELLOW, text);
}

fn coloured(colour: &str, text: &str) {
    if is_coloured() {
        note(&format!("{colour}{text}{AS_BEFORE}"));
    } else {
        note(text);
    }
}

/// Whether standard error is a terminal, and nobody asked for it to be plain: by the flag, which counts
/// also where the other arguments cannot be read, or by the environment.
fn is_coloured() -> bool {
    static IS_COLOURED: OnceLock<bool> = OnceLock::new();
    *IS_COLOURED.get_or_init(|| {
        let environment = Environment::process();
        let is_plain = std::env::args_os()
            .take_while(|word| word != "--")
            .any(|word| word == "-no-color" || word == "--no-color");
        std::io::stderr().is_terminal()
            && !is_plain
            && environment.plain("NO_COLOR").is_none()
            && environment.get("CLI_NO_COLOR").is_none()
            && environment.plain("TERM").is_none_or(|name| name != "dumb")
    })
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
    warning(&format!(
        "WARNING! The following warnings were returned from Vault:\n\n{}\n",
        lines.join("\n")
    ));
}

/// Whether standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
