//! `print`: what the command line uses, and what the server serves.

use crate::failure::Failure;
use crate::output::console;
use crate::session::token_file;
use clap::Subcommand;
use secretum_client::{Environment, SecretString};

/// What to print.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Prints the token that requests are made with
    Token,
    /// Prints every path that the server serves, and with which verb
    #[command(hide = true)]
    Routes,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Token => token(),
            Self::Routes => routes(),
        }
    }
}

fn token() -> Result<(), Failure> {
    let environment = Environment::process();
    let token = match environment.get("TOKEN") {
        Some((_, token)) => Some(SecretString::new(token)),
        None => token_file::read(&environment)?,
    };
    console::line(token.as_ref().map_or("", SecretString::expose))
}

/// A line for each: verb, path. What is mounted stands below its type and version, as `kv-2/`.
fn routes() -> Result<(), Failure> {
    let mut lines: Vec<String> = (secretum_core::system_rows().map_err(Failure::display)?)
        .into_iter()
        .map(|(verb, path, _)| format!("{verb:?} {path}"))
        .collect();
    for kind in secretum_engines::all().map_err(Failure::display)? {
        for version in kind.versions() {
            let mount = match version {
                "" => kind.name().to_owned(),
                version => format!("{}-{version}", kind.name()),
            };
            let rows = kind.rows(version).iter();
            lines.extend(rows.map(|(verb, path)| format!("{verb:?} {mount}/{path}")));
        }
    }
    lines.sort_unstable();
    lines.dedup();
    console::line(&lines.join("\n"))
}
