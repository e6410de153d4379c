//! [`Quotas`]: how many requests an address may make, and how many leases a mount may have.
//!
//! A quota's record is `sys/quota/<kind>/<name>`. Of those of a kind that match a request the narrowest
//! holds: a path of a mount before its mount, that before all. What is counted is in memory and belongs
//! to this node.

mod lease_count;
mod rate_limit;
mod record;

pub(crate) use lease_count::Room;
pub(crate) use record::{Kind, Limit, QuotaConfig, QuotaRecord, Rate};

use crate::CoreError;
use crate::active::Active;
use crate::leases::Place;
use crate::limits::check;
use lease_count::LeaseCount;
use parking_lot::RwLock;
use rate_limit::RateLimit;
use secretum_crypto::ClockRef;
use secretum_engine::{Fault, LIST_PAGE, RateFacts, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Pages, Storage, StorageError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::Instrument;

/// How many quotas of a kind there may be.
const QUOTAS_MAX: usize = 1_000;

/// The longest name of a quota, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Changes whenever a quota is written, so that two at once cannot be of the same requests.
const WRITES: &str = "sys/quota-writes";

const CONFIG: &str = "sys/quota-config";

/// The quotas of a vault.
#[derive(Debug)]
pub(crate) struct Quotas {
    storage: Arc<dyn Storage>,
    clock: ClockRef,
    /// Whether there is any: most vaults have none, and no request should look for one.
    any: AtomicBool,
    table: RwLock<Arc<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    config: QuotaConfig,
    records: BTreeMap<(Kind, String), QuotaRecord>,
    rates: Scopes<RateLimit>,
    leases: Scopes<LeaseCount>,
}

/// Quotas of a kind, by what they are of.
#[derive(Debug)]
struct Scopes<Q> {
    of_all: Option<Arc<Q>>,
    /// By the path of the mount; with the path below it, or a beginning of it, where there is one.
    of_mounts: HashMap<String, Vec<(String, Arc<Q>)>>,
}

/// What a rate limit has to know of a request.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Path of its mount; empty without one.
    pub(crate) mount: &'a str,
    /// Its path, relative to the mount.
    pub(crate) below: &'a str,
    /// All of its path.
    pub(crate) path: &'a str,
    pub(crate) address: Option<IpAddr>,
}

impl<Q> Default for Scopes<Q> {
    fn default() -> Self {
        Self {
            of_all: None,
            of_mounts: HashMap::new(),
        }
    }
}

impl<Q> Scopes<Q> {
    fn insert(&mut self, record: &QuotaRecord, quota: Arc<Q>) {
        if record.mount.is_empty() {
            self.of_all = Some(quota);
            return;
        }
        let of_mount = self.of_mounts.entry(record.mount.clone()).or_default();
        of_mount.push((record.below.clone(), quota));
        // The narrowest first: the longest, and of two the one that is of that path alone.
        of_mount.sort_by_key(|(below, _)| {
            let longest = std::cmp::Reverse(below.trim_end_matches('*').len());
            (longest, below.ends_with('*'))
        });
    }

    /// The quota of a record.
    fn of(&self, record: &QuotaRecord) -> Option<Arc<Q>> {
        if record.mount.is_empty() {
            return self.of_all.clone();
        }
        let mut of_mount = self.of_mounts.get(&record.mount)?.iter();
        let found = of_mount.find(|(below, _)| *below == record.below);
        found.map(|(_, quota)| Arc::clone(quota))
    }

    /// The quota that holds for a path of a mount.
    fn find(&self, mount: &str, path: &str) -> Option<&Arc<Q>> {
        let of_mount = self.of_mounts.get(mount).and_then(|quotas| {
            let mut matching = quotas.iter().filter(|(below, _)| is_of(below, path));
            matching.next().map(|(_, quota)| quota)
        });
        of_mount.or(self.of_all.as_ref())
    }
}

/// Whether a path is the one that a quota is of: that path, or with `*` at its end what begins with it.
fn is_of(below: &str, path: &str) -> bool {
    match below.strip_suffix('*') {
        _ if below.is_empty() => true,
        Some(beginning) => path.starts_with(beginning),
        None => path.trim_end_matches('/') == below,
    }
}

impl Quotas {
    pub(crate) fn new(storage: Arc<dyn Storage>, clock: ClockRef) -> Self {
        Self {
            storage,
            clock,
            any: AtomicBool::new(false),
            table: RwLock::default(),
        }
    }

