//! [`Pattern`]: the path of a row.

/// Why a set of rows is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two rows of one verb match the same paths, and neither is more literal.
    #[error("the routes `{first}` and `{second}` are ambiguous for the same verb")]
    Ambiguous {
        /// The pattern that stands first.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The pattern is not well-formed.
    #[error("the route `{pattern}` is malformed: {what}")]
    Malformed {
        /// The pattern.
        pattern: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// One segment of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This text.
    Literal(&'static str),
    /// Any one segment.
    One(&'static str),
    /// Any number of segments; none included where `or_none`.
    Rest { name: &'static str, or_none: bool },
}

/// A path with captures: `roles/{name}` (one segment), `data/{path+}` (one or more),
/// `metadata/{path*}` (any number), `mounts/{path+}/tune`.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) text: &'static str,
    pub(crate) segments: Vec<Segment>,
}

impl Pattern {
    /// Reads a pattern. At most one capture takes the rest, and only literals may follow it.
    pub(crate) fn parse(text: &'static str) -> Result<Self, RouteError> {
        let malformed = |what| RouteError::Malformed {
            pattern: text,
            what,
        };
        let mut segments = Vec::new();
        for part in text.split('/').filter(|_| !text.is_empty()) {
            let segment = match part.strip_prefix('{').map(|rest| rest.strip_suffix('}')) {
                None if part.is_empty() => return Err(malformed("a segment is empty")),
                None => Segment::Literal(part),
                Some(None) => return Err(malformed("a capture is not closed")),
                Some(Some(name)) => match (name.strip_suffix('*'), name.strip_suffix('+')) {
                    (Some(name), _) => Segment::Rest {
                        name,
                        or_none: true,
                    },
                    (None, Some(name)) => Segment::Rest {
                        name,
                        or_none: false,
                    },
                    (None, None) => Segment::One(name),
                },
            };
            segments.push(segment);
        }
        if let Some(rest) = segments
            .iter()
            .position(|s| matches!(s, Segment::Rest { .. }))
            && !segments
                .iter()
                .skip(rest + 1)
                .all(|s| matches!(s, Segment::Literal(_)))
        {
            return Err(malformed("only literals may follow a capture of the rest"));
        }
        Ok(Self { text, segments })
    }

    /// Names of the captures, in order.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(name) | Segment::Rest { name, .. } => Some(*name),
        })
    }

    /// The pattern as an OpenAPI path, without a leading slash.
    pub(crate) fn open_api(&self) -> String {
        self.text.replace("*}", "}").replace("+}", "}")
    }
}
