//! Repository chores: `cargo xtask verify`, `fix`, `docs`, `bench` and `optimize`.
//!
//! Owns: the rules that hold between the crates ([`verify`]) and the measurements of a whole server
//! ([`mod@bench`]). Must not know: any crate of this house, so that it builds in seconds and works when they
//! do not.

mod bench;
mod docs;
mod failure;
mod fix;
mod optimize;
mod verify;
mod workspace;

use failure::Failure;
use std::process::ExitCode;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

  verify [--fast]   check format, lints, floors, manifests, documentation, links and sizes;
                    changes nothing; --fast leaves out what compiles: lints and documentation
  fix               format, and apply what clippy can mend by itself
  docs [--check]    make the pages that follow from the code; --check says whether they are current
  bench [--seconds N] [--quick] [--crowd] [--only NAME]
                    measure a production server, the bare HTTP stack, and OpenBao where `bao` is
                    installed; --seconds per measurement (10), --quick for a first look, --crowd
                    for reads among many mounts and policies, too, --only
                    `secretum` or `openbao`
  bench kms [--seconds N] [--quick]
                    measure envelopes, files and kms-service against the bare cipher, the age
                    command and the bare HTTP stack
  optimize          build the server with what the compiler learns from a run of it under load; takes
                    two release builds, `wrk`, and the compiler's `llvm-tools`
  help              print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    match command {
        "verify" => verify::run(&Workspace::open()?, rest),
        "fix" => fix::run(&Workspace::open()?, rest),
        "docs" => docs::run(&Workspace::open()?, rest),
        "bench" => bench::run(&Workspace::open()?, rest),
        "optimize" => optimize::optimize(&Workspace::open()?, rest),
        "help" | "--help" | "-h" => {
            eprint!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::Usage(format!(
            "unknown command `{other}`: see `cargo xtask help`"
        ))),
    }
}