    /// What holds of all quotas.
    pub(crate) fn config(&self) -> QuotaConfig {
        self.table().config.clone()
    }

    /// The quota of this name.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Option<QuotaRecord> {
        self.table().records.get(&(kind, name.to_owned())).cloned()
    }

    /// Names of all quotas of a kind, sorted.
    pub(crate) fn names(&self, kind: Kind) -> Vec<String> {
        let table = self.table();
        let of_kind = table.records.keys().filter(|(own, _)| *own == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    /// How many leases a quota counts.
    pub(crate) fn leases_of(&self, record: &QuotaRecord) -> Option<u64> {
        let table = self.table();
        table.leases.of(record)?.count()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read())
    }

    /// Lets a request pass, or says why not; and what its answer should tell of the limit.
    ///
    /// **Errors**: [`Fault::TooMany`].
    pub(crate) fn admit(&self, asked: &Asked<'_>) -> Result<Option<RateFacts>, Fault> {
        if !self.any.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let table = self.table();
        if table.config.exempts(asked.path) {
            return Ok(None);
        }
        let Some(quota) = table.rates.find(asked.mount, asked.below) else {
            return Ok(None);
        };
        let shows = table.config.response_headers;
        match quota.admit(asked.address, self.clock.now()) {
            Ok(facts) => Ok(shows.then_some(facts)),
            Err(facts) => Err(Fault::TooMany {
                path: asked.path.to_owned(),
                facts: RateFacts { shows, ..facts },
            }),
        }
    }

    /// Whether requests that a quota refused are recorded.
    pub(crate) fn are_refusals_recorded(&self) -> bool {
        self.table.read().config.audit_logging
    }

    /// Room for one more lease of a mount's path; what comes back holds it until it is dropped.
    ///
    /// **Errors**: [`Fault::TooManyLeases`]; [`Fault::Unavailable`] while leases are being counted.
    pub(crate) fn room_for_lease(&self, mount: &str, path: &str) -> Result<Option<Room>, Fault> {
        if !self.any.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let quota = self.table.read().leases.find(mount, path).cloned();
        quota.map(LeaseCount::room).transpose()
    }

    /// Whether any quota counts leases.
    pub(crate) fn counts_leases(&self) -> bool {
        self.any.load(Ordering::Relaxed) && {
            let table = self.table.read();
            table.leases.of_all.is_some() || !table.leases.of_mounts.is_empty()
        }
    }

    /// A lease of the mount at a path came or went.
    pub(crate) fn lease_changed(&self, mount: &str, place: &Place, is_there: bool) {
        let quota = self
            .table
            .read()
            .leases
            .find(mount, place.split().0)
            .cloned();
        if let Some(quota) = quota {
            quota.changed(place, is_there);
        }
    }

    /// Counts, behind the requests, the leases of quotas that are new.
    pub(crate) fn count_leases(&self, active: &Arc<Active>) {
        if !self.counts_leases() {
            return;
        }
        let table = self.table();
        let of_mounts = table
            .leases
            .of_mounts
            .values()
            .flatten()
            .map(|(_, quota)| quota);
        for quota in table.leases.of_all.iter().chain(of_mounts) {
            if quota.begin() {
                let (active, quota) = (Arc::clone(active), Arc::clone(quota));
                let own = Arc::clone(&active);
                let counting = async move {
                    if let Err(error) = own.quotas.count(&own, &quota).await {
                        tracing::error!(%error, "leases could not be counted, for a quota");
                        quota.give_up();
                    }
                };
                active.spawn(counting.in_current_span());
            }
        }
    }

    async fn count(&self, active: &Active, quota: &Arc<LeaseCount>) -> Result<(), Fault> {
        let prefix = Key::try_from("sys/lease/")?;
        let mut pages = Pages::new(&*self.storage, prefix, PageOf::Keys, LIST_PAGE);
        let mut places = HashSet::new();
        while let Some(rows) = pages.next().await? {
            let table = self.table();
            for place in rows.iter().filter_map(|row| Place::of(&row.key)) {
                let mount = active.mounts.of(&place.mount);
                let own = mount
                    .and_then(|mount| table.leases.find(&mount.path, place.split().0).cloned());
                if own.is_some_and(|own| Arc::ptr_eq(&own, quota)) {
                    places.insert(quota.hash(&place));
                }
            }
        }
        quota.finish(places);
        Ok(())
    }

    /// What must be committed to have a quota.
    ///
    /// **Errors**: [`Fault::Invalid`] where another one is of the same requests, there are too many, or a
    /// value makes no sense.
    pub(crate) async fn prepare(
        &self,
        active: &Active,
        (kind, name): (Kind, &str),
        record: &QuotaRecord,
    ) -> Result<Batch, Fault> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        check(
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_name),
            || {
                format!(
                    "the name of a quota has 1 to {NAME_BYTES_MAX} letters, digits, `_`, `-` and `.`"
                )
            },
        )?;
        record.limit.check()?;
        let change = active.begin_change(WRITES).await?;
        let table = self.table();
        let of_kind = || table.records.iter().filter(|((own, _), _)| *own == kind);
        let same = of_kind().find(|((_, other), own)| other != name && own.is_of_same(record));
        if let Some(((_, other), _)) = same {
            return Err(Fault::invalid(format!(
                "quota rule with similar properties exists under the name {other:?}"
            )));
        }
        check(of_kind().count() < QUOTAS_MAX, || {
            format!("there are at most {QUOTAS_MAX} quotas of a kind")
        })?;
        Ok(change.put(key(kind, name)?, to_json(record)?))
    }

    /// What must be committed to lose a quota.
    pub(crate) fn prepare_removal(kind: Kind, name: &str) -> Result<Batch, Fault> {
        Ok(Batch::new().delete(key(kind, name)?))
    }

    /// What must be committed to have this hold of all quotas.
    pub(crate) fn prepare_config(config: &QuotaConfig) -> Result<Batch, Fault> {
        config.check()?;
        Ok(Batch::new().put(Key::try_from(CONFIG)?, to_json(config)?))
    }

    /// Reads all records again. What was counted goes on, unless its quota changed.
    pub(crate) async fn reload(&self) -> Result<(), CoreError> {
        let old = self.table();
        let mut table = Table::default();
        if let Some(entry) = self.storage.get(&Key::try_from(CONFIG)?).await? {
            table.config = serde_json::from_slice(&entry.value)
                .map_err(|error| unreadable("configuration of quotas", &error))?;
        }
        for kind in Kind::ALL {
            let prefix = Key::try_from(format!("sys/quota/{}/", kind.as_str()))?;
            let page = self
                .storage
                .page(&prefix, None, QUOTAS_MAX, PageOf::Entries)
                .await?;
            for row in page.rows {
                let Some(entry) = row.entry else { continue };
                let record: QuotaRecord = serde_json::from_slice(&entry.value)
                    .map_err(|error| unreadable("quota", &error))?;
                table
                    .records
                    .insert((kind, row.key.name_behind(&prefix)), record);
            }
        }
        table.go_on_from(&old);
        self.any.store(!table.records.is_empty(), Ordering::Relaxed);
        *self.table.write() = Arc::new(table);
        Ok(())
    }
}

