//! `cargo xtask bench`: a whole production server under load, and what it is compared with.
//!
//! Three subjects, one after the other, each alone: the bare HTTP stack answering a constant, this
//! server, and OpenBao where it is installed. The servers have TLS, a file audit device and Raft storage
//! in a folder below cargo's, since a folder in memory would make every sync free. `wrk` makes the load
//! on the same machine, so that what it takes is missing to each server alike.
//!
//! - [`options`] is the command line; [`subject`] what is measured, and how it is started.
//! - [`server`] is a running process: its certificate, requests to its API, its memory.
//! - [`load`] runs `wrk` and reads what it found; [`report`] prints it.
//! - [`alone`] is what needs no load: authorisation in process, and the verification of the log.
//! - [`kms`] is `cargo xtask bench kms`: the key services, and what these are compared with.

mod alone;
mod kms;
mod load;
mod options;
mod report;
mod server;
mod subject;

use crate::failure::Failure;
use crate::workspace::Workspace;
use load::{Load, Measured};
use options::Options;
use report::{
    AMONG_MANY, LIST, LOOKUP_SELF, Memory, READ, Report, Row, TOKEN_CREATE, UNRECORDED,
    WRAPPED_READ, WRITE,
};
use server::{Place, Server};
use std::path::PathBuf;
use std::time::Instant;
use subject::Subject;

/// What is asked of a server, and the script that asks it.
const REQUESTS: [(&str, &str); 7] = [
    ("health", "health"),
    (READ, "read"),
    (WRITE, "write"),
    (TOKEN_CREATE, "token"),
    (LOOKUP_SELF, "lookup"),
    (WRAPPED_READ, "wrapped"),
    (LIST, "list"),
];

/// Measures, and prints the tables.
///
/// **Errors**: [`Failure::Findings`] where a server answered anything with an error.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Some(("kms", rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        return kms::run(workspace, rest);
    }
    let options = Options::read(arguments)?;
    load::check_installed()?;
    let place = Place::new(&workspace.target)?;
    let mut report = Report::new(options.seconds);
    if options.measures("secretum") {
        let binary = build(workspace)?;
        measure_floor(&place, &options, &binary, &mut report)?;
        let subject = Subject::secretum(binary);
        measure(&place, &options, &subject, options.secrets, &mut report)?;
        report.add_decisions(alone::authorize(workspace)?);
    }
    if options.measures("openbao") {
        match subject::find_openbao(&workspace.root) {
            Some(binary) => {
                let subject = Subject::openbao(binary);
                measure(
                    &place,
                    &options,
                    &subject,
                    options.secrets_of_others,
                    &mut report,
                )?;
            }
            None => eprintln!("there is no `bao` to compare with: `./test peers` installs it"),
        }
    }
    report.print();
    report.check()
}

/// Of each load that a server is trained with.
const TRAINING_SECONDS: u32 = 4;

/// How many secrets it holds then.
const TRAINING_SECRETS: usize = 5_000;

/// Puts each load on a server for a short time, reads by a token with a policy besides, and ends it so that it
/// can write what it counted.
///
/// **Errors**: [`Failure::Bench`] where it answered anything with an error.
pub(crate) fn train(workspace: &Workspace, binary: PathBuf) -> Result<(), Failure> {
    load::check_installed()?;
    let place = Place::new(&workspace.target)?;
    let mut server = Server::start(&place, &Subject::secretum(binary))?;
    server.make_ready()?;
    let load = Load::new(&server, TRAINING_SECONDS, TRAINING_SECRETS);
    load.store("store", &format!("{TRAINING_SECRETS} secrets"))?;
    load.store("names", "10,000 names in one folder")?;
    for (_, script) in REQUESTS {
        without_errors(&server, load.run(script)?)?;
    }
    server.become_a_reader()?;
    let load = Load::new(&server, TRAINING_SECONDS, TRAINING_SECRETS);
    without_errors(&server, load.run("read")?)?;
    server.end_gently()
}

fn without_errors(server: &Server, measured: Measured) -> Result<(), Failure> {
    match measured.errors {
        0 => Ok(()),
        errors => Err(server.failed(&format!("{errors} answers were errors"))),
    }
}

/// The binary that is measured: `SECRETUM_BIN`, or a release build.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    if let Some(binary) = std::env::var_os("SECRETUM_BIN") {
        return Ok(PathBuf::from(binary));
    }
    workspace.cargo(
        &[
            "build",
            "--release",
            "--locked",
            "--package",
            "secretum-cli",
        ],
        &[],
    )?;
    Ok(workspace.target.join("release/secretum"))
}

fn measure_floor(
    place: &Place,
    options: &Options,
    binary: &std::path::Path,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut server = Server::start(place, &Subject::floor(binary.to_owned()))?;
    server.wait_for("/")?;
    let load = Load::new(&server, options.seconds, 0);
    load.warm_up("floor")?;
    report.add(row(&server, "bare HTTP, a constant", load.run("floor")?)?);
    Ok(())
}

fn measure(
    place: &Place,
    options: &Options,
    subject: &Subject,
    secrets: usize,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut server = Server::start(place, subject)?;
    server.make_ready()?;
    let start = server.resident_mib()?;
    let load = Load::new(&server, options.seconds, secrets);
    load.store("store", &format!("{secrets} secrets"))?;
    load.store("names", "10,000 names in one folder")?;
    let loaded = server.resident_mib()?;
    load.warm_up("read")?;
    for (what, script) in REQUESTS {
        report.add(row(&server, what, load.run(script)?)?);
    }
    if options.crowds {
        load.store("crowd", "10,000 mounts and 100,000 policies")?;
        report.add(row(&server, AMONG_MANY, load.run("read")?)?);
        load.store("tokens", "a million tokens")?;
    }
    let key = server.audit_key()?;
    server.delete("sys/audit/file")?;
    // Who signs nothing has no key.
    if let Some(key) = key {
        let log = server.audit_log();
        report.set_verified(alone::verify(subject.binary(), &key, &log)?);
    }
    report.add(row(&server, UNRECORDED, load.run("read")?)?);
    let end = server.resident_mib()?;
    let began = Instant::now();
    server.restart(place, subject)?;
    let ready = began.elapsed();
    report.add_memory(Memory {
        subject: server.name,
        secrets,
        start,
        loaded,
        end,
        restarted: server.resident_mib()?,
        ready,
    });
    Ok(())
}

fn row(server: &Server, what: &'static str, measured: Measured) -> Result<Row, Failure> {
    Ok(Row {
        subject: server.name,
        what,
        measured,
        resident_mib: server.resident_mib()?,
    })
}
