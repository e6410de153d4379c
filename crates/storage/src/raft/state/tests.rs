use super::super::disk::{Disk, Open, SystemDisk};
use super::super::failure::Failure;
use super::super::node::Standing;
use super::super::types::{
    LeaderId, LogEntry, LogId, Membership, NodeRecord, Payload, Proposal, SnapshotMeta,
};
use super::snapshot::SnapshotFile;
use super::{Checkpoints, Machine, SnapshotData, StateConfig, StateHandle, StateSetting};
use crate::page::Ordered;
use crate::{Batch, Entry, Key, Revision, StorageError};
use openraft::storage::RaftStateMachine;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(7);

/// A state that makes nothing durable by itself.
fn open(directory: &Path, node: u64, create: bool) -> Arc<StateHandle> {
    let config = StateConfig {
        disk: Arc::new(SystemDisk),
        path: directory.join("state.redb"),
        cluster: CLUSTER,
        node,
        cache_bytes: 1024 * 1024,
    };
    if create {
        StateHandle::create(&config).unwrap();
    }
    let never = Checkpoints {
        bytes: u64::MAX,
        interval: Duration::from_secs(3_600),
    };
    StateHandle::open(StateSetting {
        config,
        checkpoints: never,
        standing: Arc::new(Standing::new(node)),
        failure: Failure::default(),
        lock: Arc::new(Box::new(())),
    })
    .unwrap()
}

fn id(index: u64) -> LogId {
    LogId {
        leader_id: LeaderId {
            term: 1,
            node_id: 1,
        },
        index,
    }
}

fn membership() -> Membership {
    let node = NodeRecord {
        api_address: "https://a:8200".to_owned(),
        ..NodeRecord::default()
    };
    Membership::new(vec![BTreeSet::from([1])], BTreeMap::from([(1, node)])).unwrap()
}

fn key(text: &str) -> Key {
    Key::try_from(text).unwrap()
}

async fn apply(state: &Arc<StateHandle>, entries: impl IntoIterator<Item = LogEntry>) {
    let items = entries.into_iter().map(|entry| Ok((entry, None)));
    let items: Vec<_> = items.collect();
    let mut machine = Machine {
        state: Arc::clone(state),
    };
    machine.apply(futures::stream::iter(items)).await.unwrap();
}

fn put(index: u64, batch: Batch) -> LogEntry {
    LogEntry {
        log_id: id(index),
        payload: Payload::Normal(Proposal(Arc::new(batch))),
    }
}

/// A membership and some hundred rows of every size.
async fn fill(state: &Arc<StateHandle>, rows: usize) {
    let first = LogEntry {
        log_id: id(0),
        payload: Payload::Membership(membership()),
    };
    let rows = (0..rows).map(|row| {
        let value = vec![b'v'; row * 37 % 9_000];
        put(
            row as u64 + 1,
            Batch::new().put(key(&format!("k/{row}")), value),
        )
    });
    apply(state, std::iter::once(first).chain(rows)).await;
}

fn rows(state: &StateHandle) -> Vec<(Key, Option<Entry>)> {
    let view = state.view().unwrap();
    let rows = view.scan(Bound::Unbounded, true).unwrap();
    rows.map(Result::unwrap).collect()
}

fn meta(state: &StateHandle) -> SnapshotMeta {
    let position = state.view().unwrap().position.clone();
    SnapshotMeta {
        last_log_id: position.applied,
        last_membership: position.membership,
    }
}

fn save(state: &StateHandle, path: &Path) -> SnapshotFile {
    state
        .save_snapshot(&SnapshotData::View(state.view().unwrap()), path)
        .unwrap();
    received(path)
}

fn received(path: &Path) -> SnapshotFile {
    let file = SystemDisk.open(path, Open::Existing).unwrap();
    SnapshotFile {
        file,
        path: path.to_owned(),
    }
}

async fn two_states() -> (TempDir, Arc<StateHandle>, TempDir, Arc<StateHandle>) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (open(here.path(), 1, true), open(there.path(), 2, true));
    (here, from, there, to)
}

#[tokio::test]
async fn a_snapshot_is_installed_as_it_was_built() {
    let (here, from, there, to) = two_states().await;
    fill(&from, 500).await;
    apply(&to, [put(1, Batch::new().put(key("old"), "1"))]).await;
    let mut feed = to.visible.changes.feed(Revision(1));

    let file = save(&from, &here.path().join("snapshot"));
    let mut machine = Machine {
        state: Arc::clone(&to),
    };
    machine
        .install_snapshot(&meta(&from), SnapshotData::File(file))
        .await
        .unwrap();
    assert_eq!(rows(&to), rows(&from));
    assert_eq!(meta(&to), meta(&from));
    assert_eq!(machine.applied_state().await.unwrap().0, Some(id(500)));
    let told = feed.next().await.unwrap_err();
    assert!(matches!(told, StorageError::TooOld { resume } if resume == Revision(500)));

    // It goes on from there, and is all there after a restart.
    apply(&to, [put(501, Batch::new().put(key("new"), "1"))]).await;
    to.close().await.unwrap();
    let to = open(there.path(), 2, false);
    assert_eq!(to.opened_at.applied, Some(id(501)));
    assert_eq!(to.opened_at.installed, Some(id(500)));
    assert_eq!(rows(&to).len(), 501);
    to.close().await.unwrap();
    from.close().await.unwrap();
}

