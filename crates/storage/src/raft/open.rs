//! Opening a node: its directory, state and log, then Raft on top of them.

use super::config::RaftConfig;
use super::directory::{Directory, Identity};
use super::disk::Disk;
use super::failure::{Failure, corrupt, explain};
use super::leading::Leading;
use super::log::{Log, LogConfig, LogStore};
use super::network::NoNetwork;
use super::node::Standing;
use super::state::{Checkpoints, Machine, Position, StateConfig, StateHandle, StateSetting};
use super::types::{LogId, NodeRecord, TypeConfig};
use super::{Raft, RaftStorage};
use crate::{Result, StorageError};
use openraft::metrics::RaftMetrics;
use openraft::{ChangeMembers, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How often a leader says that it is there, in milliseconds; others wait some times as long.
const HEARTBEAT_MILLISECONDS: u64 = 500;
/// How many entries Raft hands on at once.
const PAYLOAD_ENTRIES_MAX: u64 = 512;

pub(super) async fn open(disk: Arc<dyn Disk>, config: RaftConfig) -> Result<Arc<RaftStorage>> {
    let failure = Failure::default();
    let fresh = || Identity {
        cluster: config.cluster_id.unwrap_or_else(Uuid::new_v4),
        node: config.node_id.unwrap_or_else(random_node),
    };
    let mut directory = Directory::open(disk, &config.path, fresh)?;
    let standing = Arc::new(Standing::new(directory.identity.node));
    let state = open_state(&config, &directory, &standing, &failure)?;
    let log = match open_log(&config, &directory, &state, &failure) {
        Ok(log) => log,
        Err(error) => {
            // The first failure is what there is to tell.
            drop(state.close().await);
            return Err(error);
        }
    };
    if !directory.ready {
        directory.set_ready()?;
    }
    let parts = Parts {
        directory,
        standing,
        state,
        log,
        failure,
    };
    start(&config, parts).await
}

fn random_node() -> u64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    // Positive in any language's integers, and never 0.
    ((high ^ low) >> 1).max(1)
}

fn open_state(
    config: &RaftConfig,
    directory: &Directory,
    standing: &Arc<Standing>,
    failure: &Failure,
) -> Result<Arc<StateHandle>> {
    let Identity { cluster, node } = directory.identity;
    let state = StateConfig {
        disk: Arc::clone(&directory.disk),
        path: directory.state(),
        cluster,
        node,
        cache_bytes: config.state_cache_bytes,
    };
    if directory.ready {
        directory.check_whole()?;
        directory.tidy()?;
    } else {
        StateHandle::create(&state)?;
        let log = directory.log();
        directory
            .disk
            .create_dir(&log)
            .map_err(|error| explain(&log, error))?;
        let synced = directory.disk.sync_dir(&directory.path);
        synced.map_err(|error| explain(&directory.path, error))?;
    }
    StateHandle::open(StateSetting {
        config: state,
        checkpoints: Checkpoints {
            bytes: config.checkpoint_bytes,
            interval: config.checkpoint_interval,
        },
        standing: Arc::clone(standing),
        failure: failure.clone(),
        lock: Arc::clone(&directory.lock),
    })
}

fn open_log(
    config: &RaftConfig,
    directory: &Directory,
    state: &StateHandle,
    failure: &Failure,
) -> Result<Arc<Log>> {
    let Identity { cluster, node } = directory.identity;
    let log = LogConfig {
        disk: Arc::clone(&directory.disk),
        directory: directory.log(),
        cluster,
        node,
        segment_bytes: config.log_segment_bytes,
        cache_bytes: config.log_cache_bytes,
    };
    let path = log.directory.clone();
    let log = Log::open(log, failure.clone(), Arc::clone(&directory.lock))?;
    if let Err(error) = check_together(&path, log.last(), log.purged(), &state.opened_at) {
        log.close();
        return Err(error);
    }
    Ok(log)
}

/// Refuses a log that ends before what was applied from it, or starts behind it.
///
/// Entries are applied only when they are durable in the log, so a log that ends earlier has lost
/// some, and perhaps others that were not yet applied. It may end earlier where the state came
/// from a snapshot, behind which nothing was applied yet.
fn check_together(
    path: &Path,
    last: Option<LogId>,
    purged: Option<LogId>,
    state: &Position,
) -> Result<()> {
    let from_snapshot = state.applied.is_some() && state.applied == state.installed;
    if last < state.applied && !from_snapshot {
        let applied = state.applied.map_or(0, |applied| applied.index);
        let what = match last {
            Some(last) => format!("it ends at entry {}, but {applied} was written", last.index),
            None => format!("it is empty, but entry {applied} was written"),
        };
        return Err(corrupt(path, what));
    }
    if purged > state.applied {
        let what = "it starts behind what the state was written up to".to_owned();
        return Err(corrupt(path, what));
    }
    Ok(())
}

/// What Raft stands on.
struct Parts {
    directory: Directory,
    standing: Arc<Standing>,
    state: Arc<StateHandle>,
    log: Arc<Log>,
    failure: Failure,
}

