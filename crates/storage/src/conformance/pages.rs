//! Pages of keys, entries and children.

use super::{Broken, Failure, Harness, Outcome, cases, expect_eq, key};
use crate::{Batch, Key, Page, PageOf, Result, Storage};
use std::sync::Arc;

type Shared = Arc<dyn Storage>;

const NAMES: [&str; 9] = [
    "a/", "a/1", "a/2/x", "a/2/y/z", "a/20", "a/3", "a0", "b/1", "c",
];

pub(super) async fn run(harness: &dyn Harness) -> std::result::Result<(), Failure> {
    cases!(harness;
        keys_stand_in_byte_order_below_their_prefix,
        children_fold_at_the_next_slash,
        entries_carry_value_and_revision,
        a_page_ends_at_its_limit_and_says_whether_more_follows,
        pages_go_on_behind_any_key,
        a_key_equal_to_the_prefix_is_no_row,
        keys_are_bytes,
        a_deleted_key_leaves_every_page,
    )
}

async fn fill(storage: &dyn Storage) -> Result<()> {
    let mut batch = Batch::new();
    for name in NAMES {
        batch = batch.put(key(name)?, name);
    }
    storage.commit(batch).await.map(|_| ())
}

fn names(page: &Page) -> Vec<String> {
    page.rows.iter().map(|row| row.key.to_string()).collect()
}

async fn all(storage: &dyn Storage, prefix: &str, what: PageOf) -> Result<Vec<String>> {
    let page = storage.page(&key(prefix)?, None, 100, what).await?;
    Ok(names(&page))
}

async fn keys_stand_in_byte_order_below_their_prefix(storage: Shared) -> Outcome {
    fill(&*storage).await?;
    expect_eq!(all(&*storage, "", PageOf::Keys).await?, NAMES);
    expect_eq!(
        all(&*storage, "a/", PageOf::Keys).await?,
        ["a/1", "a/2/x", "a/2/y/z", "a/20", "a/3"]
    );
    expect_eq!(
        all(&*storage, "a/2/", PageOf::Keys).await?,
        ["a/2/x", "a/2/y/z"]
    );
    expect_eq!(all(&*storage, "nothing/", PageOf::Keys).await?.len(), 0);
    expect_eq!(all(&*storage, "z/", PageOf::Entries).await?.len(), 0);
    Ok(())
}

async fn children_fold_at_the_next_slash(storage: Shared) -> Outcome {
    fill(&*storage).await?;
    expect_eq!(
        all(&*storage, "", PageOf::Children).await?,
        ["a/", "a0", "b/", "c"]
    );
    expect_eq!(
        all(&*storage, "a/", PageOf::Children).await?,
        ["a/1", "a/2/", "a/20", "a/3"]
    );
    expect_eq!(
        all(&*storage, "a/2/", PageOf::Children).await?,
        ["a/2/x", "a/2/y/"]
    );
    expect_eq!(
        all(&*storage, "a/2/y/", PageOf::Children).await?,
        ["a/2/y/z"]
    );
    expect_eq!(all(&*storage, "c/", PageOf::Children).await?.len(), 0);
    Ok(())
}

async fn entries_carry_value_and_revision(storage: Shared) -> Outcome {
    fill(&*storage).await?;
    let revision = storage.commit(Batch::new().put(key("a/3")?, "new")).await?;
    let page = storage
        .page(&key("a/")?, None, 100, PageOf::Entries)
        .await?;
    expect_eq!(page.rows.len(), 5);
    for row in &page.rows {
        expect_eq!(row.entry, storage.get(&row.key).await?);
    }
    let last = page.rows.last().and_then(|row| row.entry.as_ref());
    expect_eq!(
        last.map(|entry| (&*entry.value, entry.revision)),
        Some((&b"new"[..], revision))
    );
    let keys = storage.page(&key("a/")?, None, 100, PageOf::Keys).await?;
    expect_eq!(keys.rows.iter().any(|row| row.entry.is_some()), false);
    Ok(())
}