#[tokio::test]
async fn a_snapshot_is_of_one_moment() {
    let (here, from, _there, to) = two_states().await;
    fill(&from, 50).await;
    let before = rows(&from);
    let view = SnapshotData::View(from.view().unwrap());
    apply(
        &from,
        [put(51, Batch::new().delete(key("k/7")).put(key("z"), "1"))],
    )
    .await;
    let path = here.path().join("snapshot");
    from.save_snapshot(&view, &path).unwrap();
    to.install(received(&path)).await.unwrap();
    assert_eq!(rows(&to), before);
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_and_leaves_the_state() {
    let (here, from, _there, to) = two_states().await;
    fill(&from, 8).await;
    apply(&to, [put(1, Batch::new().put(key("old"), "1"))]).await;
    let path = here.path().join("snapshot");
    save(&from, &path);
    let whole = std::fs::read(&path).unwrap();
    let before = rows(&to);
    let config = to.view().unwrap();
    drop(config);
    let cuts = (0..whole.len()).map(|cut| whole[..cut].to_vec());
    let flips = (0..whole.len()).map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        flipped
    });
    for damaged in cuts.chain(flips).step_by(5) {
        std::fs::write(&path, damaged).unwrap();
        let source = received(&path);
        let read = super::snapshot::SnapshotReader::open(&source).and_then(|mut reader| {
            while reader.part()?.is_some() {}
            Ok(())
        });
        let error = read.unwrap_err();
        let named = matches!(&error, StorageError::Corrupt { path: named, .. }
            | StorageError::Foreign { path: named, .. } if *named == path);
        assert!(named, "{error}");
    }
    let cut = whole[..whole.len() - 1].to_vec();
    std::fs::write(&path, cut).unwrap();
    assert!(to.install(received(&path)).await.is_err());
    assert_eq!(rows(&to), before);
    std::fs::write(&path, whole).unwrap();
}

#[tokio::test]
async fn what_follows_a_checkpoint_is_gone_with_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(directory.path(), 1, true);
    fill(&state, 20).await;
    state.checkpoint().await.unwrap();
    apply(&state, [put(21, Batch::new().put(key("late"), "1"))]).await;
    let image = tempfile::tempdir().unwrap();
    std::fs::copy(
        directory.path().join("state.redb"),
        image.path().join("state.redb"),
    )
    .unwrap();
    let crashed = open(image.path(), 1, false);
    assert_eq!(crashed.opened_at.applied, Some(id(20)));
    assert_eq!(crashed.opened_at.membership.membership(), &membership());
    assert_eq!(rows(&crashed).len(), 20);
    state.close().await.unwrap();
}

#[tokio::test]
async fn a_state_belongs_to_its_directory() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open(one.path(), 1, true).close().await.unwrap();
    let name = "state.redb";
    std::fs::copy(one.path().join(name), other.path().join(name)).unwrap();
    let config = StateConfig {
        disk: Arc::new(SystemDisk),
        path: other.path().join(name),
        cluster: CLUSTER,
        node: 2,
        cache_bytes: 1024 * 1024,
    };
    let setting = StateSetting {
        config,
        checkpoints: Checkpoints {
            bytes: 1,
            interval: Duration::ZERO,
        },
        standing: Arc::new(Standing::new(2)),
        failure: Failure::default(),
        lock: Arc::new(Box::new(())),
    };
    assert!(matches!(
        StateHandle::open(setting),
        Err(StorageError::Corrupt { .. })
    ));
}

/// What nodes of an earlier version send, and what `tests/it/raft/versions.rs` says of it.
#[tokio::test]
async fn a_snapshot_of_an_earlier_version_is_installed() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1/snapshot");
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("snapshot");
    std::fs::copy(fixture, &path).unwrap();
    let source = received(&path);
    let head = super::snapshot::SnapshotReader::open(&source).unwrap().head;
    let nodes: Vec<_> = head.membership.membership().nodes().collect();
    assert_eq!(nodes.len(), 1);
    assert_eq!(*nodes[0].0, 7);
    assert_eq!(nodes[0].1.api_address, "https://node.example:8200");
    assert_eq!(nodes[0].1.cluster_address, "node.example:8201");
    let applied = head.applied.unwrap();
    assert!(applied.index > 96, "every write of the fixture");

    let to = open(here.path(), 2, true);
    let mut machine = Machine {
        state: Arc::clone(&to),
    };
    let meta = SnapshotMeta {
        last_log_id: head.applied,
        last_membership: head.membership,
    };
    machine
        .install_snapshot(&meta, SnapshotData::File(source))
        .await
        .unwrap();
    let rows = rows(&to);
    assert_eq!(rows.len(), 9);
    let late = rows
        .iter()
        .find(|(key, _)| key.as_bytes() == b"late")
        .unwrap();
    let late = late.1.as_ref().unwrap();
    assert_eq!(&late.value[..], b"late");
    assert_eq!(late.revision, Revision(applied.index));
    to.close().await.unwrap();
}
