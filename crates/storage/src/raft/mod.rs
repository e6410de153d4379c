//! The embedded backend: Raft, with its log and its state in one directory.
//!
//! ```text
//! commit ─▶ openraft ─▶ log (one sync for all in line) ─▶ state (one transaction for a group)
//!                                                          │ view in place, feed told
//! get, page ◀──────────────────────────────────────────── ◀┘ then the writers are answered
//! ```
//! - [`disk`] is every call to the file system; `directory` is whose directory it is.
//! - `log` makes entries durable. `state` applies them, and is durable at checkpoints.
//! - `codec` is our bytes for what both of them store; openraft's own form is never written.
//!
//! What holds:
//! - A commit is answered when its entry is durable on a quorum and applied on this node.
//! - After a crash the state stands at a checkpoint, and the log holds all that follows it: it is
//!   purged only below a checkpoint.
//! - A failed write or sync stops the node's writes. Reads go on, from what was applied; what was
//!   acknowledged is in the log. A restart finds out what is on disk.
//! - A file that cannot hold what it holds is refused with its name; nothing of it is served.

mod codec;
mod config;
mod directory;
pub mod disk;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod leading;
mod log;
mod network;
mod node;
mod open;
mod state;
#[cfg(test)]
mod tests;
mod types;

pub use config::RaftConfig;
pub use types::NodeRecord;

use crate::page::{self, Query};
use crate::{
    Batch, ChangeFeed, Entry, Key, LeadershipWatch, Page, PageOf, Result, Revision, Storage,
    StorageError,
};
use async_trait::async_trait;
use directory::Identity;
use failure::Failure;
use leading::Leading;
use log::Log;
use node::Standing;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use parking_lot::Mutex;
use state::{Machine, SnapshotData, StateHandle};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use types::{Outcome, Proposal, TypeConfig};
use uuid::Uuid;

type Raft = openraft::Raft<TypeConfig, Machine>;

/// A node of the embedded storage.
#[derive(Debug)]
pub struct RaftStorage {
    identity: Identity,
    raft: Raft,
    log: Arc<Log>,
    state: Arc<StateHandle>,
    standing: Arc<Standing>,
    failure: Failure,
    leading: Arc<Leading>,
    in_flight: Semaphore,
    in_flight_bytes_max: u32,
    closed: AtomicBool,
    closing: tokio::sync::Mutex<()>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl RaftStorage {
    /// Opens a data directory, or makes a new cluster of one node in an empty one.
    ///
    /// **Errors**: [`StorageError::Locked`] while another process has it; [`StorageError::Foreign`]
    /// where something else or a newer version wrote it; [`StorageError::Corrupt`] where a file
    /// is damaged; [`StorageError::Full`], [`StorageError::ReadOnly`] and [`StorageError::Io`].
    pub async fn open(config: RaftConfig) -> Result<Arc<Self>> {
        Self::open_on(Arc::new(disk::SystemDisk), config).await
    }

    /// [`RaftStorage::open`], on a disk that stands for the machine's.
    pub async fn open_on(disk: Arc<dyn disk::Disk>, config: RaftConfig) -> Result<Arc<Self>> {
        open::open(disk, config).await
    }

    /// The cluster this node belongs to.
    pub fn cluster_id(&self) -> Uuid {
        self.identity.cluster
    }

    /// This node's id in its cluster.
    pub fn node_id(&self) -> u64 {
        self.identity.node
    }

    /// Writes a snapshot of the applied state into a file, and gives its length in bytes.
    ///
    /// It is a consistent state of one moment; writes go on meanwhile. The file is in the format
    /// that nodes install snapshots from.
    pub async fn save_snapshot(&self, path: impl AsRef<Path>) -> Result<u64> {
        let (state, path) = (Arc::clone(&self.state), path.as_ref().to_owned());
        let view = SnapshotData::View(state.view()?);
        tokio::task::spawn_blocking(move || state.save_snapshot(&view, &path))
            .await
            .map_err(|error| StorageError::Stopped {
                reason: error.to_string(),
            })?
    }

    /// Makes the applied state durable, which happens by itself now and then.
    pub async fn checkpoint(&self) -> Result<()> {
        self.state.checkpoint().await.map(|_| ())
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        Ok(())
    }

    /// What it means that Raft ended.
    fn ended(&self) -> StorageError {
        if self.closed.load(Ordering::Acquire) {
            return StorageError::Closed;
        }
        let unknown = || StorageError::Stopped {
            reason: "the node ended".to_owned(),
        };
        self.failure.stopped().unwrap_or_else(unknown)
    }

    /// What a write gets that was under way when Raft ended.
    ///
    /// Where everything that is durable was applied, and so answered, the write is not durable, and
    /// the disk's refusal is the answer. Else it may be one of those that a restart applies.
    fn cut_short(&self) -> StorageError {
        let ended = self.ended();
        let applied = self.state.view().map(|view| view.revision().0).ok();
        if self.log.durable() <= applied || matches!(ended, StorageError::Closed) {
            return ended;
        }
        match ended {
            stopped @ StorageError::Stopped { .. } => stopped,
            other => StorageError::Stopped {
                reason: other.to_string(),
            },
        }
    }
}

impl Drop for RaftStorage {
    fn drop(&mut self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        // The directory is free when the threads have ended; nobody waits for that here.
        self.log.stop();
    }
}

#[async_trait]
impl Storage for RaftStorage {
    async fn read_point(&self) -> Result<Revision> {
        self.check_open()?;
        if !self.standing.is_alone() {
            let read = self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
            read.map_err(|error| match error {
                RaftError::APIError(LinearizableReadError::ForwardToLeader(_)) => {
                    StorageError::NotLeader
                }
                RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => {
                    StorageError::NotLeader
                }
                RaftError::Fatal(_) => self.ended(),
            })?;
        }
        Ok(self.state.view()?.revision())
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.check_open()?;
        self.state.view()?.get(key)
    }

    async fn page(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
        what: PageOf,
    ) -> Result<Page> {
        self.check_open()?;
        page::read(
            &*self.state.view()?,
            Query {
                prefix,
                after,
                limit,
                what,
            },
        )
    }

    async fn commit(&self, batch: Batch) -> Result<Revision> {
        batch.check_size()?;
        self.check_open()?;
        if let Some(failure) = self.failure.stopped() {
            return Err(failure);
        }
        let share = u32::try_from(batch.bytes())
            .unwrap_or(u32::MAX)
            .min(self.in_flight_bytes_max);
        let _share = self
            .in_flight
            .acquire_many(share)
            .await
            .map_err(|_| StorageError::Closed)?;
        let written = self.raft.client_write(Proposal(Arc::new(batch))).await;
        match written.map(|response| response.data) {
            Ok(Outcome::Committed(revision)) => Ok(revision),
            Ok(Outcome::Conflict(key)) => Err(StorageError::Conflict { key }),
            Ok(Outcome::Nothing) => Err(self.cut_short()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(StorageError::NotLeader)
            }
            Err(_) => Err(self.cut_short()),
        }
    }

    fn changes(&self, from: Revision) -> ChangeFeed {
        self.state.visible.changes.feed(from)
    }

    fn leadership(&self) -> LeadershipWatch {
        self.leading.watch()
    }

    async fn close(&self) -> Result<()> {
        let _closing = self.closing.lock().await;
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.in_flight.close();
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        let ended = self.raft.shutdown().await;
        let closed = self.state.close().await;
        self.log.close();
        self.state.visible.changes.close();
        self.leading.ended();
        ended.map_err(|error| StorageError::Stopped {
            reason: error.to_string(),
        })?;
        closed
    }
}
