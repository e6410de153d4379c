//! Revisions, reopening, and what a closed storage answers.

use super::{Broken, Failure, Harness, Outcome, cases, expect_eq, expect_matches, key, put, text};
use crate::{Batch, Leadership, PageOf, Precondition, Revision, Storage, StorageError};
use std::sync::Arc;

type Shared = Arc<dyn Storage>;

pub(super) async fn run(harness: &dyn Harness) -> Result<(), Failure> {
    let plain: Result<(), Failure> = cases!(harness;
        revisions_grow_with_every_commit,
        a_read_point_covers_every_answered_commit,
        the_only_node_leads,
        a_closed_storage_answers_closed,
    );
    plain?;
    let fail = |what: String| Failure {
        case: "what_was_committed_survives_a_reopen",
        what,
    };
    survives(harness)
        .await
        .map_err(|broken| fail(broken.to_string()))
}

async fn revisions_grow_with_every_commit(storage: Shared) -> Outcome {
    let mut newest = storage.read_point().await?;
    for round in 0..20 {
        let revision = match round % 3 {
            0 => put(&*storage, "a", "1").await?,
            1 => storage.commit(Batch::new().delete(key("a")?)).await?,
            _ => {
                storage
                    .commit(Batch::new().require(key("a")?, Precondition::Absent))
                    .await?
            }
        };
        expect_eq!((round, revision > newest), (round, true));
        newest = revision;
    }
    Ok(())
}

async fn a_read_point_covers_every_answered_commit(storage: Shared) -> Outcome {
    for _ in 0..5 {
        let revision = put(&*storage, "a", "1").await?;
        let point = storage.read_point().await?;
        expect_eq!((point, point >= revision), (point, true));
    }
    Ok(())
}

async fn the_only_node_leads(storage: Shared) -> Outcome {
    let mut watch = storage.leadership();
    let state = *watch.borrow_and_update();
    expect_eq!((state.now, state.changes), (Leadership::Leader, 1));
    storage.close().await?;
    let state = *watch.borrow_and_update();
    expect_eq!((state.now, state.changes), (Leadership::Follower, 2));
    Ok(())
}

async fn a_closed_storage_answers_closed(storage: Shared) -> Outcome {
    put(&*storage, "a", "1").await?;
    storage.close().await?;
    storage.close().await?;
    expect_matches!(storage.get(&key("a")?).await, Err(StorageError::Closed));
    expect_matches!(storage.read_point().await, Err(StorageError::Closed));
    let page = storage.page(&key("")?, None, 1, PageOf::Keys).await;
    expect_matches!(page, Err(StorageError::Closed));
    expect_matches!(put(&*storage, "a", "2").await, Err(StorageError::Closed));
    Ok(())
}

async fn survives(harness: &dyn Harness) -> Outcome {
    let mut storage = harness.open().await?;
    let mut newest = Revision(0);
    for round in 0..3 {
        let name = format!("round/{round}");
        let revision = put(&*storage, &name, &name).await?;
        expect_eq!((round, revision > newest), (round, true));
        newest = storage
            .commit(Batch::new().put(key("last")?, name.clone()))
            .await?;
        storage.close().await?;
        let Some(reopened) = harness.reopen(storage).await? else {
            return Ok(());
        };
        storage = reopened;
        for earlier in 0..=round {
            let name = format!("round/{earlier}");
            expect_eq!(text(&*storage, &name).await?, Some(name.clone()));
        }
        let last = storage.get(&key("last")?).await?;
        expect_eq!(last.map(|entry| entry.revision), Some(newest));
        let point = storage.read_point().await?;
        expect_eq!((point, point >= newest), (point, true));
    }
    storage.close().await?;
    Ok(())
}
