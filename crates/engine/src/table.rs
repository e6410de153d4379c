//! [`RouteTable`]: finds the row of a path.
//!
//! Patterns stand in a trie of segments. A path is matched literal before capture, one segment before
//! the rest, longer literal tails behind a rest first; the first pattern that has the verb wins. The
//! cost follows the length of the path and the few patterns that share its beginning.

use crate::pattern::{Pattern, RouteError, Segment};
use crate::routes::{Row, RowId};
use crate::{Engine, Routes, Verb};
use std::collections::HashMap;

/// The rows of an engine, prepared for matching. Built once per kind of engine, shared by all mounts.
#[derive(Debug)]
pub struct RouteTable<E> {
    rows: Vec<Row<E>>,
    root: Node,
}

/// What a path and verb lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Matched<'p> {
    /// A row, and its captures in the order of the pattern.
    Row(RowId, Vec<(&'static str, &'p str)>),
    /// The path is known, but not with this verb.
    OtherVerb,
    /// No pattern matches.
    Nothing,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<&'static str, Node>,
    one: Option<Box<Node>>,
    /// Literal tails behind a capture of the rest, longest first.
    rests: Vec<Rest>,
    ends: Ends,
}

#[derive(Debug)]
struct Rest {
    tail: Vec<&'static str>,
    /// Whether it may capture no segment.
    or_none: bool,
    ends: Ends,
}

/// The rows that end at a place, one per verb.
#[derive(Debug, Default)]
struct Ends(Vec<(Verb, RowId)>);

impl Ends {
    fn row(&self, verb: Verb) -> Option<RowId> {
        self.0
            .iter()
            .find(|(own, _)| *own == verb)
            .map(|(_, row)| *row)
    }
}

impl<E: Engine> RouteTable<E> {
    /// Prepares the rows of an engine.
    ///
    /// **Errors**: [`RouteError`] where a pattern is malformed or two rows are ambiguous.
    pub fn new(routes: Routes<E>) -> Result<Self, RouteError> {
        let rows = routes.into_rows();
        let mut root = Node::default();
        for (index, row) in rows.iter().enumerate() {
            let pattern = Pattern::parse(row.pattern)?;
            let ends = root.ends_of(&pattern);
            if let Some(RowId(first)) = ends.row(row.verb) {
                let first = rows.get(first).map_or("", |row| row.pattern);
                return Err(RouteError::Ambiguous {
                    first,
                    second: row.pattern,
                });
            }
            ends.0.push((row.verb, RowId(index)));
        }
        root.sort();
        Ok(Self { rows, root })
    }

    /// The row for a verb on a path relative to the mount.
    ///
    /// A trailing slash does not count where the verb names a folder. Elsewhere only a capture of the
    /// rest takes it, and keeps it: a path means one thing, to policies as to rows.
    pub fn find<'p>(&self, verb: Verb, path: &'p str) -> Matched<'p> {
        let whole = path;
        let path = path.strip_suffix('/').unwrap_or(path);
        let whole = if verb.names_folder() { path } else { whole };
        let segments: Vec<&str> = if path.is_empty() {
            Vec::new()
        } else {
            path.split('/').collect()
        };
        let mut walk = Walk {
            verb,
            whole,
            path,
            known: false,
        };
        let mut values = Vec::new();
        let Some(id) = walk.node(&self.root, &segments, &mut values) else {
            return if walk.known {
                Matched::OtherVerb
            } else {
                Matched::Nothing
            };
        };
        match self.row(id) {
            Some(row) => {
                let captures = row.captures.iter().copied().zip(values).collect();
                Matched::Row(id, captures)
            }
            None => Matched::Nothing,
        }
    }

    /// The row with this id.
    pub fn row(&self, id: RowId) -> Option<&Row<E>> {
        self.rows.get(id.0)
    }

    /// Whether a path leads to this row.
    pub(crate) fn matches(&self, row: &Row<E>, path: &str) -> bool {
        match self.find(row.verb, path) {
            Matched::Row(id, _) => self.row(id).is_some_and(|found| std::ptr::eq(found, row)),
            Matched::OtherVerb | Matched::Nothing => false,
        }
    }

    /// All rows.
    pub fn rows(&self) -> &[Row<E>] {
        &self.rows
    }
}

impl Node {
    /// The place where a pattern ends, made where it is missing.
    fn ends_of(&mut self, pattern: &Pattern) -> &mut Ends {
        let mut node = self;
        let mut segments = pattern.segments.iter();
        while let Some(segment) = segments.next() {
            match segment {
                Segment::Literal(text) => node = node.literals.entry(text).or_default(),
                Segment::One(_) => node = node.one.get_or_insert_default(),
                Segment::Rest { or_none, .. } => {
                    let tail: Vec<&'static str> = segments
                        .filter_map(|segment| match segment {
                            Segment::Literal(text) => Some(*text),
                            Segment::One(_) | Segment::Rest { .. } => None,
                        })
                        .collect();
                    return node.rest(tail, *or_none);
                }
            }
        }
        &mut node.ends
    }

    fn rest(&mut self, tail: Vec<&'static str>, or_none: bool) -> &mut Ends {
        let known = self
            .rests
            .iter()
            .position(|rest| rest.tail == tail && rest.or_none == or_none);
        let at = known.unwrap_or_else(|| {
            self.rests.push(Rest {
                tail,
                or_none,
                ends: Ends::default(),
            });
            self.rests.len() - 1
        });
        #[expect(
            clippy::indexing_slicing,
            reason = "the index was found or pushed just above"
        )]
        &mut self.rests[at].ends
    }

    fn sort(&mut self) {
        self.rests
            .sort_by_key(|rest| (std::cmp::Reverse(rest.tail.len()), rest.or_none));
        for node in self.literals.values_mut().chain(self.one.as_deref_mut()) {
            node.sort();
        }
    }
}

