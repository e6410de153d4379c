//! Asking the person at the terminal for secrets, which are never shown.

use crate::failure::Failure;
use secretum_client::SecretString;
use std::io::{BufRead, IsTerminal, Read};
use zeroize::Zeroizing;

/// The longest secret that is read from a prompt or a line.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Asks for a secret at the terminal; where standard input is none, takes its first line.
///
/// **Errors**: where nothing was given, or nobody may be asked.
pub(crate) fn secret(question: &str, interactive: bool) -> Result<SecretString, Failure> {
    let given = if !std::io::stdin().is_terminal() {
        first_line()?
    } else if interactive {
        rpassword::prompt_password(format!("{question} (will be hidden): "))
            .map_err(|error| Failure::local(format!("cannot ask for a secret: {error}")))?
    } else {
        return Err(Failure::local(format!(
            "{question}: not given, and -non-interactive is set"
        )));
    };
    let given = Zeroizing::new(given);
    match given.trim() {
        "" => Err(Failure::local(format!("{question}: nothing was given"))),
        text => Ok(SecretString::new(text.to_owned())),
    }
}

/// The first line of standard input.
pub(crate) fn first_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(SECRET_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|error| Failure::local(format!("cannot read standard input: {error}")))?;
    Ok(line)
}
