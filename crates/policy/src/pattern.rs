//! The path of a rule: what it matches, and which of several wins.
//!
//! **Shape**: `a/b` is that path alone; `a/b*` every path that begins with `a/b`; `a/+/b` has any one
//! segment where the `+` stands; `a/+/b*` is both. A `*` elsewhere, and a `+` beside other characters,
//! stand for themselves.
//!
//! `+*` may stand nowhere.
//!
//! Of two patterns that match, the one loses
//! 1. whose first `+` or final `*` comes earlier;
//! 2. else, that ends in `*` where the other does not;
//! 3. else, that has more `+`;
//! 4. else, that is shorter;
//! 5. else, that is lexicographically smaller.

use crate::{PATH_BYTES_MAX, Problem, WILDCARD_SEGMENTS_MAX};
use std::cmp::Reverse;

/// The path of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The path without a final `*`.
    stem: String,
    kind: Kind,
    /// Whether it ends in `*`.
    glob: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Plain,
    Segments,
}

/// The rank of a pattern among those that match; the greatest wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Priority {
    first_wildcard: usize,
    whole: bool,
    wildcards: Reverse<usize>,
    len: usize,
    stem: String,
}

impl Pattern {
    /// Reads a path; a slash it begins with is dropped.
    ///
    /// **Errors**: [`Problem::PlusGlob`], [`Problem::PathTooLong`], [`Problem::TooManySegments`].
    pub fn parse(path: &str) -> Result<Self, Problem> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Problem::PathTooLong);
        }
        // `+` would count as no wildcard there, and a rule that is written as one would match nothing.
        if path.contains("+*") {
            return Err(Problem::PlusGlob(path.to_owned()));
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (stem, glob) = match path.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (path, false),
        };
        // A segment that only begins with `+` makes no wildcard, but it counts for the priority as one,
        // save at the very start: Vault has it so.
        let kind = if stem == "+" || stem.starts_with("+/") || stem.contains("/+") {
            Kind::Segments
        } else {
            Kind::Plain
        };
        if kind == Kind::Segments && stem.split('/').count() > WILDCARD_SEGMENTS_MAX {
            return Err(Problem::TooManySegments);
        }
        Ok(Self {
            stem: stem.to_owned(),
            kind,
            glob,
        })
    }

    /// The path without a final `*`.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Whether it ends in `*`.
    pub fn is_glob(&self) -> bool {
        self.glob
    }

    /// Whether it is matched segment by segment.
    pub fn has_wildcards(&self) -> bool {
        self.kind == Kind::Segments
    }

    /// Whether it is one path and no other.
    pub fn is_exact(&self) -> bool {
        self.kind == Kind::Plain && !self.glob
    }

    /// Whether it matches this path.
    pub fn matches(&self, path: &str) -> bool {
        if self.kind == Kind::Plain {
            return if self.glob {
                path.starts_with(&self.stem)
            } else {
                path == self.stem
            };
        }
        let (mut segments, mut wanted) = (path.split('/'), self.stem.split('/').peekable());
        while let Some(want) = wanted.next() {
            let Some(segment) = segments.next() else {
                return false;
            };
            let last = wanted.peek().is_none();
            let fits = match want {
                "+" => true,
                want if last && self.glob => segment.starts_with(want),
                want => segment == want,
            };
            if !fits {
                return false;
            }
        }
        self.glob || segments.next().is_none()
    }

    pub(crate) fn priority(&self) -> Priority {
        let end = self.stem.len();
        let wildcards = self
            .stem
            .split('/')
            .filter(|segment| *segment == "+")
            .count();
        let plus_at = match self.kind {
            Kind::Plain => None,
            Kind::Segments => self.stem.find('+'),
        };
        Priority {
            first_wildcard: plus_at.unwrap_or(end),
            whole: !self.glob,
            wildcards: Reverse(wildcards),
            len: end,
            stem: self.stem.clone(),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.stem, if self.glob { "*" } else { "" })
    }
}
