use super::disk::{Disk, Open, SystemDisk};
use super::state::{Snapshot, SnapshotData, SnapshotFile};
use super::types::{LeaderId, Vote};
use super::*;
use crate::Leadership;
use openraft::ServerState;
use openraft::metrics::RaftMetrics;
use openraft::raft::VoteRequest;
use std::path::Path;

fn key(text: &str) -> Key {
    Key::try_from(text).unwrap()
}

fn received(path: &Path) -> SnapshotData {
    let file = SystemDisk.open(path, Open::Existing).unwrap();
    SnapshotData::File(SnapshotFile {
        file,
        path: path.to_owned(),
    })
}

/// A node takes a snapshot of another one over, as it would from a leader, and keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_is_brought_up_by_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let leader = RaftStorage::open(RaftConfig::new(directory.path().join("a")))
        .await
        .unwrap();
    for round in 0..100 {
        let batch = Batch::new().put(key(&format!("k/{round}")), vec![7; round * 50]);
        leader.commit(batch).await.unwrap();
    }
    let mut config = RaftConfig::new(directory.path().join("b"));
    config.cluster_id = Some(leader.cluster_id());
    config.bootstrap = false;
    let joiner = RaftStorage::open(config.clone()).await.unwrap();
    assert!(matches!(
        joiner.read_point().await,
        Err(StorageError::NotLeader)
    ));
    assert!(matches!(
        joiner.commit(Batch::new()).await,
        Err(StorageError::NotLeader)
    ));

    let snapshot = leader.raft.get_snapshot().await.unwrap().unwrap();
    let path = directory.path().join("snapshot");
    leader
        .state
        .save_snapshot(&snapshot.snapshot, &path)
        .unwrap();
    let meta = snapshot.meta.clone();
    let vote = leader
        .raft
        .with_raft_state(|state| *state.vote_ref())
        .await
        .unwrap();
    let sent = Snapshot {
        meta: snapshot.meta,
        snapshot: received(&path),
    };
    joiner.raft.install_full_snapshot(vote, sent).await.unwrap();

    let everything = key("");
    let wanted = leader
        .page(&everything, None, 1_000, PageOf::Entries)
        .await
        .unwrap();
    let seen = joiner
        .page(&everything, None, 1_000, PageOf::Entries)
        .await
        .unwrap();
    assert_eq!(seen, wanted);
    joiner.close().await.unwrap();

    let joiner = RaftStorage::open(config).await.unwrap();
    let seen = joiner
        .page(&everything, None, 1_000, PageOf::Entries)
        .await
        .unwrap();
    assert_eq!(seen, wanted);
    assert_eq!(joiner.state.opened_at.applied, meta.last_log_id);
    // It knows the cluster, and that it does not lead it.
    assert!(matches!(
        joiner.read_point().await,
        Err(StorageError::NotLeader)
    ));
    joiner.close().await.unwrap();
    leader.close().await.unwrap();
}

/// It votes for another node, which does not win, and is elected again.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_leadership_that_nobody_saw_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let storage = RaftStorage::open(RaftConfig::new(directory.path()))
        .await
        .unwrap();
    let mut watch = storage.leadership();
    assert_eq!(watch.borrow_and_update().changes, 1);
    let leads_behind = async |term: u64| {
        let settled = move |metrics: &RaftMetrics<TypeConfig>| {
            metrics.state == ServerState::Leader
                && metrics.current_term > term
                && metrics.last_applied.map(|applied| applied.index) >= metrics.last_log_index
        };
        storage
            .raft
            .wait(None)
            .metrics(settled, "lead")
            .await
            .unwrap()
    };
    let mut metrics = leads_behind(0).await;
    for _ in 0..5 {
        let leader_id = LeaderId {
            term: metrics.current_term + 1,
            node_id: 9,
        };
        let asked = VoteRequest {
            vote: Vote {
                leader_id,
                committed: false,
            },
            last_log_id: metrics.last_applied,
            leadership_transfer: true,
        };
        storage.raft.vote(asked).await.unwrap();
        storage.raft.trigger().elect(false).await.unwrap();
        metrics = leads_behind(metrics.current_term + 1).await;
    }
    let state = *watch.borrow_and_update();
    assert_eq!((state.now, state.changes), (Leadership::Leader, 11));
    storage.close().await.unwrap();
    assert_eq!(watch.borrow().changes, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_its_new_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = RaftConfig::new(directory.path());
    for address in ["https://one:8200", "https://two:8200"] {
        config.api_address = address.to_owned();
        let storage = RaftStorage::open(config.clone()).await.unwrap();
        let me = storage.node_id();
        let record = storage
            .raft
            .with_raft_state(move |state| state.membership_state.effective().get_node(&me).cloned())
            .await
            .unwrap();
        assert_eq!(record.unwrap().api_address, address);
        storage.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_dropped_leaves_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let storage = RaftStorage::open(RaftConfig::new(directory.path()))
        .await
        .unwrap();
    storage
        .commit(Batch::new().put(key("a"), "1"))
        .await
        .unwrap();
    let threads = std::sync::Arc::downgrade(&storage.state);
    drop(storage);
    let storage = loop {
        match RaftStorage::open(RaftConfig::new(directory.path())).await {
            Ok(storage) => break storage,
            Err(StorageError::Locked { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(threads.upgrade().is_none());
    assert_eq!(storage.get(&key("a")).await.unwrap().unwrap().value, "1");
    storage.close().await.unwrap();
}

#[test]
fn a_node_reads_by_itself_only_while_it_votes_alone() {
    use super::types::{LeaderId, LogEntry, LogId, Membership, Payload, StoredMembership, Vote};
    use std::collections::{BTreeMap, BTreeSet};
    let leader_id = |node_id| LeaderId { term: 1, node_id };
    let stored = |index, configs: &[&[u64]]| {
        let sets = configs
            .iter()
            .map(|config| BTreeSet::from_iter(config.iter().copied()));
        let nodes = [1, 2].map(|id| (id, NodeRecord::default()));
        let membership = Membership::new(sets.collect(), BTreeMap::from(nodes)).unwrap();
        let log_id = LogId {
            leader_id: leader_id(1),
            index,
        };
        StoredMembership::new(Some(log_id), membership)
    };
    let entry = |stored: StoredMembership| LogEntry {
        log_id: stored.log_id().unwrap(),
        payload: Payload::Membership(stored.membership().clone()),
    };
    let standing = Standing::new(1);
    assert!(!standing.is_alone());
    standing.settled(&stored(3, &[&[1]]));
    standing.appended(&entry(stored(5, &[&[1]])));
    standing.voted(&Vote {
        leader_id: leader_id(1),
        committed: true,
    });
    assert!(standing.is_alone());

    // The next one is in the log before the last one was applied.
    standing.appended(&entry(stored(6, &[&[1], &[1, 2]])));
    assert!(!standing.is_alone());
    standing.settled(&stored(5, &[&[1]]));
    assert!(!standing.is_alone());
    standing.settled(&stored(6, &[&[1], &[1, 2]]));
    assert!(!standing.is_alone());
    standing.settled(&stored(9, &[&[1]]));
    assert!(standing.is_alone());
    standing.voted(&Vote {
        leader_id: leader_id(2),
        committed: false,
    });
    assert!(!standing.is_alone());
    standing.settled(&stored(12, &[&[2]]));
    assert!(!standing.is_alone());
}
