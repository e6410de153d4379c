//! [`Report`]: what was measured, as Markdown.

use super::alone::{self, Decision, Verified};
use super::load::Measured;
use crate::failure::Failure;
use std::fmt::Write as _;
use std::time::Duration;

/// One measurement.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) subject: &'static str,
    pub(super) what: &'static str,
    pub(super) measured: Measured,
    /// What the server holds in memory afterwards.
    pub(super) resident_mib: f64,
}

/// Resident memory of one server, in MiB.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) subject: &'static str,
    pub(super) secrets: usize,
    /// Unsealed, with nothing in it.
    pub(super) start: f64,
    /// With its secrets stored.
    pub(super) loaded: f64,
    /// After every measurement.
    pub(super) end: f64,
    /// After it was started anew and unsealed.
    pub(super) restarted: f64,
    /// How long that took, from its end until it served.
    pub(super) ready: Duration,
}

/// What is divided by what: title, numerator, denominator, each a subject and a measurement.
const RATIOS: [(&str, Of, Of); 9] = [
    (
        "KV 2 read / bare HTTP",
        Of(OURS, READ),
        Of("floor", "bare HTTP, a constant"),
    ),
    ("KV 2 read / OpenBao", Of(OURS, READ), Of(BAO, READ)),
    ("KV 2 write / OpenBao", Of(OURS, WRITE), Of(BAO, WRITE)),
    (
        "token create / OpenBao",
        Of(OURS, TOKEN_CREATE),
        Of(BAO, TOKEN_CREATE),
    ),
    (
        "token lookup-self / OpenBao",
        Of(OURS, LOOKUP_SELF),
        Of(BAO, LOOKUP_SELF),
    ),
    (
        "wrapped read / OpenBao",
        Of(OURS, WRAPPED_READ),
        Of(BAO, WRAPPED_READ),
    ),
    ("list / OpenBao", Of(OURS, LIST), Of(BAO, LIST)),
    (
        "KV 2 read / the same, unrecorded",
        Of(OURS, READ),
        Of(OURS, UNRECORDED),
    ),
    (
        "KV 2 read among many / the same, alone",
        Of(OURS, AMONG_MANY),
        Of(OURS, READ),
    ),
];

const OURS: &str = "SecretumVault";
const BAO: &str = "OpenBao";

pub(super) const READ: &str = "KV 2 read";
pub(super) const WRITE: &str = "KV 2 write";
pub(super) const TOKEN_CREATE: &str = "token create";
pub(super) const LOOKUP_SELF: &str = "token lookup-self";
pub(super) const WRAPPED_READ: &str = "KV 2 read, wrapped";
pub(super) const LIST: &str = "list of 10,000 names";
pub(super) const AMONG_MANY: &str = "KV 2 read, among 10,000 mounts and 100,000 policies";
pub(super) const UNRECORDED: &str = "KV 2 read, no audit device";

#[derive(Debug, Clone, Copy)]
struct Of(&'static str, &'static str);

/// What was measured.
#[derive(Debug)]
pub(super) struct Report {
    seconds: u32,
    rows: Vec<Row>,
    memory: Vec<Memory>,
    decisions: Vec<Decision>,
    verified: Option<Verified>,
}

impl Report {
    pub(super) fn new(seconds: u32) -> Self {
        Self {
            seconds,
            rows: Vec::new(),
            memory: Vec::new(),
            decisions: Vec::new(),
            verified: None,
        }
    }

    pub(super) fn add_decisions(&mut self, decisions: Vec<Decision>) {
        self.decisions.extend(decisions);
    }