/// One search through the trie.
struct Walk<'p> {
    verb: Verb,
    /// The path with the slash that a capture keeps.
    whole: &'p str,
    path: &'p str,
    /// Whether a pattern matched that lacks the verb.
    known: bool,
}

impl<'p> Walk<'p> {
    fn node(&mut self, node: &Node, left: &[&'p str], values: &mut Vec<&'p str>) -> Option<RowId> {
        if let Some((first, left)) = left.split_first() {
            if let Some(next) = node.literals.get(first)
                && let Some(row) = self.node(next, left, values)
            {
                return Some(row);
            }
            if let Some(next) = &node.one {
                values.push(first);
                if let Some(row) = self.node(next, left, values) {
                    return Some(row);
                }
                values.pop();
            }
        } else if !self.ends_in_slash()
            && let Some(row) = self.end(&node.ends)
        {
            return Some(row);
        }
        for rest in &node.rests {
            let Some(held) = left.len().checked_sub(rest.tail.len()) else {
                continue;
            };
            let (body, tail) = left.split_at(held);
            if tail == rest.tail.as_slice()
                && (rest.or_none || held > 0)
                && (tail.is_empty() || !self.ends_in_slash())
                && let Some(row) = self.end(&rest.ends)
            {
                values.push(self.span(body));
                return Some(row);
            }
        }
        None
    }

    fn ends_in_slash(&self) -> bool {
        self.whole.len() > self.path.len()
    }

    fn end(&mut self, ends: &Ends) -> Option<RowId> {
        let row = ends.row(self.verb);
        self.known |= row.is_none() && !ends.0.is_empty();
        row
    }

    /// The part of the path that consecutive segments cover.
    fn span(&self, segments: &[&'p str]) -> &'p str {
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return "";
        };
        let offset = |part: &str| part.as_ptr().addr() - self.path.as_ptr().addr();
        let mut end = offset(last) + last.len();
        if end == self.path.len() {
            end = self.whole.len();
        }
        self.whole.get(offset(first)..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Context, Fault, Handle, Reply};

    #[derive(Debug)]
    struct Demo;

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Anything {}

    impl Engine for Demo {
        const KIND: &'static str = "demo";
        const ABOUT: &'static str = "Demo";

        fn routes() -> Routes<Self> {
            rows(&[
                (Verb::Read, "mounts"),
                (Verb::Read, "mounts/{path+}"),
                (Verb::Read, "mounts/{path+}/tune"),
                (Verb::Read, "roles/{name}"),
                (Verb::List, "roles"),
                (Verb::Read, "roles/admin"),
                (Verb::Write, "leases/lookup"),
                (Verb::List, "leases/lookup/{prefix*}"),
            ])
        }
    }

    impl Handle<Anything> for Demo {
        type Data = ();
        type Error = Fault;

        async fn handle(&self, _: Anything, _: &Context) -> Result<Reply<()>, Fault> {
            Ok(Reply::empty())
        }
    }

    fn rows(rows: &[(Verb, &'static str)]) -> Routes<Demo> {
        rows.iter().fold(Routes::new(), |routes, (verb, pattern)| {
            routes.on::<Anything>(*verb, pattern, Access::Token)
        })
    }

    fn found(verb: Verb, path: &str) -> String {
        let table = RouteTable::new(Demo::routes()).unwrap();
        match table.find(verb, path) {
            Matched::Row(id, captures) => {
                let values: Vec<String> = captures
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{} {}", table.row(id).unwrap().pattern, values.join(","))
            }
            Matched::OtherVerb => "405".to_owned(),
            Matched::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn the_most_literal_row_wins() {
        for (verb, path, expected) in [
            (Verb::Read, "mounts", "mounts "),
            (Verb::Read, "mounts/", "404"),
            (Verb::Read, "mounts/a/tune/", "mounts/{path+} path=a/tune/"),
            (Verb::Read, "roles/admin/", "404"),
            (Verb::Read, "mounts/a/b", "mounts/{path+} path=a/b"),
            (Verb::Read, "mounts/a/b/", "mounts/{path+} path=a/b/"),
            (
                Verb::Read,
                "mounts/a/b/tune",
                "mounts/{path+}/tune path=a/b",
            ),
            (Verb::Read, "mounts/tune", "mounts/{path+} path=tune"),
            (Verb::Read, "roles/x", "roles/{name} name=x"),
            (Verb::Read, "roles/admin", "roles/admin "),
            (Verb::List, "roles/", "roles "),
            (Verb::Read, "roles/x/y", "404"),
            (Verb::Write, "roles/x", "405"),
            (
                Verb::List,
                "leases/lookup/",
                "leases/lookup/{prefix*} prefix=",
            ),
            (
                Verb::List,
                "leases/lookup/a/b/",
                "leases/lookup/{prefix*} prefix=a/b",
            ),
            (Verb::Read, "", "404"),
        ] {
            assert_eq!(found(verb, path), expected, "{verb:?} {path}");
        }
    }

    #[test]
    fn ambiguous_rows_are_no_table() {
        let error = RouteTable::new(rows(&[(Verb::Read, "a/{x}/b"), (Verb::Read, "a/{y}/b")]));
        assert_eq!(
            error.unwrap_err(),
            RouteError::Ambiguous {
                first: "a/{x}/b",
                second: "a/{y}/b"
            }
        );
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["a//b", "a/{x", "{x*}/{y}", "/a"] {
            assert!(
                RouteTable::new(rows(&[(Verb::Read, pattern)])).is_err(),
                "{pattern}"
            );
        }
    }
}
