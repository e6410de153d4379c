//! [`Active`]: what an unsealed vault holds in memory.

use crate::activity::Activity;
use crate::audited_headers::AuditedHeaders;
use crate::audits::Audits;
use crate::ceremonies::Ceremonies;
use crate::cross_origin::CrossOrigin;
use crate::feed::{self, Followed};
use crate::leases::{self, Leases, Place};
use crate::mounts::Mount;
use crate::mounts::Mounts;
use crate::policies::Policies;
use crate::policies::cedar::CedarPolicies;
use crate::quotas::Quotas;
use crate::timers::Timers;
use crate::tokens::{Roles, Tokens};
use crate::turns::Turns;
use crate::{Core, CoreError, janitor, metrics, system};
use parking_lot::Mutex;
use secretum_engine::Fault;
use secretum_storage::{Batch, Change, Key, Precondition, Revision, Step, Storage, StorageError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long sealing waits for requests to end.
const DRAIN: Duration = Duration::from_secs(30);

/// What an unsealed vault holds in memory.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) core: Arc<Core>,
    /// The barrier's view of the storage.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) mounts: Mounts,
    pub(crate) tokens: Tokens,
    pub(crate) roles: Roles,
    pub(crate) cross_origin: CrossOrigin,
    pub(crate) leases: Leases,
    pub(crate) timers: Timers,
    pub(crate) quotas: Quotas,
    pub(crate) activity: Activity,
    pub(crate) policies: Policies,
    pub(crate) cedar: CedarPolicies,
    pub(crate) audits: Audits,
    pub(crate) audited_headers: AuditedHeaders,
    pub(crate) followed: Followed,
    pub(crate) turns: Turns,
    pub(crate) ceremonies: Ceremonies,
    /// Requests and tasks that still use this.
    pub(crate) tasks: TaskTracker,
    /// Tells the tasks to end.
    pub(crate) ending: CancellationToken,
    /// Requests under way, counted apart: they end by themselves.
    pub(crate) requests: TaskTracker,
    /// The tasks that follow and clean up.
    background: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Active {
    /// Reads the tables and starts the tasks of an unsealed vault.
    ///
    /// **Errors**: [`CoreError`], naming the record that cannot be read.
    pub(crate) async fn start(core: Arc<Core>) -> Result<Arc<Self>, CoreError> {
        let storage: Arc<dyn Storage> = Arc::clone(&core.barrier) as _;
        // The feed begins before the tables are read, so that no change falls between.
        let revision = storage.read_point().await?;
        let changes = storage.changes(revision);
        let active = Arc::new(Self {
            mounts: Mounts::new(Arc::clone(&core), Arc::clone(&storage)),
            tokens: Tokens::new(&core, Arc::clone(&storage))?,
            leases: Leases::new(&core, Arc::clone(&storage))?,
            timers: Timers::new(&core)?,
            activity: Activity::new(&core, Arc::clone(&storage))?,
            cross_origin: CrossOrigin::new(Arc::clone(&storage)),
            quotas: Quotas::new(Arc::clone(&storage), Arc::clone(&core.config.clock)),
            roles: Roles::new(Arc::clone(&storage))?,
            policies: Policies::new(Arc::clone(&storage), Arc::clone(&core.config.clock)),
            cedar: CedarPolicies::new(Arc::clone(&storage)),
            audited_headers: AuditedHeaders::new(Arc::clone(&storage)),
            audits: Audits::new(
                core.config.audit_directory.clone(),
                Arc::clone(&storage),
                Arc::clone(&core.config.clock),
            ),
            followed: Followed::new(revision),
            turns: Turns::new(),
            ceremonies: Ceremonies::default(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
            requests: TaskTracker::new(),
            background: Mutex::default(),
            storage,
            core,
        });
        active.audits.settle(&active.core).await?;
        active.reload().await?;
        system::node::note_version(&active).await?;
        active.spawn_follower(changes);
        active.quotas.count_leases(&active);
        active.spawn(janitor::run(Arc::clone(&active)));
        active.spawn(leases::run(Arc::clone(&active)));
        active.spawn(metrics::count_leases(Arc::clone(&active)));
        Ok(active)
    }

    /// Reads every table again and empties every cache.
    pub(crate) async fn reload(&self) -> Result<(), CoreError> {
        self.tokens.forget_all();
        self.policies.forget_all();
        self.cedar.reload_all().await?;
        self.mounts.reload_all().await?;
        self.audited_headers.reload().await?;
        self.quotas.reload().await?;
        self.activity.reload().await?;
        self.cross_origin.reload().await?;
        self.audits.reload_all().await
    }

    /// Commits a batch and waits until this node's caches have followed it.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Revision, StorageError> {
        let leases = self.leases_of(&batch);
        let began = Instant::now();
        let revision = self.storage.commit(batch).await?;
        self.core.metrics.committed(began.elapsed());
        for (mount, place, is_there) in leases {
            self.quotas.lease_changed(&mount.path, &place, is_there);
        }
        self.followed.reach(revision).await?;
        Ok(revision)
    }

    /// The leases that come and go with a batch, where a quota counts them.
    fn leases_of(&self, batch: &Batch) -> Vec<(Arc<Mount>, Place, bool)> {
        if !self.quotas.counts_leases() {
            return Vec::new();
        }
        let changed = |step: &Step| {
            let is_there = match step.change {
                Change::Put(_) => true,
                Change::Delete => false,
                Change::Keep => return None,
            };
            let place = Place::of(&step.key)?;
            Some((self.mounts.of(&place.mount)?, place, is_there))
        };
        batch.steps().iter().filter_map(changed).collect()
    }

    /// Waits until what this node reads is as new as any answer given before.
    pub(crate) async fn read_point(&self) -> Result<(), StorageError> {
        let revision = self.storage.read_point().await?;
        self.followed.reach(revision).await
    }

    /// Begins a change of what this node holds in memory: from here on that is looked at as it is, and what
    /// is made of it, with what comes back, fails to commit where another change of the same guard was
    /// committed meanwhile.
    pub(crate) async fn begin_change(&self, guard: &'static str) -> Result<Batch, StorageError> {
        let guard = Key::try_from(guard)?;
        let seen = self.storage.get(&guard).await?;
        let expect = seen.map_or(Precondition::Absent, |seen| Precondition::At(seen.revision));
        // The storage tells of a change before the tables have followed it.
        self.read_point().await?;
        Ok(Batch::new().put_if(guard, expect, Vec::new()))
    }

    /// Begins a request: from here on sealing waits for it, until what comes back is dropped.
    ///
    /// **Errors**: [`Fault::Sealed`] where sealing has begun.
    pub(crate) fn enter(&self) -> Result<TaskTrackerToken, Fault> {
        let under_way = self.requests.token();
        if self.requests.is_closed() {
            return Err(Fault::Sealed);
        }
        Ok(under_way)
    }

    /// Ends: waits for requests, then ends the tasks.
    pub(crate) async fn end(&self) {
        self.requests.close();
        if tokio::time::timeout(DRAIN, self.requests.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                requests = self.requests.len(),
                "sealing ends requests under way"
            );
        }
        if let Err(error) = self.activity.write(self).await {
            tracing::warn!(%error, "the last clients of this node are not counted");
        }
        self.ending.cancel();
        let ended = tokio::time::timeout(DRAIN, self.requests.wait()).await;
        if ended.is_err() {
            tracing::warn!("a request did not end in time");
        }
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("a background task did not end in time");
        }
        let background = std::mem::take(&mut *self.background.lock());
        background.iter().for_each(tokio::task::JoinHandle::abort);
        // The next unseal goes on with their files.
        self.audits.broker.close().await;
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn spawn_follower(self: &Arc<Self>, changes: secretum_storage::ChangeFeed) {
        let active = Arc::clone(self);
        let follower = tokio::spawn(async move {
            let followed = feed::follow(&active, changes).await;
            active.followed.end();
            if let Err(error) = followed {
                tracing::error!(%error, "the change feed cannot be followed: sealing");
                active.core.seal_soon();
            }
        });
        self.background.lock().push(follower);
    }
}
