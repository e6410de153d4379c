//! `print`: what the command line uses.

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
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let environment = Environment::process();
        let token = match environment.get("TOKEN") {
            Some((_, token)) => Some(SecretString::new(token)),
            None => token_file::read(&environment)?,
        };
        console::line(token.as_ref().map_or("", SecretString::expose))
    }
}
