//! Puts, deletes, preconditions, and that a batch is one whole.

use super::{Broken, Failure, Harness, Outcome, cases, expect_eq, expect_matches, key, put, text};
use crate::{Batch, Precondition, Revision, Storage, StorageError};
use std::sync::Arc;
use tokio::task::JoinSet;

type Shared = Arc<dyn Storage>;

pub(super) async fn run(harness: &dyn Harness) -> Result<(), Failure> {
    cases!(harness;
        a_value_is_read_back_until_it_is_deleted,
        an_entry_names_the_commit_that_wrote_it,
        absent_holds_for_keys_without_a_value_only,
        present_holds_for_keys_with_a_value_only,
        a_revision_holds_until_the_next_write,
        a_lost_precondition_leaves_the_whole_batch_out,
        a_kept_key_is_required_but_not_changed,
        every_key_of_a_batch_has_its_revision,
        preconditions_are_judged_before_the_batch,
        one_of_many_concurrent_writers_wins,
        concurrent_increments_lose_nothing,
    )
}

async fn a_value_is_read_back_until_it_is_deleted(storage: Shared) -> Outcome {
    expect_eq!(text(&*storage, "a").await?, None);
    put(&*storage, "a", "1").await?;
    put(&*storage, "empty", "").await?;
    expect_eq!(text(&*storage, "a").await?, Some("1".to_owned()));
    expect_eq!(text(&*storage, "empty").await?, Some(String::new()));
    put(&*storage, "a", "2").await?;
    expect_eq!(text(&*storage, "a").await?, Some("2".to_owned()));
    storage
        .commit(Batch::new().delete(key("a")?).delete(key("never")?))
        .await?;
    expect_eq!(text(&*storage, "a").await?, None);
    expect_eq!(text(&*storage, "empty").await?, Some(String::new()));
    Ok(())
}

async fn an_entry_names_the_commit_that_wrote_it(storage: Shared) -> Outcome {
    let first = put(&*storage, "a", "1").await?;
    let second = put(&*storage, "b", "1").await?;
    expect_eq!(
        storage.get(&key("a")?).await?.map(|entry| entry.revision),
        Some(first)
    );
    expect_eq!(
        storage.get(&key("b")?).await?.map(|entry| entry.revision),
        Some(second)
    );
    Ok(())
}

async fn absent_holds_for_keys_without_a_value_only(storage: Shared) -> Outcome {
    let create = |value| Ok(Batch::new().put_if(key("a")?, Precondition::Absent, value));
    let make = |value: &'static str| create(value).map_err(|error: StorageError| error);
    storage.commit(make("1")?).await?;
    let wanted = key("a")?;
    expect_matches!(
        storage.commit(make("2")?).await,
        Err(StorageError::Conflict { key }) if *key == wanted
    );
    expect_eq!(text(&*storage, "a").await?, Some("1".to_owned()));
    storage.commit(Batch::new().delete(key("a")?)).await?;
    storage.commit(make("3")?).await?;
    expect_eq!(text(&*storage, "a").await?, Some("3".to_owned()));
    Ok(())
}

async fn a_revision_holds_until_the_next_write(storage: Shared) -> Outcome {
    let first = put(&*storage, "a", "1").await?;
    put(&*storage, "other", "1").await?;
    let at = |revision| Precondition::At(revision);
    let second = storage
        .commit(Batch::new().put_if(key("a")?, at(first), "2"))
        .await?;
    let stale = storage
        .commit(Batch::new().put_if(key("a")?, at(first), "3"))
        .await;
    expect_matches!(stale, Err(StorageError::Conflict { .. }));
    let never = Batch::new().put_if(key("never")?, at(second), "1");
    expect_matches!(
        storage.commit(never).await,
        Err(StorageError::Conflict { .. })
    );
    let future = Batch::new().put_if(key("a")?, at(Revision(u64::MAX)), "1");
    expect_matches!(
        storage.commit(future).await,
        Err(StorageError::Conflict { .. })
    );
    storage
        .commit(Batch::new().delete_if(key("a")?, at(second)))
        .await?;
    expect_eq!(text(&*storage, "a").await?, None);
    let gone = storage
        .commit(Batch::new().delete_if(key("a")?, at(second)))
        .await;
    expect_matches!(gone, Err(StorageError::Conflict { .. }));
    Ok(())
}

async fn present_holds_for_keys_with_a_value_only(storage: Shared) -> Outcome {
    let fenced = |value| {
        let fence = Batch::new().require(key("fence")?, Precondition::Present);
        Ok::<_, Broken>(fence.put(key("a")?, value))
    };
    let wanted = key("fence")?;
    expect_matches!(
        storage.commit(fenced("0")?).await,
        Err(StorageError::Conflict { key }) if *key == wanted
    );
    put(&*storage, "fence", "").await?;
    storage.commit(fenced("1")?).await?;
    // Whoever wrote it, and however often.
    put(&*storage, "fence", "changed").await?;
    storage.commit(fenced("2")?).await?;
    storage.commit(Batch::new().delete(key("fence")?)).await?;
    expect_matches!(
        storage.commit(fenced("3")?).await,
        Err(StorageError::Conflict { .. })
    );
    expect_eq!(text(&*storage, "a").await?, Some("2".to_owned()));
    Ok(())
}

