//! [`Failure`]: why a chore did not end well.

use std::path::{Path, PathBuf};

/// Why a chore did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// Rules of the house are broken; a line for each.
    #[error("{}", .0.join("\n"))]
    Findings(Vec<String>),
    /// It was not done at all, for want of what it needs.
    #[error("left out: {0}")]
    LeftOut(String),
    /// A command ended with an error, which it printed itself.
    #[error("`{command}` failed ({status})")]
    Command { command: String, status: String },
    /// A command could not be started.
    #[error("`{command}` cannot be started: {hint}")]
    Missing {
        command: String,
        hint: String,
        #[source]
        source: std::io::Error,
    },
    /// A file or folder could not be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Cargo could not describe the workspace.
    #[error("cargo cannot describe the workspace: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// A server that is measured, or the tool that measures it, did not do what it should.
    #[error("{who}: {reason}")]
    Bench { who: String, reason: String },
}

impl Failure {
    /// A [`Failure::File`] of this path.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// `Ok` where nothing was found.
    pub(crate) fn of_findings(findings: Vec<String>) -> Result<(), Self> {
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Self::Findings(findings))
        }
    }
}
