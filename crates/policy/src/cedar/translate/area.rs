//! [`Area`]: where a rule that Cedar cannot say may decide, and the rest of its policy says nothing.

use super::matcher::literal;
use crate::Rule;

/// Paths that a rule which is left out may decide over; it may be more of them than it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Area {
    /// This path, and it with a slash behind.
    Exactly(String),
    /// Every path that begins so.
    From(String),
}

impl Area {
    /// That of a rule; `None` where it could be any path.
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        let path = &*rule.path;
        if rule.pattern.as_ref().is_some_and(|one| one.is_exact()) {
            return Some(Self::Exactly(path.trim_end_matches('/').to_owned()));
        }
        let fixed = path.find(['+', '*']).unwrap_or(path.len());
        let fixed = fixed.min(path.find("{{").unwrap_or(path.len()));
        let start = path.get(..fixed).unwrap_or_default();
        (!start.is_empty()).then(|| Self::From(start.to_owned()))
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        match self {
            Self::Exactly(own) => path.trim_end_matches('/') == own,
            // A folder is looked up without its slash, too.
            Self::From(start) => path.starts_with(start) || format!("{path}/").starts_with(start),
        }
    }

    /// That a path is not in it.
    pub(super) fn condition(&self) -> String {
        match self {
            Self::Exactly(own) => {
                let folder = format!("{own}/");
                format!("!(resource.path == {own:?}) &&\n  !(resource.path == {folder:?})")
            }
            Self::From(start) => {
                let folder = start.strip_suffix('/');
                let folder = folder.map(|own| format!("!(resource.path == {own:?}) &&\n  "));
                let like = literal(start);
                format!(
                    "{}!(resource.path like \"{like}*\")",
                    folder.unwrap_or_default()
                )
            }
        }
    }
}