async fn a_lost_precondition_leaves_the_whole_batch_out(storage: Shared) -> Outcome {
    put(&*storage, "taken", "1").await?;
    put(&*storage, "victim", "1").await?;
    let batch = Batch::new()
        .put(key("new")?, "1")
        .delete(key("victim")?)
        .put_if(key("taken")?, Precondition::Absent, "2")
        .put(key("later")?, "1");
    expect_matches!(
        storage.commit(batch).await,
        Err(StorageError::Conflict { .. })
    );
    for (name, wanted) in [
        ("new", None),
        ("later", None),
        ("victim", Some("1")),
        ("taken", Some("1")),
    ] {
        expect_eq!(text(&*storage, name).await?, wanted.map(str::to_owned));
    }
    Ok(())
}

async fn a_kept_key_is_required_but_not_changed(storage: Shared) -> Outcome {
    let written = put(&*storage, "fence", "1").await?;
    let fence = Precondition::At(written);
    storage
        .commit(
            Batch::new()
                .require(key("fence")?, fence)
                .put(key("a")?, "1"),
        )
        .await?;
    expect_eq!(
        storage
            .get(&key("fence")?)
            .await?
            .map(|entry| entry.revision),
        Some(written)
    );
    put(&*storage, "fence", "2").await?;
    let fenced = Batch::new()
        .require(key("fence")?, fence)
        .put(key("a")?, "2");
    let wanted = key("fence")?;
    expect_matches!(
        storage.commit(fenced).await,
        Err(StorageError::Conflict { key }) if *key == wanted
    );
    let absent = Batch::new()
        .require(key("none")?, Precondition::Absent)
        .put(key("a")?, "3");
    storage.commit(absent).await?;
    expect_eq!(text(&*storage, "a").await?, Some("3".to_owned()));
    expect_eq!(text(&*storage, "none").await?, None);
    Ok(())
}

async fn every_key_of_a_batch_has_its_revision(storage: Shared) -> Outcome {
    let batch = Batch::new()
        .put(key("a")?, "1")
        .put(key("b")?, "2")
        .delete(key("c")?);
    let revision = storage.commit(batch).await?;
    for name in ["a", "b"] {
        expect_eq!(
            storage.get(&key(name)?).await?.map(|entry| entry.revision),
            Some(revision)
        );
    }
    Ok(())
}

async fn preconditions_are_judged_before_the_batch(storage: Shared) -> Outcome {
    // A later step for a key keeps the earlier precondition; it is judged once, before any change.
    let batch = Batch::new()
        .put_if(key("a")?, Precondition::Absent, "1")
        .put(key("a")?, "2")
        .require(key("b")?, Precondition::Absent);
    storage.commit(batch.clone()).await?;
    expect_eq!(text(&*storage, "a").await?, Some("2".to_owned()));
    expect_matches!(
        storage.commit(batch).await,
        Err(StorageError::Conflict { .. })
    );
    Ok(())
}

async fn one_of_many_concurrent_writers_wins(storage: Shared) -> Outcome {
    const WRITERS: usize = 32;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let storage = Arc::clone(&storage);
        let name = key("lock")?;
        writers.spawn(async move {
            let batch = Batch::new().put_if(name, Precondition::Absent, writer.to_string());
            (writer, storage.commit(batch).await)
        });
    }
    let mut winners = Vec::new();
    while let Some(done) = writers.join_next().await {
        match done.map_err(|error| Broken::Seen(error.to_string()))? {
            (writer, Ok(_)) => winners.push(writer.to_string()),
            (_, Err(StorageError::Conflict { .. })) => {}
            (_, Err(other)) => return Err(other.into()),
        }
    }
    expect_eq!(winners.len(), 1);
    expect_eq!(text(&*storage, "lock").await?, winners.pop());
    Ok(())
}

async fn concurrent_increments_lose_nothing(storage: Shared) -> Outcome {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 16;
    put(&*storage, "counter", "0").await?;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let storage = Arc::clone(&storage);
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                increment(&*storage).await?;
            }
            Ok::<(), StorageError>(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done.map_err(|error| Broken::Seen(error.to_string()))??;
    }
    expect_eq!(
        text(&*storage, "counter").await?,
        Some((WRITERS * ROUNDS).to_string())
    );
    Ok(())
}

async fn increment(storage: &dyn Storage) -> Result<(), StorageError> {
    let name = key("counter")?;
    loop {
        let Some(entry) = storage.get(&name).await? else {
            return Ok(());
        };
        let count: usize = String::from_utf8_lossy(&entry.value)
            .parse()
            .unwrap_or_default();
        let expect = Precondition::At(entry.revision);
        let batch = Batch::new().put_if(name.clone(), expect, (count + 1).to_string());
        match storage.commit(batch).await {
            Err(StorageError::Conflict { .. }) => {}
            done => return done.map(|_| ()),
        }
    }
}
