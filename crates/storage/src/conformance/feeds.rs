//! The change feed.

use super::{Broken, Failure, Harness, Outcome, cases, expect_eq, expect_matches, key, put, text};
use crate::{Batch, ChangeFeed, Changed, Key, Precondition, Revision, Storage, StorageError};
use std::sync::Arc;

type Shared = Arc<dyn Storage>;

pub(super) async fn run(harness: &dyn Harness) -> Result<(), Failure> {
    cases!(harness;
        a_feed_reaches_every_read_point,
        a_feed_tells_every_commit_in_order,
        a_feed_begins_where_it_is_asked_to,
        a_refused_batch_is_not_told,
        what_is_told_can_be_read,
        a_feed_that_starts_before_history_is_told_so,
        a_feed_ends_when_the_storage_closes,
    )
}

/// The next change of the feed that touched a key.
async fn next_told(feed: &mut ChangeFeed) -> crate::Result<Option<Changed>> {
    loop {
        let next = feed.next().await?;
        if next.as_ref().is_none_or(|changed| !changed.keys.is_empty()) {
            return Ok(next);
        }
    }
}

fn touched(changed: Option<Changed>) -> (Revision, Vec<Key>) {
    changed.map_or_else(Default::default, |it| (it.revision, it.keys.to_vec()))
}

async fn a_feed_reaches_every_read_point(storage: Shared) -> Outcome {
    let mut feed = storage.changes(storage.read_point().await?);
    let batch = Batch::new().put_if(key("k")?, Precondition::Absent, "1");
    let mut reached = storage.commit(batch.clone()).await?;
    expect_matches!(
        storage.commit(batch).await,
        Err(StorageError::Conflict { .. })
    );
    let point = storage.read_point().await?;
    while reached < point {
        reached = feed
            .next()
            .await?
            .map_or(point, |changed| reached.max(changed.revision));
    }
    Ok(())
}

async fn a_feed_tells_every_commit_in_order(storage: Shared) -> Outcome {
    let mut feed = storage.changes(storage.read_point().await?);
    let mut told = Vec::new();
    for round in 0..10 {
        let name = key(&format!("k/{round}"))?;
        let batch = Batch::new().put(name.clone(), "1").delete(key("gone")?);
        told.push((storage.commit(batch).await?, vec![name, key("gone")?]));
    }
    for wanted in told {
        expect_eq!(touched(next_told(&mut feed).await?), wanted);
    }
    // A step that keeps its key touches nothing.
    let keep = Batch::new()
        .require(key("gone")?, Precondition::Absent)
        .put(key("a")?, "1");
    let revision = storage.commit(keep).await?;
    expect_eq!(
        touched(next_told(&mut feed).await?),
        (revision, vec![key("a")?])
    );
    Ok(())
}

async fn a_feed_begins_where_it_is_asked_to(storage: Shared) -> Outcome {
    let first = put(&*storage, "a", "1").await?;
    let second = put(&*storage, "b", "1").await?;
    let third = put(&*storage, "c", "1").await?;
    let mut feed = storage.changes(first);
    expect_eq!(touched(next_told(&mut feed).await?).0, second);
    let mut later = storage.changes(second);
    expect_eq!(
        touched(next_told(&mut later).await?),
        (third, vec![key("c")?])
    );
    Ok(())
}

async fn a_refused_batch_is_not_told(storage: Shared) -> Outcome {
    put(&*storage, "a", "1").await?;
    let mut feed = storage.changes(storage.read_point().await?);
    let refused = Batch::new().put_if(key("a")?, Precondition::Absent, "2");
    expect_matches!(
        storage.commit(refused).await,
        Err(StorageError::Conflict { .. })
    );
    let next = put(&*storage, "b", "1").await?;
    expect_eq!(
        touched(next_told(&mut feed).await?),
        (next, vec![key("b")?])
    );
    Ok(())
}

async fn what_is_told_can_be_read(storage: Shared) -> Outcome {
    const COMMITS: usize = 50;
    let mut feed = storage.changes(storage.read_point().await?);
    let writer = Arc::clone(&storage);
    let writes = async move {
        for round in 0..COMMITS {
            put(&*writer, "a", &round.to_string()).await?;
        }
        Ok::<(), StorageError>(())
    };
    let reads = async {
        for round in 0..COMMITS {
            let (told, _) = touched(next_told(&mut feed).await?);
            let entry = storage.get(&key("a")?).await?;
            let fresh = entry.is_some_and(|entry| entry.revision >= told);
            expect_eq!((round, fresh), (round, true));
        }
        Ok::<(), Broken>(())
    };
    let (written, read) = futures::join!(writes, reads);
    written?;
    read?;
    expect_eq!(text(&*storage, "a").await?, Some((COMMITS - 1).to_string()));
    Ok(())
}

async fn a_feed_that_starts_before_history_is_told_so(storage: Shared) -> Outcome {
    // More keys than any feed keeps: the first of them are gone.
    const COMMITS: usize = 40;
    let start = put(&*storage, "a", "1").await?;
    let padding = "x".repeat(1_500);
    let mut newest = start;
    for round in 0..COMMITS {
        let mut batch = Batch::new();
        for index in 0..100 {
            batch = batch.delete(key(&format!("{padding}/{round}/{index}"))?);
        }
        newest = storage.commit(batch).await?;
    }
    let mut feed = storage.changes(start);
    let error = feed.next().await;
    let Err(StorageError::TooOld { resume }) = error else {
        return Err(Broken::Seen(format!("history has no end: {error:?}")));
    };
    expect_eq!((resume, resume >= newest), (resume, true));
    let next = put(&*storage, "b", "1").await?;
    expect_eq!(
        touched(next_told(&mut feed).await?),
        (next, vec![key("b")?])
    );
    Ok(())
}

async fn a_feed_ends_when_the_storage_closes(storage: Shared) -> Outcome {
    let mut feed = storage.changes(storage.read_point().await?);
    let revision = put(&*storage, "a", "1").await?;
    storage.close().await?;
    expect_eq!(touched(next_told(&mut feed).await?).0, revision);
    expect_matches!(feed.next().await, Ok(None));
    Ok(())
}
