//! Disks that are full, that fail, or that cannot be written.

use super::load::{blank, config, files, open, verify, write};
use super::simulation::{Dice, SimulatedDisk};
use secretum_storage::raft::RaftStorage;
use secretum_storage::{Batch, Key, Storage, StorageError};
use std::sync::Arc;

const ENOUGH: u64 = 10_000;

fn refused(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::Full { .. } | StorageError::ReadOnly { .. } | StorageError::Stopped { .. }
    )
}

/// Writes until the disk refuses, with several writers at once.
async fn write_until_refused(storage: &Arc<RaftStorage>, disk: &SimulatedDisk) {
    let start = disk.world().notes.values().max().map_or(0, |step| step + 1);
    let writers = (0..4).map(|writer| {
        let (storage, disk) = (Arc::clone(storage), disk.clone());
        tokio::spawn(async move { write(&storage, &disk, writer, start..start + ENOUGH).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        let error = writer.await.unwrap().unwrap_err();
        assert!(refused(&error), "{error:?}");
    }
}

/// No write is taken any more, and reads go on.
async fn serves_reads_only(storage: &Arc<RaftStorage>, disk: &SimulatedDisk) {
    let key = Key::try_from("late").unwrap();
    for _ in 0..3 {
        let late = storage
            .commit(Batch::new().put(key.clone(), "1"))
            .await
            .unwrap_err();
        assert!(refused(&late), "{late:?}");
    }
    storage.read_point().await.unwrap();
    let notes = disk.notes();
    verify(storage, &notes).await;
    assert_eq!(storage.get(&key).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_writes_and_loses_nothing() {
    let mut dice = Dice::new(1);
    for round in 0..30 {
        let disk = blank();
        let storage = open(&disk, config()).await.unwrap();
        write(&storage, &disk, 9, 0..dice.roll(40)).await.unwrap();
        disk.world().room = Some(dice.roll(400_000));
        write_until_refused(&storage, &disk).await;
        serves_reads_only(&storage, &disk).await;
        // It may say again that it stopped.
        drop(storage.close().await);

        eprintln!("round {round}");
        let image = disk.image();
        image.world().room = None;
        let notes = image.notes();
        let storage = open(&image, config()).await.unwrap();
        verify(&storage, &notes).await;
        write(&storage, &image, 9, 50_000..50_010).await.unwrap();
        storage.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_did_not_fit_was_not_applied() {
    let disk = blank();
    let storage = open(&disk, config()).await.unwrap();
    let key = Key::try_from("k").unwrap();
    storage
        .commit(Batch::new().put(key.clone(), "1"))
        .await
        .unwrap();
    disk.world().room = Some(10);
    // More than the log has room for without growing.
    let refused = storage
        .commit(Batch::new().put(key.clone(), "2".repeat(64 << 10)))
        .await
        .unwrap_err();
    assert!(matches!(&refused, StorageError::Full { path } if path.starts_with("/data/log")));
    let image = disk.image();
    drop(storage.close().await);
    image.world().room = None;
    let storage = open(&image, config()).await.unwrap();
    assert_eq!(storage.get(&key).await.unwrap().unwrap().value, "1");
    storage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_the_start_is_named() {
    let mut dice = Dice::new(2);
    for _ in 0..20 {
        let disk = blank();
        disk.world().room = Some(dice.roll(40_000));
        match open(&disk, config()).await {
            Ok(storage) => drop(storage.close().await),
            Err(error) => assert!(refused(&error), "{error:?}"),
        }
        let image = disk.image();
        image.world().room = None;
        let storage = open(&image, config()).await.unwrap();
        write(&storage, &image, 0, 0..5).await.unwrap();
        storage.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_stops_writes_and_loses_nothing() {
    let mut dice = Dice::new(3);
    for seed in 0..20 {
        let disk = blank();
        let storage = open(&disk, config()).await.unwrap();
        write(&storage, &disk, 9, 0..dice.roll(60)).await.unwrap();
        disk.world().syncs_fail = true;
        write_until_refused(&storage, &disk).await;
        serves_reads_only(&storage, &disk).await;
        let failed = disk.world().clone();
        drop(storage.close().await);

        // The disk is well again; what it was told before the failed sync may be there or not.
        for _ in 0..3 {
            eprintln!("seed {seed}");
            let image = failed.after_power_cut(&mut dice);
            let notes = image.notes();
            let storage = open(&image, config()).await.unwrap();
            verify(&storage, &notes).await;
            storage.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_is_named() {
    let fresh = blank();
    fresh.world().read_only = true;
    let error = open(&fresh, config()).await.unwrap_err();
    assert!(matches!(error, StorageError::ReadOnly { .. }), "{error:?}");

    let disk = blank();
    let storage = open(&disk, config()).await.unwrap();
    write(&storage, &disk, 0, 0..20).await.unwrap();
    let whole = disk.image();
    disk.world().read_only = true;
    write_until_refused(&storage, &disk).await;
    serves_reads_only(&storage, &disk).await;
    drop(storage.close().await);

    whole.world().read_only = true;
    let before: Vec<_> = files(&whole)
        .iter()
        .map(|path| whole.content(path))
        .collect();
    let error = open(&whole, config()).await.unwrap_err();
    assert!(refused(&error), "{error:?}");
    let after: Vec<_> = files(&whole)
        .iter()
        .map(|path| whole.content(path))
        .collect();
    assert_eq!(before, after);
    whole.world().read_only = false;
    let notes = whole.notes();
    let storage = open(&whole, config()).await.unwrap();
    verify(&storage, &notes).await;
    storage.close().await.unwrap();
}
