//! Where something stands, and what is said about it.

use super::Problem;
use secretum_hcl::Position;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a setting stands.
///
/// **Shape**: prints as `file:line:column`, or as `file` alone for what concerns the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file as it was named; for what does not come from a file, the flag or the variable.
    pub file: Arc<Path>,
    /// The line, from 1, and the character in it, from 1; `None` for the whole file.
    pub line_and_column: Option<(u32, u32)>,
}

impl Place {
    /// A place in a file.
    pub fn new(file: &Arc<Path>, at: Position) -> Self {
        Self {
            file: Arc::clone(file),
            line_and_column: Some((at.line, at.column)),
        }
    }

    /// A whole file, flag or variable.
    pub fn whole(file: &Path) -> Self {
        Self {
            file: Arc::from(file),
            line_and_column: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        match self.line_and_column {
            Some((line, column)) => write!(formatter, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A setting with its place, for what can only be told wrong later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The setting.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The server starts all the same.
    Warning,
    /// The server does not start.
    Error,
}

/// One thing to say about the configuration.
///
/// **Shape**: prints as `file:line:column: message`, a warning as `file:line:column: warning: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where it shows.
    pub place: Place,
    /// What is wrong there.
    pub problem: Problem,
}

impl Notice {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.problem.severity()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, .. } = self;
        // It may repeat what stands in a file: nothing of that breaks the line or speaks to a terminal.
        let problem = self.problem.to_string();
        let problem = problem.replace(char::is_control, "\u{fffd}");
        match self.severity() {
            Severity::Warning => write!(formatter, "{place}: warning: {problem}"),
            Severity::Error => write!(formatter, "{place}: {problem}"),
        }
    }
}

/// What is to be said, collected on the way.
#[derive(Debug, Default)]
pub(crate) struct Notices(Vec<Notice>);

impl Notices {
    pub(crate) fn push(&mut self, place: Place, problem: Problem) {
        self.0.push(Notice { place, problem });
    }

    pub(crate) fn have_errors(&self) -> bool {
        self.0
            .iter()
            .any(|notice| notice.severity() == Severity::Error)
    }

    /// All, those of a file by line; files in the order in which they were read.
    pub(crate) fn sorted(mut self, files: &[Arc<Path>]) -> Vec<Notice> {
        let order = |notice: &Notice| {
            let file = files.iter().position(|file| *file == notice.place.file);
            (file, notice.place.line_and_column)
        };
        self.0.sort_by_key(order);
        self.0
    }
}
