//! Every command, one subject a file, and the way from the process's arguments to its exit code.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod completion;
pub(crate) mod generic;
pub(crate) mod kms;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod login;
pub(crate) mod mounts;
pub(crate) mod operator;
pub(crate) mod outcome;
pub(crate) mod path_help;
pub(crate) mod policy;
pub(crate) mod print;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod unwrap;
pub(crate) mod version_history;

use crate::arguments::{Arguments, Command, fault, normal};
use crate::failure::{self, Failure};
use crate::output::rights::{self, Right};
use crate::output::{console, curl};
use crate::persona::Persona;
use crate::serving;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use secretum_client::{ClientError, Environment};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs what the arguments ask for.
pub(crate) fn main(argv: Vec<OsString>) -> ExitCode {
    let persona = Persona::of(argv.first().map(OsString::as_os_str));
    let outcome = match parse(argv, persona) {
        Ok(Some((command, shows_policy))) => match run(command, persona) {
            Err(Failure::Shown(outline)) if shows_policy => {
                Err(Failure::Rights(Right::to(&outline)))
            }
            outcome => outcome,
        },
        Ok(None) => console::line(&persona.version()).map(|()| ExitCode::SUCCESS),
        Err(code) => return code.into(),
    };
    outcome.unwrap_or_else(|failure| {
        report(&failure, persona);
        failure.exit_code().into()
    })
}

/// The command that is meant, and whether it is to show a policy; `None` where only the version is
/// asked for. What cannot be meant is said here, and only the exit code handed back.
fn parse(argv: Vec<OsString>, persona: Persona) -> Result<Option<(Command, bool)>, u8> {
    let asked = argv.get(1).and_then(|argument| argument.to_str());
    if let Some(change) = completion::asked_as_vault(asked) {
        return Ok(Some((Command::Completion(change), false)));
    }
    if matches!(asked, Some("-v" | "-version" | "--version" | "version")) && argv.len() == 2 {
        return Ok(None);
    }
    let mut command = Arguments::command()
        .name(persona.name())
        .bin_name(persona.name());
    command.build();
    let argv = normal::without_help_word(argv);
    let normal = normal::normalise(&command, argv.clone());
    command
        .clone()
        .try_get_matches_from(normal)
        .and_then(|matches| {
            let shows_policy = shows_policy(&matches);
            Ok(Some((
                Arguments::from_arg_matches(&matches)?.command,
                shows_policy,
            )))
        })
        .map_err(|error| {
            let (words, current) = normal::meant(&command, &argv);
            fault::report(&error, &words, current)
        })
}

/// Whether the command has the flag that asks for a policy.
fn shows_policy(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, matches)) => shows_policy(matches),
        None => matches!(matches.try_get_one("output_policy"), Ok(Some(true))),
    }
}

fn run(command: Command, persona: Persona) -> Result<ExitCode, Failure> {
    match command {
        Command::Server(server) => {
            let environment = Environment::process();
            serving::run(server.arguments(&environment)?, &environment).map(|()| ExitCode::SUCCESS)
        }
        Command::BenchFloor(floor) => serving::run_floor(floor).map(|()| ExitCode::SUCCESS),
        Command::Version => console::line(&persona.version()).map(|()| ExitCode::SUCCESS),
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::local(format!("cannot start: {error}")))?;
            runtime
                .block_on(dispatch(command, persona))
                .map(|()| ExitCode::SUCCESS)
        }
    }
}

async fn dispatch(command: Command, persona: Persona) -> Result<(), Failure> {
    match command {
        Command::Read(command) => command.run().await,
        Command::Write(command) => command.run().await,
        Command::Patch(command) => command.run().await,
        Command::Delete(command) => command.run().await,
        Command::List(command) => command.run().await,
        Command::Scan(command) => command.run().await,
        Command::Login(command) => command.run().await,
        Command::Status(command) => command.run().await,
        Command::Unwrap(command) => command.run().await,
        Command::Kv(command) => command.run().await,
        Command::Kms(command) => command.run().await,
        Command::Lease(command) => command.run().await,
        Command::Token(command) => command.run().await,
        Command::Policy(command) => command.run().await,
        Command::Secrets(command) => command.run().await,
        Command::Auth(command) => command.run().await,
        Command::Audit(command) => command.run().await,
        Command::Operator(command) => command.run().await,
        Command::PathHelp(command) => command.run().await,
        Command::VersionHistory(command) => command.run().await,
        Command::Print(command) => command.run(),
        Command::Completion(command) => command.run(persona).await,
        // INVARIANT: `run` has taken these.
        Command::Server(_) | Command::BenchFloor(_) | Command::Version => Ok(()),
    }
}

/// Says why a command failed.
fn report(failure: &Failure, persona: Persona) {
    match failure {
        Failure::Shown(outline) => {
            // That nobody reads it is no failure.
            let _ = console::line(&curl::command(outline, persona));
        }
        Failure::Rights(rights) => {
            let _ = console::out(&rights::policy(rights));
        }
        Failure::ClosedPipe | Failure::Silent(_) => {}
        failure => {
            console::failure(&failure.to_string());
            if let Failure::Server {
                error: ClientError::Api(error),
                ..
            } = failure
            {
                console::warnings(&error.warnings);
            }
            if let Some(hint) = failure::hint(failure, persona.name()) {
                console::note(&format!("\n{hint}"));
            }
        }
    }
}
