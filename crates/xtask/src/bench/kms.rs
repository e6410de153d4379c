//! `cargo xtask bench kms`: envelopes, files and `kms-service`, and what they are compared with.

mod file;
mod functions;

use super::load::{self, Load};
use super::options::Options;
use super::report::machine;
use super::server::{Place, Server};
use super::subject::Subject;
use crate::failure::Failure;
use crate::workspace::Workspace;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Memory that a file of any size may take.
const MEMORY_MIB: f64 = 64.0;

/// What was measured, and what it is to be.
#[derive(Debug, Default)]
struct Findings {
    numbers: Vec<(String, String)>,
    /// A title, the ratio, and the least that it should be, where there is such.
    ratios: Vec<(&'static str, f64, Option<f64>)>,
}

impl Findings {
    fn number(&mut self, what: impl Into<String>, number: String) {
        self.numbers.push((what.into(), number));
    }

    fn ratio(&mut self, title: &'static str, ratio: f64, least: Option<f64>) {
        self.ratios.push((title, ratio, least));
    }

    fn text(&self) -> String {
        let mut text = format!("{}.\n\n| measured | |\n|---|--:|\n", machine());
        // Writing into a string does not fail.
        for (what, number) in &self.numbers {
            let _ = writeln!(text, "| {what} | {number} |");
        }
        text += "\n| ratio | | at least |\n|---|--:|--:|\n";
        for (title, ratio, least) in &self.ratios {
            let least = least.map(|least| format!("{least:.2}")).unwrap_or_default();
            let _ = writeln!(text, "| {title} | {ratio:.2} | {least} |");
        }
        text
    }
}

/// Measures, and prints the tables.
///
/// **Errors**: [`Failure::Findings`] where requests failed.
#[expect(
    clippy::print_stdout,
    reason = "the tables are what the command is asked for"
)]
pub(super) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let options = Options::read_of_kms(arguments)?;
    load::check_installed()?;
    let place = Place::new(&workspace.target)?;
    let mut findings = Findings::default();
    functions::measure(workspace, &mut findings)?;
    let (secretum, service) = build(workspace)?;
    file::measure(&place, &secretum, options.is_quick(), &mut findings)?;
    let failed = rates(&place, &options, (secretum, service), &mut findings)?;
    print!("{}", findings.text());
    Failure::of_findings(failed)
}

/// The binaries that are measured: `SECRETUM_BIN` and `KMS_SERVICE_BIN`, or a release build.
fn build(workspace: &Workspace) -> Result<(PathBuf, PathBuf), Failure> {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    if let (Some(secretum), Some(service)) = (named("SECRETUM_BIN"), named("KMS_SERVICE_BIN")) {
        return Ok((secretum, service));
    }
    let packages = [
        "--package",
        "secretum-cli",
        "--package",
        "secretum-kms-service",
    ];
    let build = [&["build", "--release", "--locked"], &packages[..]].concat();
    workspace.cargo(&build, &[])?;
    let release = workspace.target.join("release");
    Ok((release.join("secretum"), release.join("kms-service")))
}

/// Requests of the service and of the bare HTTP stack; gives those that failed.
fn rates(
    place: &Place,
    options: &Options,
    (secretum, service): (PathBuf, PathBuf),
    findings: &mut Findings,
) -> Result<Vec<String>, Failure> {
    let mut failed = Vec::new();
    let mut rate = |subject: &Subject, path, script| {
        let mut server = Server::start(place, subject)?;
        server.wait_for(path)?;
        let load = Load::new(&server, options.seconds, 0);
        load.warm_up(script)?;
        let measured = load.run(script)?;
        if measured.errors > 0 {
            failed.push(format!("{script}: {} requests failed", measured.errors));
        }
        Ok::<_, Failure>(measured.per_second)
    };
    let floor = rate(&Subject::floor(secretum), "/", "floor")?;
    let encrypt = rate(&Subject::kms_service(service), "/api/v1/kms/health", "kms")?;
    findings.number("bare HTTP, a constant", format!("{floor:.0}/s"));
    findings.number("kms-service, encrypt, `local`", format!("{encrypt:.0}/s"));
    findings.ratio(
        "kms-service encrypt / bare HTTP",
        encrypt / floor,
        Some(0.6),
    );
    Ok(failed)
}

/// Writes a file with a key of the provider `local`, which others may not read.
pub(super) fn write_keys(path: &Path) -> Result<(), Failure> {
    use std::io::Write;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let key = b"default:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
    file.and_then(|mut file| file.write_all(key))
        .map_err(Failure::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_tell_what_should_be() {
        let mut findings = Findings::default();
        findings.number("a file", "12 MiB/s".to_owned());
        findings.ratio("one / other", 0.5, Some(0.6));
        findings.ratio("one / third", 2.0, None);
        let text = findings.text();
        for expected in [
            "| a file | 12 MiB/s |",
            "| one / other | 0.50 | 0.60 |",
            "| one / third | 2.00 |  |",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
}
