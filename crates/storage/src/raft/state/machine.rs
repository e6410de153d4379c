//! The state machine as Raft sees it.

use super::super::disk::{DiskLock, Open};
use super::super::failure::{Failure, explain};
use super::super::node::Standing;
use super::super::types::{
    LeaderId, LogId, NodeRecord, SnapshotMeta, StoredMembership, TypeConfig,
};
use super::applier::{Applier, Job, Setting, Visible};
use super::layers::{Checkpoints, Layers};
use super::snapshot::{self, SnapshotData, SnapshotFile};
use super::store::{Position, StateConfig, Store};
use super::view::View;
use crate::feed::ChangeLog;
use crate::{Result, StorageError};
use futures::{Stream, TryStreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use parking_lot::{Mutex, RwLock};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A snapshot and of which moment it is.
pub(crate) type Snapshot = openraft::Snapshot<LeaderId, u64, NodeRecord, SnapshotData>;

/// The thread that applies, and what it made visible.
#[derive(Debug)]
pub(crate) struct StateHandle {
    config: StateConfig,
    pub(crate) visible: Arc<Visible>,
    jobs: Arc<Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// How far the state was applied when it was opened.
    pub(crate) opened_at: Position,
}

/// What a state machine is opened with.
#[derive(Debug)]
pub(crate) struct StateSetting {
    pub(crate) config: StateConfig,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) standing: Arc<Standing>,
    pub(crate) failure: Failure,
    pub(crate) lock: Arc<DiskLock>,
}

impl StateHandle {
    /// Makes an empty state, durably, where there is none yet.
    pub(crate) fn create(config: &StateConfig) -> Result<()> {
        let fresh = config.path.with_extension("tmp");
        Store::create(config, &fresh, &Failure::default())?.close()?;
        let renamed = config.disk.rename(&fresh, &config.path);
        renamed.map_err(|error| explain(&config.path, error))?;
        match config.path.parent() {
            Some(directory) => config
                .disk
                .sync_dir(directory)
                .map_err(|error| explain(directory, error)),
            None => Ok(()),
        }
    }

    /// Opens the state and starts the thread that applies to it.
    pub(crate) fn open(setting: StateSetting) -> Result<Arc<Self>> {
        let StateSetting {
            config,
            checkpoints,
            standing,
            failure,
            lock,
        } = setting;
        let store = Store::open(&config, &failure)?;
        let layers = Layers::new(store, failure.clone(), checkpoints)?;
        let view = layers.view();
        let opened_at = view.position.clone();
        let changes = ChangeLog::new(view.revision());
        let visible = Arc::new(Visible {
            view: RwLock::new(Some(Arc::new(view))),
            changes,
        });
        let (jobs, queue) = mpsc::channel();
        let jobs = Arc::new(jobs);
        let setting = Setting {
            visible: Arc::clone(&visible),
            standing,
            failure: failure.clone(),
            checkpoints,
            jobs: Arc::downgrade(&jobs),
            _lock: lock,
        };
        let applier = Applier::new(layers, setting);
        let thread = std::thread::Builder::new()
            .name("storage-apply".to_owned())
            .spawn(move || applier.run(&queue))
            .map_err(|error| explain(&config.path, error))?;
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self {
            config,
            visible,
            jobs,
            thread,
            opened_at,
        }))
    }

    /// The newest applied state.
    pub(crate) fn view(&self) -> Result<Arc<View>> {
        self.visible.view.read().clone().ok_or(StorageError::Closed)
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.jobs
            .send(job(sender))
            .map_err(|_| StorageError::Closed)?;
        receiver.await.map_err(|_| StorageError::Closed)
    }

    /// Makes what was applied durable, and gives a view of it.
    pub(crate) async fn checkpoint(&self) -> Result<Arc<View>> {
        self.ask(Job::Checkpoint).await?
    }

    /// Writes a snapshot into a file.
    pub(crate) fn save_snapshot(&self, snapshot: &SnapshotData, path: &Path) -> Result<u64> {
        let view = match snapshot {
            SnapshotData::View(view) => Arc::clone(view),
            SnapshotData::File(_) => self.view()?,
        };
        let file = self.config.disk.open(path, Open::Fresh);
        let file = file.map_err(|error| explain(path, error))?;
        snapshot::write(&view, &*file, path)
    }

    /// Replaces the state with a snapshot.
    pub(crate) async fn install(&self, source: SnapshotFile) -> Result<()> {
        self.ask(|done| Job::Install(source, done)).await?
    }

    /// Makes everything durable and ends the thread.
    pub(crate) async fn close(&self) -> Result<()> {
        let closed = self.ask(Job::Close).await;
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            let reason = "the thread that applies panicked".to_owned();
            return Err(StorageError::Stopped { reason });
        }
        match closed {
            Ok(closed) => closed,
            Err(StorageError::Closed) => Ok(()),
            Err(other) => Err(other),
        }
    }
}

/// A handle of the state machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) state: Arc<StateHandle>,
}

impl Machine {
    fn snapshot_of(view: Arc<View>) -> Snapshot {
        let meta = SnapshotMeta {
            last_log_id: view.position.applied,
            last_membership: view.position.membership.clone(),
        };
        Snapshot {
            meta,
            snapshot: SnapshotData::View(view),
        }
    }
}

fn io_error(error: StorageError) -> io::Error {
    io::Error::other(error)
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;

    /// A snapshot is a view of the state, written out only where somebody takes it; what Raft
    /// builds one for, to drop the log before it, needs the state to be durable.
    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        self.state
            .checkpoint()
            .await
            .map(Self::snapshot_of)
            .map_err(io_error)
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let view = self.state.view().map_err(io_error)?;
        Ok((view.position.applied, view.position.membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let items: Vec<_> = entries.try_collect().await?;
        self.state
            .ask(|done| Job::Apply(items, done))
            .await
            .map_err(io_error)?
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        match snapshot {
            SnapshotData::File(file) => self.state.install(file).await.map_err(io_error),
            // A view is of the state that is already here.
            SnapshotData::View(_) => Ok(()),
        }
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let view = self.state.view().map_err(io_error)?;
        Ok(view
            .position
            .applied
            .is_some()
            .then(|| Self::snapshot_of(view)))
    }
}
