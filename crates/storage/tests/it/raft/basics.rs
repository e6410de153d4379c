//! Conformance, the model, and reopening.

use super::simulation::Gate;
use super::{load, small};
use crate::model::{Model, actions, agree, same};
use async_trait::async_trait;
use proptest::prelude::*;
use secretum_storage::conformance::{self, Harness};
use secretum_storage::raft::RaftStorage;
use secretum_storage::{Batch, Key, Result, Storage};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

#[derive(Default)]
struct Nodes {
    /// The directory of each storage that was handed out.
    directories: Mutex<HashMap<usize, TempDir>>,
}

fn address(storage: &Arc<dyn Storage>) -> usize {
    Arc::as_ptr(storage).cast::<()>() as usize
}

impl Nodes {
    async fn open_in(&self, directory: TempDir) -> Result<Arc<dyn Storage>> {
        let storage: Arc<dyn Storage> = RaftStorage::open(small(directory.path())).await?;
        self.directories
            .lock()
            .unwrap()
            .insert(address(&storage), directory);
        Ok(storage)
    }
}

#[async_trait]
impl Harness for Nodes {
    async fn open(&self) -> Result<Arc<dyn Storage>> {
        self.open_in(tempfile::tempdir().unwrap()).await
    }

    async fn reopen(&self, closed: Arc<dyn Storage>) -> Result<Option<Arc<dyn Storage>>> {
        let directory = self
            .directories
            .lock()
            .unwrap()
            .remove(&address(&closed))
            .unwrap();
        drop(closed);
        self.open_in(directory).await.map(Some)
    }
}

/// All of them wait for the disk at once: what came while it worked is made durable together.
#[tokio::test]
async fn concurrent_writers_share_a_sync() {
    const WRITERS: u64 = 64;
    let disk = load::blank();
    let mut config = load::config();
    config.checkpoint_bytes = u64::MAX;
    config.log_segment_bytes = 16 * 1024 * 1024;
    let storage = load::open(&disk, config).await.unwrap();
    load::write(&storage, &disk, 0, 0..1).await.unwrap();
    let gate = Arc::new(Gate::default());
    let before = {
        let mut world = disk.world();
        world.gate = Some(Arc::clone(&gate));
        world.syncs
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let storage = Arc::clone(&storage);
            let key = Key::try_from(format!("shared/{writer}")).unwrap();
            tokio::spawn(async move { storage.commit(Batch::new().put(key, "1")).await })
        })
        .collect();
    // One thread runs all of them: they get as far as they can while the disk is held back.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(writers.iter().all(|writer| !writer.is_finished()));
    gate.open();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let syncs = disk.world().syncs - before;
    assert!(
        (1..=4).contains(&syncs),
        "{syncs} syncs of {WRITERS} commits"
    );
    storage.close().await.unwrap();
}

/// A checkpoint may keep the disk busy for long.
#[tokio::test(flavor = "multi_thread")]
async fn readers_do_not_wait_for_a_sync_of_the_state() {
    const KEYS: u64 = 200;
    let key = |number: u64| Key::try_from(format!("key/{number}")).unwrap();
    let disk = load::blank();
    let mut config = load::config();
    config.checkpoint_bytes = u64::MAX;
    config.checkpoint_interval = Duration::from_secs(3_600);
    // What is read comes from the file.
    config.state_cache_bytes = 0;
    let storage = load::open(&disk, config).await.unwrap();
    for number in 0..KEYS {
        let put = Batch::new().put(key(number), vec![1; 1_000]);
        storage.commit(put).await.unwrap();
    }
    storage.checkpoint().await.unwrap();
    storage
        .commit(Batch::new().put(key(KEYS), "1"))
        .await
        .unwrap();
    let gate = Arc::new(Gate::default());
    let before = {
        let mut world = disk.world();
        world.gate = Some(Arc::clone(&gate));
        world.syncs
    };
    let of_checkpoint = Arc::clone(&storage);
    let checkpoint = tokio::spawn(async move { of_checkpoint.checkpoint().await });
    let at_the_gate = async {
        while disk.world().syncs == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(30), at_the_gate).await;
    let of_reader = Arc::clone(&storage);
    let reader = tokio::spawn(async move {
        for number in 0..KEYS {
            assert!(of_reader.get(&key(number)).await.unwrap().is_some());
        }
    });
    let read = tokio::time::timeout(Duration::from_secs(30), reader).await;
    let was_held_back = !checkpoint.is_finished();
    // Whatever comes: who stands behind the gate holds up the end.
    gate.open();
    came.unwrap();
    assert!(was_held_back);
    read.unwrap().unwrap();
    checkpoint.await.unwrap().unwrap();
    storage.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_backend_keeps_the_promises_of_the_boundary() {
    if let Err(failure) = conformance::run(&Nodes::default()).await {
        panic!("{failure}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_embedded_backend_agrees_with_a_map(before in actions(), after in actions()) {
        runtime().block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let mut model = Model::default();
            let storage = RaftStorage::open(small(directory.path())).await.unwrap();
            agree(&*storage, &mut model, &before).await;
            storage.close().await.unwrap();
            let storage = RaftStorage::open(small(directory.path())).await.unwrap();
            same(&*storage, &model).await;
            agree(&*storage, &mut model, &after).await;
            storage.close().await.unwrap();
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_its_identity_and_its_data_over_many_segments() {
    const COMMITS: usize = 400;
    let value = |round: usize| format!("{round:01000}");
    let directory = tempfile::tempdir().unwrap();
    let storage = RaftStorage::open(small(directory.path())).await.unwrap();
    let identity = (storage.cluster_id(), storage.node_id());
    for round in 0..COMMITS {
        let key = Key::try_from(format!("k/{round}")).unwrap();
        storage
            .commit(Batch::new().put(key, value(round)))
            .await
            .unwrap();
    }
    storage.close().await.unwrap();
    let storage = RaftStorage::open(small(directory.path())).await.unwrap();
    assert_eq!((storage.cluster_id(), storage.node_id()), identity);
    for round in 0..COMMITS {
        let key = Key::try_from(format!("k/{round}")).unwrap();
        let entry = storage.get(&key).await.unwrap().unwrap();
        assert_eq!(entry.value, value(round));
    }
    storage.close().await.unwrap();
}
