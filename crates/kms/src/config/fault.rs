//! What is wrong with a configuration, and where.

use super::CONFIG_BYTES_MAX;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most faults that are told of one file.
pub(super) const FAULTS_MAX: usize = 100;

/// One fault: its line, its cause, and what to write in its place. Never the value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong, and how to mend it: one line.
    pub message: String,
}

impl ConfigFault {
    /// A fault at an offset of the file's text, in bytes; line breaks of the message become spaces.
    pub fn at(text: &str, offset: usize, message: &str) -> Self {
        Self {
            line: Some(line(text, offset)),
            message: one_line(message),
        }
    }

    /// A fault of the file as a whole.
    pub fn of_file(message: &str) -> Self {
        Self {
            line: None,
            message: one_line(message),
        }
    }
}

fn one_line(message: &str) -> String {
    message.replace(['\n', '\r'], " ")
}

/// The line of an offset, from 1.
pub(super) fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsConfigError {
    /// The file.
    pub file: PathBuf,
    /// Its faults; at least one.
    pub faults: Vec<ConfigFault>,
}

impl fmt::Display for KmsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for KmsConfigError {}

/// Reads a configuration file, once: it may be a pipe.
///
/// **Errors**: [`KmsConfigError`], where it cannot be read, or is no text. What is beyond the limit is refused by
/// who reads the text.
pub fn read_file(file: &Path) -> Result<String, KmsConfigError> {
    let fault = |message: String| KmsConfigError {
        file: file.to_owned(),
        faults: vec![ConfigFault::of_file(&message)],
    };
    let opened = std::fs::File::open(file);
    let opened = opened.map_err(|error| fault(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX);
    opened
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| fault(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|_| fault("is no text in UTF-8".to_owned()))
}
