//! The three syntaxes, each read into the same tree.

use super::{Problem, files, toml_tree};
use secretum_hcl::{Body, HclError, Position};
use std::path::Path;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Our own.
    Toml,
    /// Vault's.
    Hcl,
    /// Vault's, in JSON.
    Json,
}

/// A text that cannot be read, and where that shows.
pub(crate) type Faults = Vec<(Position, Problem)>;

impl Syntax {
    /// Reads a text; how it is written is told by the file's ending, else by the text.
    pub(crate) fn read(path: &Path, text: &str) -> (Self, Result<Body, Faults>) {
        let syntax = Self::of_ending(path);
        if let Some(syntax) = syntax {
            return (syntax, syntax.parse(text));
        }
        if starts_json(text) {
            return (Self::Json, Self::Json.parse(text));
        }
        // What both can read means the same in both.
        let (toml, hcl) = (Self::Toml.parse(text), Self::Hcl.parse(text));
        let looks_like_toml = text.lines().any(|line| line.trim_start().starts_with('['));
        if toml.is_ok() || (hcl.is_err() && looks_like_toml) {
            (Self::Toml, toml)
        } else {
            (Self::Hcl, hcl)
        }
    }

    fn of_ending(path: &Path) -> Option<Self> {
        let endings = [
            ("toml", Self::Toml),
            ("hcl", Self::Hcl),
            ("json", Self::Json),
        ];
        endings
            .into_iter()
            .find(|(ending, _)| files::has_ending(path, ending))
            .map(|(_, syntax)| syntax)
    }

    fn parse(self, text: &str) -> Result<Body, Faults> {
        let fault = |error: HclError| vec![(error.at, Problem::Syntax(error.problem.to_string()))];
        match self {
            Self::Toml => toml_tree::parse(text),
            Self::Json if !starts_json(text) => Err(vec![(Position::START, Problem::NotJson)]),
            Self::Hcl | Self::Json => secretum_hcl::parse(text).map_err(fault),
        }
    }

    /// How a key is written.
    pub(crate) fn setting(self, key: &str, value: &str) -> String {
        match self {
            Self::Toml | Self::Hcl => format!("`{key} = \"{value}\"`"),
            Self::Json => format!("`\"{key}\": \"{value}\"`"),
        }
    }

    /// How a stanza with one key is written.
    pub(crate) fn stanza(self, name: &str, kind: &str, key: &str, value: &str) -> String {
        match self {
            Self::Toml => format!("`[{name}.{kind}]` with `{key} = \"{value}\"`"),
            Self::Hcl => format!("`{name} \"{kind}\" {{ {key} = \"{value}\" }}`"),
            Self::Json => format!("`\"{name}\": {{\"{kind}\": {{\"{key}\": \"{value}\"}}}}`"),
        }
    }
}

fn starts_json(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{')
}
