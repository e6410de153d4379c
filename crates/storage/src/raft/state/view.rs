//! [`View`]: the applied state at one moment.

use super::generation::Generation;
use super::store::{Base, Position};
use crate::page::Ordered;
use crate::{Entry, Key, Result, Revision};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

/// The applied state at one moment: the database, and what was applied since it was written.
pub(crate) struct View {
    /// Newest first. What is added to one later is behind this view's moment.
    generations: Vec<Arc<Generation>>,
    base: Arc<Base>,
    pub(crate) position: Position,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn new(
        generations: Vec<Arc<Generation>>,
        base: Arc<Base>,
        position: Position,
    ) -> Self {
        Self {
            generations,
            base,
            position,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision(self.position.applied.map_or(0, |applied| applied.index))
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let mut known = self.generations.iter();
        match known.find_map(|generation| generation.get(key.as_bytes(), self.revision())) {
            Some(found) => Ok(found),
            None => self.base.get(key),
        }
    }
}

impl Ordered for View {
    fn scan(
        &self,
        from: Bound<&[u8]>,
        entries: bool,
    ) -> Result<impl Iterator<Item = Result<(Key, Option<Entry>)>>> {
        let cursor = |generation| Cursor::new(generation, from, self.revision()).peekable();
        Ok(Merged {
            cursors: self.generations.iter().map(cursor).collect(),
            base: self.base.scan(from, entries)?.peekable(),
            entries,
        })
    }
}

/// What a generation says, key after key.
struct Cursor<'a> {
    generation: &'a Generation,
    from: Bound<Vec<u8>>,
    upto: Revision,
}

impl<'a> Cursor<'a> {
    fn new(generation: &'a Arc<Generation>, from: Bound<&[u8]>, upto: Revision) -> Self {
        Self {
            generation,
            from: from.map(<[u8]>::to_vec),
            upto,
        }
    }
}

impl Iterator for Cursor<'_> {
    type Item = (Key, Option<Entry>);

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from.as_ref().map(Vec::as_slice);
        let row = self.generation.next(from, self.upto)?;
        self.from = Bound::Excluded(row.0.as_bytes().to_vec());
        Some(row)
    }
}

/// Rows of the database and of the generations above it, in the order of their keys.
struct Merged<'a, B: Iterator<Item = Result<(Key, Option<Entry>)>>> {
    /// Newest first.
    cursors: Vec<Peekable<Cursor<'a>>>,
    base: Peekable<B>,
    entries: bool,
}

impl<B: Iterator<Item = Result<(Key, Option<Entry>)>>> Merged<'_, B> {
    /// The next key that a generation speaks of.
    fn known(&mut self) -> Option<Key> {
        let next = |cursor: &mut Peekable<Cursor<'_>>| cursor.peek().map(|(key, _)| key.clone());
        self.cursors.iter_mut().filter_map(next).min()
    }

    /// What the newest generation that speaks of this next key says.
    fn take(&mut self, key: &Key) -> Option<Entry> {
        let mut newest = None;
        for cursor in &mut self.cursors {
            if let Some((_, said)) = cursor.next_if(|(own, _)| own == key) {
                newest.get_or_insert(said);
            }
        }
        newest.flatten()
    }
}

impl<B: Iterator<Item = Result<(Key, Option<Entry>)>>> Iterator for Merged<'_, B> {
    type Item = Result<(Key, Option<Entry>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(known) = self.known() else {
                return self.base.next();
            };
            match self.base.peek() {
                Some(Err(_)) => return self.base.next(),
                Some(Ok((below, _))) if *below < known => return self.base.next(),
                // What the generations say is newer.
                Some(Ok((below, _))) if *below == known => drop(self.base.next()),
                _ => {}
            }
            if let Some(entry) = self.take(&known) {
                return Some(Ok((known, Some(entry).filter(|_| self.entries))));
            }
        }
    }
}
