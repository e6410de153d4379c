//! [`Report`]: what a migration did, and what it did not.

use super::item::{Fault, Outcome};
use crate::commands::kms::interrupt::INTERRUPTED;
use crate::failure::Failure;
use crate::output::{Format, console, structured};
use secretum_client::{Json, Object};
use std::path::Path;

/// The most failures that are named.
const FAILURES_TOLD_MAX: usize = 1_000;

/// The exit code where something was not migrated.
const INCOMPLETE: u8 = 2;

/// What a migration did.
#[derive(Debug, Default)]
pub(super) struct Report {
    is_dry: bool,
    files: usize,
    migrated: usize,
    already: usize,
    foreign: usize,
    failed: usize,
    /// The first of them: a file, and why.
    failures: Vec<(String, String)>,
    /// Why it did not go on.
    stopped: Option<String>,
    is_interrupted: bool,
}

impl Report {
    pub(super) fn new(files: usize, is_dry: bool) -> Self {
        Self {
            is_dry,
            files,
            ..Self::default()
        }
    }

    /// Counts a file; whether to go on. A key service that is away would fail every file.
    pub(super) fn count(&mut self, path: &Path, outcome: Result<Outcome, Fault>) -> bool {
        match outcome {
            Ok(Outcome::Moved | Outcome::Ready(_)) => self.migrated += 1,
            Ok(Outcome::Already) => self.already += 1,
            Ok(Outcome::Foreign) => self.foreign += 1,
            Err(Fault::Everywhere(failure)) => {
                self.stop(&failure);
                return false;
            }
            Err(Fault::File(failure)) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_TOLD_MAX {
                    let told = (path.display().to_string(), failure.to_string());
                    self.failures.push(told);
                }
            }
        }
        true
    }

    /// Tells why it did not go on.
    pub(super) fn stop(&mut self, failure: &Failure) {
        self.stopped = Some(failure.to_string());
    }

    /// Tells that a signal ended it.
    pub(super) fn interrupt(&mut self) {
        self.is_interrupted = true;
        self.stopped = Some("interrupted".to_owned());
    }

    /// Whether nothing failed, of what was there to do or to try.
    fn is_without_fault(&self) -> bool {
        self.failed == 0 && self.stopped.is_none()
    }

    /// Whether everything is under the new service, so that there is nothing left to do.
    pub(super) fn is_complete(&self) -> bool {
        !self.is_dry && self.is_without_fault()
    }

    /// Files that are not under the new service: those that failed, and those that no turn came to.
    fn left(&self) -> usize {
        let migrated = if self.is_dry { 0 } else { self.migrated };
        let done = migrated + self.already + self.foreign;
        self.files.saturating_sub(done)
    }

    pub(super) fn exit_code(&self) -> u8 {
        match (self.is_interrupted, self.is_without_fault()) {
            (true, _) => INTERRUPTED,
            (false, true) => 0,
            (false, false) => INCOMPLETE,
        }
    }

    pub(super) fn show(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Table | Format::Raw => {
                for (path, why) in &self.failures {
                    console::note(&format!("{path}: {why}"));
                }
                let untold = self.failed.saturating_sub(self.failures.len());
                if untold > 0 {
                    console::note(&format!("and {untold} more"));
                }
                if let Some(stopped) = &self.stopped {
                    console::note(&format!(
                        "stopped: {stopped}\nthe same command goes on where it was"
                    ));
                }
                console::line(&self.sentence())
            }
            format => structured(&self.document().into(), format),
        }
    }

    fn sentence(&self) -> String {
        let done = if self.is_dry {
            "would be migrated"
        } else {
            "migrated"
        };
        let end = if self.is_complete() {
            "complete".to_owned()
        } else if self.is_dry {
            "nothing was changed".to_owned()
        } else {
            format!("not complete, {} left", self.left())
        };
        format!(
            "{} files: {} {done}, {} already there, {} no ciphertexts, {} failed: {end}",
            self.files, self.migrated, self.already, self.foreign, self.failed
        )
    }

    fn document(&self) -> Object {
        let mut document = Object::new();
        document.insert("dry_run", self.is_dry);
        document.insert("complete", self.is_complete());
        let counts = [
            ("files", self.files),
            ("migrated", self.migrated),
            ("already", self.already),
            ("no_ciphertexts", self.foreign),
            ("failed", self.failed),
            ("left", self.left()),
        ];
        for (name, count) in counts {
            document.insert(name, u64::try_from(count).unwrap_or(u64::MAX));
        }
        let failure = |(path, why): &(String, String)| {
            let mut failure = Object::new();
            failure.insert("file", path.as_str());
            failure.insert("error", why.as_str());
            Json::from(failure)
        };
        let failures = self.failures.iter().map(failure);
        document.insert("failures", Json::Array(failures.collect()));
        let stopped = self.stopped.as_deref().map(Json::from);
        document.insert("stopped", stopped.unwrap_or_default());
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_kms::KmsError;

    #[test]
    fn failures_are_named_and_a_service_that_is_away_stops_it() {
        let mut report = Report::new(3, false);
        assert!(report.count(Path::new("a"), Ok(Outcome::Moved)));
        assert!(report.is_complete() && report.exit_code() == 0);
        assert!(report.count(Path::new("b"), Err(Failure::local("why").into())));
        assert_eq!(report.exit_code(), INCOMPLETE);
        let away = KmsError::Unavailable {
            provider: "vault",
            reason: "refused".to_owned(),
            source: None,
        };
        assert!(!report.count(Path::new("c"), Err(Fault::of(away))));
        let document = Json::from(report.document()).to_string();
        assert!(
            document.contains(r#""failures":[{"file":"b","error":"why"}]"#),
            "{document}"
        );
        assert!(document.contains("vault cannot be reached"), "{document}");
        assert_eq!(
            report.sentence(),
            "3 files: 1 migrated, 0 already there, 0 no ciphertexts, 1 failed: not complete, 2 left"
        );
    }

    #[test]
    fn only_a_run_that_left_nothing_says_that_it_is_complete() {
        let says = |report: &Report| {
            let json = Json::from(report.document()).to_string();
            (
                report.sentence().ends_with(": complete"),
                json.contains(r#""complete":true"#),
            )
        };
        let mut done = Report::new(1, false);
        done.count(Path::new("a"), Ok(Outcome::Moved));
        assert_eq!(says(&done), (true, true));
        let mut dry = Report::new(1, true);
        dry.count(Path::new("a"), Ok(Outcome::Moved));
        assert_eq!(says(&dry), (false, false));
        assert_eq!((dry.exit_code(), dry.left()), (0, 1));
        let mut interrupted = Report::new(2, false);
        interrupted.count(Path::new("a"), Ok(Outcome::Moved));
        interrupted.interrupt();
        assert_eq!(says(&interrupted), (false, false));
        assert_eq!((interrupted.exit_code(), interrupted.left()), (130, 1));
        let mut failed = Report::new(1, false);
        failed.count(Path::new("a"), Err(Failure::local("why").into()));
        assert_eq!(says(&failed), (false, false));
        assert_eq!((failed.exit_code(), failed.left()), (2, 1));
    }

    #[test]
    fn a_report_names_a_bounded_number_of_failures() {
        let mut report = Report::new(0, false);
        for _ in 0..=FAILURES_TOLD_MAX {
            report.count(Path::new("a"), Err(Failure::local("why").into()));
        }
        assert_eq!(report.failed, FAILURES_TOLD_MAX + 1);
        assert_eq!(report.failures.len(), FAILURES_TOLD_MAX);
    }
}
