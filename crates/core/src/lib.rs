//! The vault between its front (the server) and its floors (barrier, policy, audit, engines).
//!
//! [`Core::handle`] takes a request through the steps of [`pipeline`]. What an unsealed vault holds is
//! one [`active::Active`]; sealing takes it away and waits for the requests that still use it. Tables
//! and caches are kept true by the storage's change feed ([`feed`]), whoever wrote.
//!
//! Owns: mounts, tokens, policies as records, the pipeline, and the system engines (`sys`,
//! `auth/token`), written on the same framework as every other. Must not know: which engines exist,
//! HTTP.

mod active;
mod activity;
mod audited_headers;
mod audits;
mod cache;
mod ceremonies;
mod cross_origin;
mod decision;
mod error;
mod feed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod holders;
mod identity;
mod in_flight;
mod janitor;
mod leases;
mod life;
mod lifecycle;
mod limits;
mod metrics;
mod mounts;
mod node;
mod pipeline;
mod policies;
mod quotas;
mod request;
mod system;
mod tidying;
mod timers;
mod tokens;
mod turns;

pub use audits::DeclaredDevice;
pub use cross_origin::CrossOriginRules;
pub use error::CoreError;
pub use lifecycle::{NodeState, Status};
pub use metrics::{Measured, Metrics, Report};
pub use node::{LogLevels, NodeFacts};
pub use request::{Outcome, Request, Response, VerifiedCertificates};
pub use secretum_audit::RecordedHeader;
pub use system::system_rows;

use active::Active;
use in_flight::InFlight;
use parking_lot::RwLock;
use secretum_barrier::Barrier;
use secretum_crypto::{ClockRef, RngRef};
use secretum_engine::{EngineKind, Mounted};
use secretum_storage::Storage;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// What a core is made from.
#[derive(Debug)]
pub struct CoreConfig {
    /// The storage below the barrier.
    pub storage: Arc<dyn Storage>,
    /// The word for it in `seal-status`: `raft`, `inmem`.
    pub storage_kind: &'static str,
    /// The time.
    pub clock: ClockRef,
    /// Randomness.
    pub rng: RngRef,
    /// What can be enabled.
    pub kinds: Vec<EngineKind>,
    /// Life of a token or lease that asks for none.
    pub default_lease_ttl: Duration,
    /// The longest life of a token or lease.
    pub max_lease_ttl: Duration,
    /// The only folder that audit devices may write to; `None` for any.
    pub audit_directory: Option<PathBuf>,
    /// What the process tells of itself.
    pub node: NodeFacts,
    /// Address of this node for its clients, as `sys/leader` tells it.
    pub api_address: String,
    /// Address of this node for its peers.
    pub cluster_address: String,
    /// Name of the cluster; one is made at init where it is empty.
    pub cluster_name: String,
    /// The audit devices of the configuration.
    pub declared_audits: Vec<DeclaredDevice>,
    /// Which ceremonies take part in without a token.
    pub open_ceremonies: OpenCeremonies,
}

/// Ceremonies that are open to who has no token: their shares are then all that protects them, and a
/// stranger can disturb them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenCeremonies {
    /// `sys/rekey` and `sys/rekey-recovery-key`.
    pub rekey: bool,
    /// `sys/generate-root`.
    pub generate_root: bool,
}

/// The vault.
pub struct Core {
    config: CoreConfig,
    barrier: Arc<Barrier>,
    /// What an unsealed vault holds; `None` while sealed.
    active: RwLock<Option<Arc<Active>>>,
    /// Held while the vault is initialized, unsealed or sealed, so that these come one by one.
    transition: Arc<tokio::sync::Mutex<()>>,
    /// The `sys` engine, which answers some paths while sealed.
    system: Arc<dyn Mounted>,
    /// The `auth/token` engine.
    token: Arc<dyn Mounted>,
    /// The audit devices of the configuration, as it was last read.
    declared_audits: RwLock<Vec<DeclaredDevice>>,
    /// The requests under way.
    in_flight: InFlight,
    metrics: Metrics,
    /// This core, for tasks that outlive a call.
    this: Weak<Core>,
}

/// What is active holds the core again, and tables beyond counting: neither is shown.
impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("storage_kind", &self.config.storage_kind)
            .field("is_active", &self.active.read().is_some())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// A sealed core.
    ///
    /// **Errors**: [`CoreError::Routes`] where the rows of a system engine are no table.
    pub fn new(mut config: CoreConfig) -> Result<Arc<Self>, CoreError> {
        let declared_audits = RwLock::new(std::mem::take(&mut config.declared_audits));
        let storage = Arc::clone(&config.storage);
        let metrics = Metrics::new(config.kinds.iter().map(EngineKind::name));
        let barrier = Barrier::new(storage, Arc::clone(&config.clock), Arc::clone(&config.rng));
        let token = system::token_engine()?;
        let table = system::table(config.open_ceremonies)?;
        Ok(Arc::new_cyclic(|this| Self {
            system: system::engine(Weak::clone(this), table),
            token,
            metrics,
            barrier: Arc::new(barrier),
            active: RwLock::default(),
            transition: Arc::default(),
            declared_audits,
            in_flight: InFlight::default(),
            this: Weak::clone(this),
            config,
        }))
    }

    /// The kind of engine of this name.
    pub(crate) fn kind(&self, name: &str) -> Option<&EngineKind> {
        self.config.kinds.iter().find(|kind| kind.name() == name)
    }

    /// The kind and the `version` option that a word to enable an engine stands for: `NAME-vVERSION` is
    /// that version of `NAME`, where there is one.
    pub(crate) fn engine_word<'w>(&self, word: &'w str) -> (&'w str, Option<&'w str>) {
        let named = word.rsplit_once("-v").filter(|(name, version)| {
            let mut versions = self.kind(name).into_iter().flat_map(EngineKind::versions);
            versions.any(|own| own == *version && !own.is_empty())
        });
        match named {
            Some((name, version)) => (name, Some(version)),
            None => (word, None),
        }
    }

    /// What of a request's headers is recorded; `values` gives what stands there under a name, which is
    /// in lower case. It is asked for those names only that are configured.
    pub fn recorded_headers(&self, values: impl Fn(&str) -> Vec<String>) -> Vec<RecordedHeader> {
        let active = self.active();
        active.map_or_else(Vec::new, |active| active.audited_headers.of(values))
    }

    /// Told when an operator asks that the configuration be read anew.
    pub fn reload_asked(&self) -> &Notify {
        &self.config.node.reload
    }

    /// Encrypts shares and tokens for their holders.
    pub(crate) fn envelope(&self) -> holders::Envelope {
        holders::Envelope {
            clock: Arc::clone(&self.config.clock),
            rng: Arc::clone(&self.config.rng),
        }
    }

    /// Which pages of other origins may ask from a browser; none, where there are no rules or the vault
    /// is sealed.
    pub fn cross_origin(&self) -> Option<Arc<CrossOriginRules>> {
        self.active()?.cross_origin.rules()
    }

    fn active(&self) -> Option<Arc<Active>> {
        self.active.read().clone()
    }
}