async fn start(config: &RaftConfig, parts: Parts) -> Result<Arc<RaftStorage>> {
    let Parts {
        directory,
        standing,
        state,
        log,
        failure,
    } = parts;
    let identity = directory.identity;
    let leading = Arc::new(Leading::new(identity.node));
    let log_store = LogStore {
        leading: Arc::clone(&leading),
        log: Arc::clone(&log),
        standing: Arc::clone(&standing),
        state: Arc::clone(&state),
    };
    let machine = Machine {
        state: Arc::clone(&state),
    };
    let settings = Arc::new(settings(identity).map_err(|error| stopped(&failure, &error))?);
    let raft = Raft::new(identity.node, settings, NoNetwork, log_store, machine).await;
    let raft = match raft {
        Ok(raft) => raft,
        Err(error) => {
            let error = stopped(&failure, &error);
            drop(state.close().await);
            log.close();
            return Err(error);
        }
    };
    let storage = Arc::new(RaftStorage {
        identity,
        raft,
        log,
        state,
        standing,
        failure,
        leading,
        in_flight: Semaphore::new(config.in_flight_bytes_max as usize),
        in_flight_bytes_max: config.in_flight_bytes_max,
        closed: AtomicBool::new(false),
        closing: tokio::sync::Mutex::new(()),
        tasks: Mutex::new(Vec::new()),
    });
    if let Err(error) = settle(config, &storage).await {
        // The first failure is what there is to tell.
        drop(crate::Storage::close(&*storage).await);
        return Err(error);
    }
    spawn_tasks(config, &storage);
    Ok(storage)
}

fn settings(identity: Identity) -> std::result::Result<openraft::Config, openraft::ConfigError> {
    let config = openraft::Config {
        cluster_name: identity.cluster.to_string(),
        heartbeat_interval: HEARTBEAT_MILLISECONDS,
        election_timeout_min: 3 * HEARTBEAT_MILLISECONDS,
        election_timeout_max: 6 * HEARTBEAT_MILLISECONDS,
        max_payload_entries: PAYLOAD_ENTRIES_MAX,
        // Checkpoints come by themselves; the log is purged by its size (see `purge`).
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        ..openraft::Config::default()
    };
    config.validate()
}

fn stopped(failure: &Failure, error: &dyn std::error::Error) -> StorageError {
    let reason = || StorageError::Stopped {
        reason: error.to_string(),
    };
    failure.get().unwrap_or_else(reason)
}

/// Makes a new node a cluster of one, and waits until a node that votes alone leads and has
/// applied everything it acknowledged.
async fn settle(config: &RaftConfig, storage: &RaftStorage) -> Result<()> {
    let fatal = |error: &dyn std::error::Error| stopped(&storage.failure, error);
    let record = NodeRecord {
        api_address: config.api_address.clone(),
        cluster_address: config.cluster_address.clone(),
        version: config.version.clone(),
    };
    let raft = &storage.raft;
    if !raft.is_initialized().await.map_err(|error| fatal(&error))? {
        if !config.bootstrap {
            return Ok(());
        }
        let members = BTreeMap::from([(storage.identity.node, record.clone())]);
        raft.initialize(members)
            .await
            .map_err(|error| fatal(&error))?;
    }
    let me = storage.identity.node;
    // From Raft itself: its metrics may still tell of a moment before.
    let membership = raft
        .with_raft_state(|state| Arc::clone(state.membership_state.effective()))
        .await
        .map_err(|error| fatal(&error))?;
    storage.standing.settled(&membership);
    let membership = membership.membership();
    if membership.voter_ids().ne([me]) {
        return Ok(());
    }
    raft.trigger()
        .elect(false)
        .await
        .map_err(|error| fatal(&error))?;
    let leads = |metrics: &RaftMetrics<TypeConfig>| {
        let settled = metrics.last_applied.map(|applied| applied.index) >= metrics.last_log_index;
        metrics.state == ServerState::Leader
            && settled
            && metrics
                .last_applied
                .is_some_and(|it| it.leader_id.term == metrics.current_term)
    };
    raft.wait(None)
        .metrics(leads, "lead")
        .await
        .map_err(|error| fatal(&error))?;
    if membership.get_node(&me) != Some(&record) {
        let change = ChangeMembers::SetNodes(BTreeMap::from([(me, record)]));
        let changed = raft.change_membership(change, false).await;
        changed.map_err(|error| fatal(&error))?;
    }
    Ok(())
}

/// Starts what goes on beside requests; each ends with Raft.
fn spawn_tasks(config: &RaftConfig, storage: &RaftStorage) {
    storage.leading.opened();
    let follow = tokio::spawn(follow_leadership(
        storage.raft.clone(),
        Arc::clone(&storage.leading),
    ));
    let purge = tokio::spawn(purge(
        storage.raft.clone(),
        Arc::clone(&storage.log),
        config.log_keep_bytes,
    ));
    storage
        .tasks
        .lock()
        .extend([follow.abort_handle(), purge.abort_handle()]);
}

async fn follow_leadership(raft: Raft, leading: Arc<Leading>) {
    use openraft::async_runtime::watch::WatchReceiver;
    let mut metrics = raft.server_metrics();
    loop {
        let (vote, leads) = {
            let seen = metrics.borrow_watched();
            (seen.vote, seen.state == ServerState::Leader)
        };
        leading.seen(&vote, leads);
        if metrics.changed().await.is_err() {
            leading.ended();
            return;
        }
    }
}

/// Purges the log below a checkpoint when it has grown beyond what is kept.
async fn purge(raft: Raft, log: Arc<Log>, keep_bytes: u64) {
    loop {
        log.rotated.notified().await;
        let Some(upto) = log.purgeable(keep_bytes) else {
            continue;
        };
        // A snapshot is a checkpoint here; Raft purges only below one.
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
        let built = |metrics: &RaftMetrics<TypeConfig>| {
            metrics
                .snapshot
                .is_some_and(|snapshot| snapshot.index >= upto)
        };
        if raft.wait(None).metrics(built, "snapshot").await.is_err()
            || raft.trigger().purge_log(upto).await.is_err()
        {
            return;
        }
    }
}