async fn a_page_ends_at_its_limit_and_says_whether_more_follows(storage: Shared) -> Outcome {
    fill(&*storage).await?;
    for (what, count) in [
        (PageOf::Keys, 5),
        (PageOf::Entries, 5),
        (PageOf::Children, 4),
    ] {
        for limit in 0..=count + 1 {
            let page = storage.page(&key("a/")?, None, limit, what).await?;
            expect_eq!(page.rows.len(), limit.min(count));
            expect_eq!((what, limit, page.more), (what, limit, limit < count));
        }
        let none = storage.page(&key("nothing/")?, None, 0, what).await?;
        expect_eq!(none, Page::default());
    }
    Ok(())
}

async fn pages_go_on_behind_any_key(storage: Shared) -> Outcome {
    fill(&*storage).await?;
    for what in [PageOf::Keys, PageOf::Entries, PageOf::Children] {
        for prefix in ["", "a/", "a/2/"] {
            let whole = all(&*storage, prefix, what).await?;
            for limit in 1..=3 {
                expect_eq!(walk(&*storage, prefix, limit, what).await?, whole);
            }
        }
    }
    // `after` need not exist.
    let behind = storage
        .page(&key("a/")?, Some(&key("a/2/xx")?), 100, PageOf::Keys)
        .await?;
    expect_eq!(names(&behind), ["a/2/y/z", "a/20", "a/3"]);
    let folded = storage
        .page(&key("a/")?, Some(&key("a/1x/")?), 100, PageOf::Children)
        .await?;
    expect_eq!(names(&folded), ["a/2/", "a/20", "a/3"]);
    let end = storage
        .page(&key("a/")?, Some(&key("a/3")?), 100, PageOf::Keys)
        .await?;
    expect_eq!(end, Page::default());
    Ok(())
}

async fn walk(
    storage: &dyn Storage,
    prefix: &str,
    limit: usize,
    what: PageOf,
) -> Result<Vec<String>> {
    let prefix = key(prefix)?;
    let mut after: Option<Key> = None;
    let mut seen = Vec::new();
    loop {
        let page = storage.page(&prefix, after.as_ref(), limit, what).await?;
        seen.extend(names(&page));
        match page.rows.last() {
            Some(last) if page.more => after = Some(last.key.clone()),
            _ => return Ok(seen),
        }
    }
}

async fn a_key_equal_to_the_prefix_is_no_row(storage: Shared) -> Outcome {
    storage
        .commit(Batch::new().put(key("p/")?, "1").put(key("p/a")?, "1"))
        .await?;
    for what in [PageOf::Keys, PageOf::Entries, PageOf::Children] {
        expect_eq!(all(&*storage, "p/", what).await?, ["p/a"]);
    }
    Ok(())
}

async fn keys_are_bytes(storage: Shared) -> Outcome {
    let wanted: Vec<Key> = [
        &b"k/\x00"[..],
        b"k/\x00\x00",
        b"k/\x7f",
        b"k/\xff",
        b"k/\xff\xff",
    ]
    .into_iter()
    .map(Key::new)
    .collect::<Result<_>>()?;
    for name in wanted.iter().rev() {
        storage
            .commit(Batch::new().put(name.clone(), name.as_bytes().to_vec()))
            .await?;
    }
    for what in [PageOf::Keys, PageOf::Entries, PageOf::Children] {
        let page = storage.page(&key("k/")?, None, 100, what).await?;
        let seen: Vec<Key> = page.rows.into_iter().map(|row| row.key).collect();
        expect_eq!(seen, wanted);
    }
    Ok(())
}

async fn a_deleted_key_leaves_every_page(storage: Shared) -> Outcome {
    fill(&*storage).await?;
    storage
        .commit(Batch::new().delete(key("a/2/x")?).delete(key("a/2/y/z")?))
        .await?;
    expect_eq!(
        all(&*storage, "a/", PageOf::Keys).await?,
        ["a/1", "a/20", "a/3"]
    );
    expect_eq!(
        all(&*storage, "a/", PageOf::Children).await?,
        ["a/1", "a/20", "a/3"]
    );
    Ok(())
}