impl Table {
    /// The quotas of the records. One that did not change goes on with what it counted; those of leases
    /// only where none changed, since which of them counts a lease depends on all.
    fn go_on_from(&mut self, old: &Self) {
        let of_leases = |table: &Self| -> Vec<_> {
            let records = table.records.iter();
            let of_leases = records.filter(|((kind, _), _)| *kind == Kind::LeaseCount);
            of_leases
                .map(|(id, record)| (id.clone(), record.clone()))
                .collect()
        };
        let are_leases_unchanged = of_leases(self) == of_leases(old);
        for (id, record) in &self.records {
            let is_unchanged = old.records.get(id) == Some(record);
            match record.limit {
                Limit::Rate(limit) => {
                    let kept = old.rates.of(record).filter(|_| is_unchanged);
                    let quota = kept.unwrap_or_else(|| Arc::new(RateLimit::new(limit)));
                    self.rates.insert(record, quota);
                }
                Limit::Leases { most } => {
                    let kept = old.leases.of(record).filter(|_| are_leases_unchanged);
                    let quota = kept.unwrap_or_else(|| Arc::new(LeaseCount::new(most)));
                    self.leases.insert(record, quota);
                }
            }
        }
    }
}

fn key(kind: Kind, name: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/quota/{}/{name}", kind.as_str()))
}
