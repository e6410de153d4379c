//! The limits of keys and batches, at their edge.

use super::{Broken, Failure, Harness, Outcome, cases, expect_eq, expect_matches, key};
use crate::{BATCH_BYTES_MAX, Batch, KEY_BYTES_MAX, Key, PageOf, Storage, StorageError};
use std::sync::Arc;

type Shared = Arc<dyn Storage>;

pub(super) async fn run(harness: &dyn Harness) -> Result<(), Failure> {
    cases!(harness;
        the_longest_key_is_stored_and_listed,
        a_longer_key_is_refused,
        the_largest_batch_is_stored,
        a_larger_batch_is_refused_whole,
        an_empty_batch_commits,
    )
}

async fn the_longest_key_is_stored_and_listed(storage: Shared) -> Outcome {
    let longest = Key::new(vec![0xff; KEY_BYTES_MAX])?;
    storage
        .commit(Batch::new().put(longest.clone(), "1"))
        .await?;
    expect_eq!(
        storage.get(&longest).await?.map(|entry| entry.value.len()),
        Some(1)
    );
    let page = storage.page(&key("")?, None, 10, PageOf::Keys).await?;
    expect_eq!(
        page.rows.into_iter().map(|row| row.key).collect::<Vec<_>>(),
        [longest]
    );
    Ok(())
}

async fn a_longer_key_is_refused(_: Shared) -> Outcome {
    let bytes = KEY_BYTES_MAX + 1;
    let long = Key::new(vec![b'a'; bytes]);
    expect_matches!(long, Err(StorageError::KeyTooLong { bytes: seen }) if *seen == bytes);
    let joined = Key::new(vec![b'a'; KEY_BYTES_MAX])?.join("b");
    expect_matches!(joined, Err(StorageError::KeyTooLong { .. }));
    Ok(())
}

async fn the_largest_batch_is_stored(storage: Shared) -> Outcome {
    let overhead = Batch::new().put(key("large")?, "").bytes();
    let value = vec![0x5a; BATCH_BYTES_MAX - overhead];
    storage
        .commit(Batch::new().put(key("large")?, value.clone()))
        .await?;
    let read = storage.get(&key("large")?).await?;
    expect_eq!(read.map(|entry| entry.value == value), Some(true));
    Ok(())
}

async fn a_larger_batch_is_refused_whole(storage: Shared) -> Outcome {
    let overhead = Batch::new().put(key("large")?, "").bytes();
    let value = vec![0x5a; BATCH_BYTES_MAX - overhead + 1];
    let refused = storage.commit(Batch::new().put(key("large")?, value)).await;
    expect_matches!(
        refused,
        Err(StorageError::BatchTooLarge { bytes, max })
            if *bytes == BATCH_BYTES_MAX + 1 && *max == BATCH_BYTES_MAX
    );
    expect_eq!(storage.get(&key("large")?).await?, None);
    Ok(())
}

async fn an_empty_batch_commits(storage: Shared) -> Outcome {
    storage.commit(Batch::new()).await?;
    let page = storage.page(&key("")?, None, 10, PageOf::Keys).await?;
    expect_eq!(page.rows.len(), 0);
    Ok(())
}
