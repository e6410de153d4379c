//! Directories that earlier versions wrote, which every later one opens.
//!
//! `tests/fixtures/<version>` has a data directory and a snapshot. They are never made again: a new
//! layout gets a folder beside them, made by `cargo test -p secretum-storage --test it -- --ignored
//! make_the_fixture`.

use super::small;
use secretum_storage::raft::{RaftConfig, RaftStorage};
use secretum_storage::{Batch, Key, PageOf, Storage};
use std::fs;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The layout that this version writes.
const VERSION: &str = "version-1";

const CLUSTER: Uuid = Uuid::from_u128(0x5ec2_e7a5);

const NODE: u64 = 7;

/// Keys that were written, each several times.
const KEYS: u64 = 12;

/// Writes of each key, after which every third key is removed.
const ROUNDS: u64 = 8;

/// What was written once the checkpoint stood, and is in the log alone.
const LATE: &str = "late";

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(version)
}

fn config(path: &Path) -> RaftConfig {
    let mut config = small(path);
    config.node_id = Some(NODE);
    config.cluster_id = Some(CLUSTER);
    config.api_address = "https://node.example:8200".to_owned();
    config.cluster_address = "node.example:8201".to_owned();
    config.log_segment_bytes = 4 * 1024;
    config.log_keep_bytes = 4 * 1024;
    config
}

fn key(number: u64) -> Key {
    Key::try_from(format!("folder {}/key {number}", number % 2)).unwrap()
}

fn value(number: u64, round: u64) -> Vec<u8> {
    format!("value {number} of round {round};").repeat(8).into()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            fs::copy(entry.path(), there).unwrap();
        }
    }
}

/// Every row, in the order of the keys.
async fn rows(storage: &RaftStorage) -> Vec<(String, Vec<u8>)> {
    let everything = Key::try_from("").unwrap();
    let page = storage.page(&everything, None, usize::MAX, PageOf::Entries);
    let rows = page.await.unwrap().rows.into_iter();
    let mut rows: Vec<_> = rows
        .map(|row| {
            let value = row.entry.unwrap().value.to_vec();
            (row.key.to_string(), value)
        })
        .collect();
    rows.sort();
    rows
}

fn expected() -> Vec<(String, Vec<u8>)> {
    let kept = (0..KEYS).filter(|number| number % 3 != 0);
    let mut rows: Vec<_> = kept
        .map(|number| {
            let name = key(number).to_string();
            (name, value(number, ROUNDS - 1))
        })
        .collect();
    rows.push((LATE.to_owned(), LATE.into()));
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_an_earlier_version_opens_and_goes_on() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("data");
    copy(&fixture("version-1").join("data"), &path);
    for round in 0..2 {
        let storage = RaftStorage::open(small(&path)).await.unwrap();
        assert_eq!(storage.node_id(), NODE);
        assert_eq!(storage.cluster_id(), CLUSTER);
        let more = Key::try_from("more").unwrap();
        if round == 0 {
            assert_eq!(rows(&storage).await, expected());
            let batch = Batch::new().put(more, "1");
            storage.commit(batch).await.unwrap();
        } else {
            assert_eq!(&storage.get(&more).await.unwrap().unwrap().value[..], b"1");
        }
        storage.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes what other tests open, once for each layout"]
async fn make_the_fixture() {
    let to = fixture(VERSION);
    assert!(!to.exists(), "what is there stays as it is");
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("data");
    // What the second start finds was checkpointed by the first.
    for half in 0..2 {
        let storage = RaftStorage::open(config(&path)).await.unwrap();
        for round in half * ROUNDS / 2..(half + 1) * ROUNDS / 2 {
            for number in 0..KEYS {
                let batch = Batch::new().put(key(number), value(number, round));
                storage.commit(batch).await.unwrap();
            }
        }
        if half == 1 {
            for number in (0..KEYS).step_by(3) {
                let batch = Batch::new().delete(key(number));
                storage.commit(batch).await.unwrap();
            }
        }
        storage.close().await.unwrap();
    }
    let first = path.join("log").join(format!("{:020}.log", 1));
    assert!(!first.exists(), "the start of the log was purged");
    let mut config = config(&path);
    config.checkpoint_bytes = u64::MAX;
    config.checkpoint_interval = std::time::Duration::from_secs(3_600);
    let storage = RaftStorage::open(config).await.unwrap();
    let late = Key::try_from(LATE).unwrap();
    storage.commit(Batch::new().put(late, LATE)).await.unwrap();
    // As a process leaves it that is killed now.
    copy(&path, &to.join("data"));
    storage.save_snapshot(to.join("snapshot")).await.unwrap();
    storage.close().await.unwrap();
}
