//! [`Pages`]: everything below a prefix, page by page.

use crate::{Key, PageOf, Result, Row, Storage};

/// Reads what stands below a prefix from its beginning to its end. What is put or deleted meanwhile
/// behind the place where it is may be seen or not.
#[derive(Debug)]
pub struct Pages<'s> {
    storage: &'s dyn Storage,
    prefix: Key,
    what: PageOf,
    /// How many rows one look brings.
    rows: usize,
    after: Option<Key>,
    is_at_end: bool,
}

impl<'s> Pages<'s> {
    /// All below `prefix`, so many rows at a time.
    pub fn new(storage: &'s dyn Storage, prefix: Key, what: PageOf, rows: usize) -> Self {
        Self {
            storage,
            prefix,
            what,
            rows,
            after: None,
            is_at_end: false,
        }
    }

    /// The next rows, never none of them; `None` at the end. Others have their turn between two looks.
    ///
    /// **Errors**: as [`Storage::page`].
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        if self.is_at_end {
            return Ok(None);
        }
        if self.after.is_some() {
            tokio::task::yield_now().await;
        }
        let (prefix, after) = (&self.prefix, self.after.as_ref());
        let page = self.storage.page(prefix, after, self.rows, self.what);
        let page = page.await?;
        self.is_at_end = !page.more;
        self.after = page.rows.last().map(|row| row.key.clone());
        Ok(Some(page.rows).filter(|rows| !rows.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;
    use crate::memory::MemoryStorage;

    #[tokio::test]
    async fn every_row_comes_once_whatever_the_size_of_a_page() {
        let storage = MemoryStorage::new();
        let key = |number: usize| Key::try_from(format!("a/{number}")).unwrap();
        let batch = (0..6).fold(Batch::new(), |batch, number| batch.put(key(number), "x"));
        storage.commit(batch).await.unwrap();
        for (prefix, rows, expected) in [
            ("a/", 1, vec![1; 6]),
            ("a/", 2, vec![2; 3]),
            ("a/", 4, vec![4, 2]),
            ("a/", 6, vec![6]),
            ("a/", 7, vec![6]),
            ("b/", 1, vec![]),
        ] {
            let prefix = Key::try_from(prefix).unwrap();
            let mut pages = Pages::new(&*storage, prefix, PageOf::Keys, rows);
            let (mut sizes, mut seen) = (Vec::new(), Vec::new());
            while let Some(rows) = pages.next().await.unwrap() {
                sizes.push(rows.len());
                seen.extend(rows.into_iter().map(|row| row.key));
            }
            assert_eq!(sizes, expected);
            assert_eq!(seen, (0..seen.len()).map(key).collect::<Vec<_>>());
            assert_eq!(pages.next().await.unwrap(), None);
        }
    }
}
