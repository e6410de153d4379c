//! What needs no load: authorisation in process, and the verification of the log that the load left.

use super::report::line;
use crate::failure::Failure;
use crate::workspace::Workspace;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The goal of one decision, 99th percentile, with as many Cedar policies in force.
const GOAL_MICROS: f64 = 50.0;
const GOAL_POLICIES: u64 = 1_000;

/// How long decisions took, with so many policies.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    cedar: u64,
    hcl: u64,
    p50_micros: f64,
    p99_micros: f64,
}

/// How long it took to verify a log, and to copy it to nowhere.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) bytes: u64,
    pub(super) verify: Duration,
    pub(super) cat: Duration,
}

/// Runs the measurement of the crate of policies.
///
/// **Errors**: [`Failure::Bench`] where it fails, or prints another table.
pub(super) fn authorize(workspace: &Workspace) -> Result<Vec<Decision>, Failure> {
    let run = ["run", "--release", "--locked"];
    let example = ["--package", "secretum-policy", "--example", "authorize"];
    let output = workspace.cargo_output(&[&run[..], &example].concat())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let decisions = decisions(&text);
    if output.status.success() && !decisions.is_empty() {
        return Ok(decisions);
    }
    Err(Failure::Bench {
        who: "authorize".to_owned(),
        reason: format!("it ended with {} and said: {text}", output.status),
    })
}

/// The rows of its table.
fn decisions(table: &str) -> Vec<Decision> {
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim);
        let mut next = || cells.next();
        Some(Decision {
            cedar: next()?.parse().ok()?,
            hcl: next()?.parse().ok()?,
            p50_micros: next()?.parse().ok()?,
            p99_micros: next()?.parse().ok()?,
        })
    };
    table.lines().filter_map(row).collect()
}

/// Verifies a log as an auditor would, twice, and takes the second time: the first reads it from the disk.
///
/// **Errors**: [`Failure::Command`] where the log is not as it was written.
pub(super) fn verify(binary: &Path, key: &str, log: &Path) -> Result<Verified, Failure> {
    let file = |_: ()| File::open(log).map_err(Failure::file(log));
    let bytes = file(())?.metadata().map_err(Failure::file(log))?.len();
    let timed = |command: &mut Command| {
        let began = Instant::now();
        crate::workspace::run(command.stdout(Stdio::null()), "install coreutils")?;
        Ok::<_, Failure>(began.elapsed())
    };
    let verify = || {
        let mut command = Command::new(binary);
        command.args(["audit", "verify", &format!("-public-key={key}")]);
        timed(command.arg(log))
    };
    verify()?;
    Ok(Verified {
        bytes,
        verify: verify()?,
        cat: timed(Command::new("cat").arg(log))?,
    })
}

/// The tables of both, where they were measured.
pub(super) fn tables(decisions: &[Decision], verified: Option<&Verified>) -> String {
    let mut text = String::new();
    if !decisions.is_empty() {
        text += "\n| Cedar policies | HCL policies on the token | p50 | p99 | goal |\n|--:|--:|--:|--:|---|\n";
    }
    for decision in decisions {
        let Decision {
            cedar,
            hcl,
            p50_micros,
            p99_micros,
        } = decision;
        let goal = goal(decision);
        line(
            &mut text,
            format_args!("{cedar} | {hcl} | {p50_micros:.1} µs | {p99_micros:.1} µs | {goal}"),
        );
    }
    if let Some(verified) = verified {
        text += "\n| audit log | MB | verify, MB/s | `cat`, MB/s |\n|---|--:|--:|--:|\n";
        let (megabytes, verify, cat) = verified.rates();
        line(
            &mut text,
            format_args!("as the load left it | {megabytes:.0} | {verify:.0} | {cat:.0}"),
        );
    }
    text
}

/// Whether the goal is reached, where there is one.
fn goal(decision: &Decision) -> String {
    if decision.cedar != GOAL_POLICIES {
        return String::new();
    }
    let word = if decision.p99_micros < GOAL_MICROS {
        "reached"
    } else {
        "missed"
    };
    format!("below {GOAL_MICROS:.0} µs: {word}")
}

impl Verified {
    /// Megabytes, and how many of them a second either way.
    fn rates(&self) -> (f64, f64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "no log is that long")]
        let megabytes = self.bytes as f64 / 1e6;
        let per_second = |time: Duration| megabytes / time.as_secs_f64().max(1e-9);
        (megabytes, per_second(self.verify), per_second(self.cat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_measurement_is_read_and_held_against_its_goal() {
        let table = "Cedar policies | HCL policies on the token |  p50 µs |  p99 µs\n\
                     ---------------|---------------------------|---------|--------\n\
                                100 |                         1 |    26.0 |    60.5\n\
                              1000 |                        20 |    28.1 |    48.0\n\
                              1000 |                         5 |    28.1 |    51.0\n";
        let read = decisions(table);
        assert_eq!(read.len(), 3);
        let text = tables(&read, None);
        for row in [
            "| 100 | 1 | 26.0 µs | 60.5 µs |  |",
            "| 1000 | 20 | 28.1 µs | 48.0 µs | below 50 µs: reached |",
            "| 1000 | 5 | 28.1 µs | 51.0 µs | below 50 µs: missed |",
        ] {
            assert!(text.contains(row), "{row} in\n{text}");
        }
        assert!(decisions("no table").is_empty());
    }

    #[test]
    fn a_log_is_held_against_cat() {
        let verified = Verified {
            bytes: 1_000_000_000,
            verify: Duration::from_secs(2),
            cat: Duration::from_millis(500),
        };
        let text = tables(&[], Some(&verified));
        assert!(text.contains("| 1000 | 500 | 2000 |"), "{text}");
    }
}
