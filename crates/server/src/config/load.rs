//! Reading the whole configuration.

use super::draft::Draft;
use super::notice::Notices;
use super::section::Source;
use super::syntax::Syntax;
use super::{Config, Notice, Place, Problem, files};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration that the server can start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What in it has no effect.
    pub warnings: Vec<Notice>,
}

/// Everything that is wrong with a configuration, and the warnings beside it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigFaults {
    /// Never empty; by file and line.
    pub notices: Vec<Notice>,
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, notice) in self.notices.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(formatter, "{line_break}{notice}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the configuration from files, and from the files of folders by name.
    ///
    /// What a later file says comes before what an earlier one says, and listeners add up. The
    /// variables `VAULT_API_ADDR`, `VAULT_CLUSTER_ADDR`, `VAULT_RAFT_PATH` and `VAULT_RAFT_NODE_ID`
    /// come before the files; each may also begin with `BAO_`, or first of all with `SECRETUM_`.
    ///
    /// **Errors**: every fault, not only the first.
    pub fn load(
        paths: &[PathBuf],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigFaults> {
        let mut notices = Notices::default();
        let files = files::named_by(paths, &mut notices);
        let texts = files.into_iter().map(|file| {
            let text = files::text(&file);
            (file, text)
        });
        Self::read(texts, environment, notices)
    }

    /// Reads the configuration from a text, as from a file of this name and an empty environment.
    ///
    /// **Errors**: every fault, not only the first.
    pub fn parse(file: &Path, text: &str) -> Result<Loaded, ConfigFaults> {
        let text = (Arc::from(file), Ok(text.to_owned()));
        Self::read([text], &|_| None, Notices::default())
    }

    fn read(
        texts: impl IntoIterator<Item = (Arc<Path>, Result<String, Problem>)>,
        environment: &dyn Fn(&str) -> Option<String>,
        mut notices: Notices,
    ) -> Result<Loaded, ConfigFaults> {
        let mut draft = Draft::default();
        let (mut first, mut all_read) = (None, !notices.have_errors());
        let mut files = Vec::new();
        for (file, text) in texts {
            files.push(Arc::clone(&file));
            let text = match text {
                Ok(text) => text,
                Err(problem) => {
                    notices.push(Place::whole(&file), problem);
                    all_read = false;
                    continue;
                }
            };
            let (syntax, tree) = Syntax::read(&file, &text);
            let source = Source {
                file: file.clone(),
                syntax,
            };
            match tree {
                Ok(body) => draft.add(&source, &body, &mut notices),
                Err(faults) => {
                    all_read = false;
                    for (at, problem) in faults {
                        notices.push(source.place(at), problem);
                    }
                }
            }
            first.get_or_insert(source);
        }
        // What is missing can be told only if everything that is there was read.
        let config = first
            .filter(|_| all_read)
            .and_then(|source| draft.finish(&source, environment, &mut notices));
        let faulty = notices.have_errors();
        let notices = notices.sorted(&files);
        match config {
            Some(config) if !faulty => Ok(Loaded {
                config,
                warnings: notices,
            }),
            _ => Err(ConfigFaults { notices }),
        }
    }
}
