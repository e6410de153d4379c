//! Where entries are found: in a time that grows with the path, not with the number of rules.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// The place of an entry in the [`Acl`](crate::Acl).
pub(crate) type EntryAt = usize;

/// Texts, of which the longest that begins a given one is found.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    sorted: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    text: String,
    entry: EntryAt,
    /// The longest other text that begins this one.
    parent: Option<usize>,
}

impl Prefixes {
    pub(crate) fn new(texts: BTreeMap<String, EntryAt>) -> Self {
        let mut sorted: Vec<Prefix> = Vec::with_capacity(texts.len());
        for (text, entry) in texts {
            // What begins this text stands before it, at the end of the chain of its neighbour.
            let mut parent = sorted.len().checked_sub(1);
            while let Some(prefix) = parent.and_then(|at| sorted.get(at)) {
                if text.starts_with(&prefix.text) {
                    break;
                }
                parent = prefix.parent;
            }
            sorted.push(Prefix {
                text,
                entry,
                parent,
            });
        }
        Self { sorted }
    }

    pub(crate) fn longest(&self, of: &str) -> Option<EntryAt> {
        let after = self
            .sorted
            .partition_point(|prefix| prefix.text.as_str() <= of);
        let mut found = self.sorted.get(after.checked_sub(1)?);
        while let Some(prefix) = found {
            if of.starts_with(&prefix.text) {
                return Some(prefix.entry);
            }
            found = prefix.parent.and_then(|at| self.sorted.get(at));
        }
        None
    }
}

/// Patterns with `+`, by their segments.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    nodes: Vec<Node>,
    most_visited: usize,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<String, usize>,
    any: Option<usize>,
    /// The pattern that ends here.
    end: Option<EntryAt>,
    /// Patterns whose last segment, which ends in `*`, begins the one that follows.
    globs: Prefixes,
    /// The same while they are collected.
    collected: BTreeMap<String, EntryAt>,
    /// Whether anything at or below this node grants something.
    grants: bool,
}

impl Segments {
    /// Patterns as (stem, whether it ends in `*`, entry, whether that grants something).
    pub(crate) fn new<'a>(patterns: impl Iterator<Item = (&'a str, bool, EntryAt, bool)>) -> Self {
        let mut index = Self {
            nodes: vec![Node::default()],
            most_visited: 0,
        };
        for (stem, glob, entry, grants) in patterns {
            index.insert(stem, glob, entry, grants);
        }
        for node in &mut index.nodes {
            node.globs = Prefixes::new(std::mem::take(&mut node.collected));
        }
        index.most_visited = index.count_visits();
        index
    }

    /// The most nodes that a search for one path visits.
    pub(crate) fn most_visited(&self) -> usize {
        self.most_visited
    }

    fn count_visits(&self) -> usize {
        let mut visits = vec![0_usize; self.nodes.len()];
        // Nodes stand behind the one that they are below.
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let of = |child: usize| visits.get(child).copied().unwrap_or_default();
            let literal = node.literal.values().map(|child| of(*child)).max();
            let any = node.any.map(of).unwrap_or_default();
            let below = literal.unwrap_or_default().saturating_add(any);
            if let Some(own) = visits.get_mut(at) {
                *own = below.saturating_add(1);
            }
        }
        visits.first().copied().unwrap_or_default()
    }

    fn insert(&mut self, stem: &str, glob: bool, entry: EntryAt, grants: bool) {
        let mut at = 0;
        let mut segments = stem.split('/').peekable();
        while let Some(segment) = segments.next() {
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            node.grants |= grants;
            if glob && segments.peek().is_none() {
                node.collected.insert(segment.to_owned(), entry);
                return;
            }
            at = self.child(at, segment);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.grants |= grants;
            node.end = Some(entry);
        }
    }

    /// The node below for this segment, made if it is not there.
    fn child(&mut self, at: usize, segment: &str) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return new;
        };
        let child = match segment {
            "+" => *node.any.get_or_insert(new),
            segment => *node.literal.entry(segment.to_owned()).or_insert(new),
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Calls with entries whose pattern matches, the one of highest priority among them.
    pub(crate) fn matching(&self, path: &str, found: &mut impl FnMut(EntryAt)) {
        let segments: Vec<&str> = path.split('/').collect();
        self.matching_below(0, &segments, false, found);
    }

    /// Whether there was one. Goes no deeper than the longest pattern, of which the number of segments
    /// is bounded; `wild` says that the first `+` of the pattern is behind us.
    fn matching_below(
        &self,
        at: usize,
        segments: &[&str],
        wild: bool,
        found: &mut impl FnMut(EntryAt),
    ) -> bool {
        let Some(node) = self.nodes.get(at) else {
            return false;
        };
        let Some((segment, rest)) = segments.split_first() else {
            node.end.into_iter().for_each(found);
            return node.end.is_some();
        };
        let glob = node.globs.longest(segment);
        glob.into_iter().for_each(&mut *found);
        let wild = wild || segment.contains('+');
        let literal = node.literal.get(*segment);
        let literal = literal.is_some_and(|child| self.matching_below(*child, rest, wild, found));
        // INVARIANT: what matched below the literal has its first `+` or `*` further on than what
        // begins with `+` here, and so a higher priority.
        if literal && !wild {
            return true;
        }
        let any = node
            .any
            .is_some_and(|child| self.matching_below(child, rest, true, found));
        glob.is_some() || literal || any
    }

    /// Whether a pattern that grants something can match this path or something below it; the empty
    /// path has everything below.
    pub(crate) fn any_below(&self, path: &str, grants: &impl Fn(EntryAt) -> bool) -> bool {
        let segments: Vec<&str> = path.split('/').filter(|_| !path.is_empty()).collect();
        self.any_from(0, &segments, grants)
    }

    fn any_from(&self, at: usize, segments: &[&str], grants: &impl Fn(EntryAt) -> bool) -> bool {
        let Some(node) = self.nodes.get(at).filter(|node| node.grants) else {
            return false;
        };
        let Some((segment, rest)) = segments.split_first() else {
            return true;
        };
        let glob = node.globs.longest(segment).is_some_and(grants);
        let mut children = node
            .literal
            .get(*segment)
            .copied()
            .into_iter()
            .chain(node.any);
        glob || children.any(|child| self.any_from(child, rest, grants))
    }
}

/// Whether one of the sorted texts begins with this.
pub(crate) fn any_begins<V>(texts: &BTreeMap<String, V>, with: &str) -> bool {
    let from = (Bound::Included(with), Bound::Unbounded);
    texts
        .range::<str, _>(from)
        .next()
        .is_some_and(|(text, _)| text.starts_with(with))
}