    pub(super) fn set_verified(&mut self, verified: Verified) {
        self.verified = Some(verified);
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn add_memory(&mut self, memory: Memory) {
        self.memory.push(memory);
    }

    #[expect(
        clippy::print_stdout,
        reason = "the tables are what the command is asked for"
    )]
    pub(super) fn print(&self) {
        print!("{}", self.text());
    }

    /// **Errors**: [`Failure::Findings`] naming the measurements with errors, whose numbers are worth
    /// nothing.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let wrong = self.rows.iter().filter(|row| row.measured.errors > 0);
        let findings = wrong.map(|row| {
            format!(
                "{}, {}: {} requests failed",
                row.subject, row.what, row.measured.errors
            )
        });
        Failure::of_findings(findings.collect())
    }

    fn text(&self) -> String {
        let mut text = format!("{}; {} s each.\n\n", machine(), self.seconds);
        text += "| server | request | requests/s | p50 | p99 | errors | MiB then |\n";
        text += "|---|---|--:|--:|--:|--:|--:|\n";
        for Row {
            subject,
            what,
            measured,
            resident_mib,
        } in &self.rows
        {
            let Measured {
                per_second,
                p50,
                p99,
                errors,
            } = measured;
            let (p50, p99) = (milliseconds(*p50), milliseconds(*p99));
            line(
                &mut text,
                format_args!(
                    "{subject} | {what} | {per_second:.0} | {p50} | {p99} | {errors} | {resident_mib:.0}"
                ),
            );
        }
        text += "\n| server | secrets | MiB at start | MiB with the secrets | MiB at the end | ready after a restart | MiB then |\n";
        text += "|---|--:|--:|--:|--:|--:|--:|\n";
        for Memory {
            subject,
            secrets,
            start,
            loaded,
            end,
            restarted,
            ready,
        } in &self.memory
        {
            let ready = milliseconds(*ready);
            line(
                &mut text,
                format_args!(
                    "{subject} | {secrets} | {start:.0} | {loaded:.0} | {end:.0} | {ready} | {restarted:.0}"
                ),
            );
        }
        let ratios = RATIOS.iter().filter_map(|(title, of, to)| {
            Some((title, self.per_second(*of)? / self.per_second(*to)?))
        });
        for (index, (title, ratio)) in ratios.enumerate() {
            text += if index == 0 {
                "\n| ratio | |\n|---|--:|\n"
            } else {
                ""
            };
            line(&mut text, format_args!("{title} | {ratio:.2}"));
        }
        text + &alone::tables(&self.decisions, self.verified.as_ref())
    }

    fn per_second(&self, Of(subject, what): Of) -> Option<f64> {
        let row = self
            .rows
            .iter()
            .find(|row| row.subject == subject && row.what == what);
        row.map(|row| row.measured.per_second)
    }
}

pub(super) fn line(text: &mut String, cells: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = writeln!(text, "| {cells} |");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// The machine, in words: cores, and the processor's name.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{cores} cores, {}",
        model.map_or("of an unknown kind", |(_, model)| model)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &'static str, what: &'static str, per_second: f64, errors: u64) -> Row {
        let (p50, p99) = (Duration::from_micros(1_500), Duration::from_millis(12));
        Row {
            subject,
            what,
            measured: Measured {
                per_second,
                p50,
                p99,
                errors,
            },
            resident_mib: 30.0,
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        let memory = Memory {
            subject: OURS,
            secrets: 10,
            start: 21.4,
            loaded: 50.0,
            end: 99.6,
            restarted: 30.2,
            ready: Duration::from_millis(500),
        };
        Report {
            seconds: 1,
            rows,
            memory: vec![memory],
            decisions: Vec::new(),
            verified: None,
        }
    }

    #[test]
    fn tables_and_ratios() {
        let text = report(vec![
            row("floor", "bare HTTP, a constant", 50_000.0, 0),
            row(OURS, "KV 2 read", 25_000.0, 0),
            row("OpenBao", "KV 2 read", 2_000.0, 0),
        ])
        .text();
        for expected in [
            "| SecretumVault | KV 2 read | 25000 | 1.50 ms | 12.00 ms | 0 | 30 |",
            "| SecretumVault | 10 | 21 | 50 | 100 | 500.00 ms | 30 |",
            "| KV 2 read / bare HTTP | 0.50 |",
            "| KV 2 read / OpenBao | 12.50 |",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
        assert!(
            !text.contains("KV 2 write / OpenBao"),
            "there is nothing to divide"
        );
    }

    #[test]
    fn a_failed_request_fails_the_bench() {
        assert!(report(vec![row(OURS, "health", 1.0, 0)]).check().is_ok());
        assert!(report(vec![row(OURS, "health", 1.0, 1)]).check().is_err());
    }
}
