//! What every ordered backend shares of [`Storage::page`](crate::Storage::page): where a page
//! starts, what folds into one child, and where it ends.

use crate::{Entry, Key, Page, PageOf, Result, Row};
use std::ops::Bound;

/// An ordered map that can be read from any place on.
pub(crate) trait Ordered {
    /// The keys from `from` on, in byte order, with their entries where `entries` is set.
    fn scan(
        &self,
        from: Bound<&[u8]>,
        entries: bool,
    ) -> Result<impl Iterator<Item = Result<(Key, Option<Entry>)>>>;
}

/// What a caller asks of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a Key,
    pub(crate) after: Option<&'a Key>,
    pub(crate) limit: usize,
    pub(crate) what: PageOf,
}

/// Reads one page.
pub(crate) fn read(map: &impl Ordered, query: Query<'_>) -> Result<Page> {
    match query.what {
        PageOf::Keys => flat(map, query, false),
        PageOf::Entries => flat(map, query, true),
        PageOf::Children => children(map, query),
    }
}

fn flat(map: &impl Ordered, query: Query<'_>, entries: bool) -> Result<Page> {
    let mut page = Page::default();
    for next in map.scan(Bound::Excluded(first_behind(query)), entries)? {
        let (key, entry) = next?;
        if key.strip_prefix(query.prefix).is_none() {
            break;
        }
        if page.rows.len() == query.limit {
            page.more = true;
            break;
        }
        page.rows.push(Row { key, entry });
    }
    Ok(page)
}

fn children(map: &impl Ordered, query: Query<'_>) -> Result<Page> {
    let mut page = Page::default();
    let mut from = match query.after.and_then(|after| fold(query.prefix, after)) {
        Some(folded) => Bound::Included(behind(folded)),
        None => Bound::Excluded(first_behind(query).to_vec()),
    };
    loop {
        let bound = from.as_ref().map(Vec::as_slice);
        let mut subtree = None;
        for next in map.scan(bound, false)? {
            let (key, _) = next?;
            if key.strip_prefix(query.prefix).is_none() {
                return Ok(page);
            }
            if page.rows.len() == query.limit {
                page.more = true;
                return Ok(page);
            }
            if let Some(folded) = fold(query.prefix, &key) {
                page.rows.push(Row {
                    key: Key::new(folded)?,
                    entry: None,
                });
                subtree = Some(behind(folded));
                break;
            }
            page.rows.push(Row { key, entry: None });
        }
        match subtree {
            Some(start) => from = Bound::Included(start),
            None => return Ok(page),
        }
    }
}

/// The key that every row of the page stands behind.
fn first_behind<'a>(query: Query<'a>) -> &'a [u8] {
    let after = query.after.map_or(&[][..], Key::as_bytes);
    after.max(query.prefix.as_bytes())
}

/// The folded child that `key` belongs to; `None` where it is a child itself or stands elsewhere.
fn fold<'a>(prefix: &Key, key: &'a Key) -> Option<&'a [u8]> {
    let remainder = key.strip_prefix(prefix)?;
    let slash = remainder.iter().position(|byte| *byte == b'/')?;
    key.as_bytes().get(..=prefix.as_bytes().len() + slash)
}

/// The first key behind everything that starts with `folded`, which ends with `/`.
fn behind(folded: &[u8]) -> Vec<u8> {
    let mut next = folded.to_vec();
    if let Some(last) = next.last_mut() {
        *last = b'/' + 1;
    }
    next
}
