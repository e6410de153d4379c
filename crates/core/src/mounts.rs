//! Mounts: where engines stand, one record each, and the tree that finds them.
//!
//! A mount's record is `sys/mount/<uuid>`; its data is below `mount/<uuid>/`, and is written only
//! while the record is there. Every change of the
//! table also puts `sys/mounts`, under the revision it was last seen at, so that two changes at once
//! cannot contradict each other, on whatever node. The tree follows the records through the change
//! feed.

mod description;
mod migrations;
mod record;
mod settings;
mod tree;

use description::Descriptions;
pub(crate) use migrations::Migration;
use migrations::Migrations;
use record::RecordClass;
pub(crate) use record::{MountRecord, NewMount};
pub(crate) use settings::{MountConfig, MountSettings};

use crate::active::Active;
use crate::life::Lives;
use crate::{Core, CoreError, limits, system};
use parking_lot::RwLock;
use secretum_crypto::{Rng, random_bytes, random_uuid};
use secretum_engine::{Class, Fault, MountStorage, Mounted, Setup, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Pages, Precondition, Storage, StorageError};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tree::Tree;

/// How many records one look at the storage brings.
const PAGE: usize = 1_000;

/// The longest path of a mount, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// An engine at a path.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) record: MountRecord,
    pub(crate) engine: Arc<dyn Mounted>,
    /// Its path among all, with `auth/` before that of an auth method.
    pub(crate) path: Arc<str>,
    /// Shared by all forms of one mount, as tuning makes new ones: held by whoever still knows one.
    presence: Arc<()>,
}

impl Mount {
    /// Makes a batch of its engine fail once the mount is gone, however late it comes: the janitor
    /// deletes what is there, and nothing may follow.
    pub(crate) fn fence(&self, writes: Batch) -> Result<Batch, StorageError> {
        if self.record.is_system() {
            return Ok(writes);
        }
        Ok(writes.require(record_key(&self.record.uuid)?, Precondition::Present))
    }

    /// Refuses what its engine wants written elsewhere.
    ///
    /// INVARIANT: an engine writes below its own prefix only.
    pub(crate) fn check_writes(&self, writes: &Batch) -> Result<(), Fault> {
        if self.record.is_system() {
            return Ok(());
        }
        let prefix = format!("mount/{}/", self.record.uuid);
        let strays = writes
            .steps()
            .iter()
            .any(|step| !step.key.as_bytes().starts_with(prefix.as_bytes()));
        if strays {
            return Err(Fault::Internal(format!(
                "`{}` wrote outside of its mount",
                self.record.kind
            )));
        }
        Ok(())
    }

    /// Whether a key is that of its record.
    pub(crate) fn is_record(&self, key: &Key) -> bool {
        record_key(&self.record.uuid).is_ok_and(|own| own == *key)
    }
}

/// The table of mounts.
#[derive(Debug)]
pub(crate) struct Mounts {
    core: Arc<Core>,
    storage: Arc<dyn Storage>,
    table: RwLock<Table>,
    descriptions: Descriptions,
    pub(crate) migrations: Migrations,
}

#[derive(Debug, Default)]
struct Table {
    tree: Tree<Arc<Mount>>,
    by_uuid: HashMap<String, Arc<Mount>>,
    /// Mounts that are gone, which a request under way may still read.
    leaving: HashMap<String, Weak<()>>,
    /// Grows with every change.
    version: u64,
}

/// A change of the table that was begun.
#[derive(Debug)]
pub(crate) struct Change(Batch);

impl Mounts {
    pub(crate) fn new(core: Arc<Core>, storage: Arc<dyn Storage>) -> Self {
        Self {
            core,
            storage,
            table: RwLock::default(),
            descriptions: Descriptions::default(),
            migrations: Migrations::default(),
        }
    }

    /// The mount with the longest path that `path` begins with, and what follows.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(Arc<Mount>, &'p str)> {
        self.table
            .read()
            .tree
            .find(path)
            .map(|(mount, rest)| (Arc::clone(mount), rest))
    }

    /// Whether anybody still knows a mount, by the table or by a request that began before it went.
    pub(crate) fn is_known(&self, uuid: &str) -> bool {
        let mut table = self.table.write();
        let held = |presence: &Weak<()>| presence.strong_count() > 0;
        let known = table.by_uuid.contains_key(uuid) || table.leaving.get(uuid).is_some_and(held);
        if !known {
            table.leaving.remove(uuid);
        }
        known
    }

    /// The mount at exactly this path, which ends with a slash.
    pub(crate) fn at(&self, path: &str) -> Option<Arc<Mount>> {
        self.table.read().tree.get(path).cloned()
    }

    /// The mount of this UUID.
    pub(crate) fn of(&self, uuid: &str) -> Option<Arc<Mount>> {
        self.table.read().by_uuid.get(uuid).cloned()
    }

    /// All mounts below a folder, which is empty or ends with a slash, in the order of their paths.
    pub(crate) fn below(&self, folder: &str) -> Vec<Arc<Mount>> {
        let table = self.table.read();
        let mut below: Vec<_> = (table.by_uuid.values())
            .filter(|mount| mount.path.starts_with(folder))
            .cloned()
            .collect();
        below.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        below
    }

    /// The lives that a mount of these settings gives: its own, else the system's.
    pub(crate) fn lives(&self, config: &MountConfig) -> Lives {
        let system = &self.core.config;
        let or = |own: u64, system: Duration| if own > 0 { own } else { system.as_secs() };
        Lives {
            default: or(config.default_lease_ttl, system.default_lease_ttl),
            max: or(config.max_lease_ttl, system.max_lease_ttl),
        }
    }

    /// The lives of the mount that a path belongs to; the system's where there is none.
    pub(crate) fn lives_at(&self, path: &str) -> Lives {
        match self.find(path) {
            Some((mount, _)) => self.lives(&mount.record.settings.config),
            None => self.lives(&MountConfig::default()),
        }
    }

    /// All mounts of a class, in the order of their paths.
    pub(crate) fn all(&self, class: Class) -> Vec<Arc<Mount>> {
        let mut all: Vec<_> = self
            .table
            .read()
            .by_uuid
            .values()
            .filter(|mount| mount.record.class() == class)
            .cloned()
            .collect();
        all.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        all
    }

    /// Begins a change of the table: from here on it is looked at as it is, and what is made of it
    /// fails to commit where it changes meanwhile.
    pub(crate) async fn begin_change(&self, active: &Active) -> Result<Change, Fault> {
        Ok(Change(active.begin_change("sys/mounts").await?))
    }

    /// Checks a new mount, and gives what must be committed to have it.
    ///
    /// **Errors**: [`Fault::Invalid`] where the path is taken, malformed or reserved, or the kind is
    /// unknown.
    pub(crate) fn prepare(&self, change: Change, new: NewMount) -> Result<Batch, Fault> {
        let rng = &*self.core.config.rng;
        let record = new.record(
            random_uuid(rng).map_err(Fault::internal)?,
            accessor_suffix(rng)?,
        );
        let path = full_path(&record);
        self.check_path(&record.path, &path)?;
        record.settings.check()?;
        // Building it says whether kind and options are right.
        self.build(&record)?;
        Ok(change.0.put(record_key(&record.uuid)?, to_json(&record)?))
    }

    /// What must be committed to have a changed record in the place of a mount's.
    pub(crate) fn prepare_change(
        &self,
        change: Change,
        changed: &MountRecord,
    ) -> Result<Batch, Fault> {
        changed.settings.check()?;
        self.build(changed)?;
        Ok(change.0.put(record_key(&changed.uuid)?, to_json(changed)?))
    }

    /// What must be committed to have a mount at the path of this record, which is free.
    ///
    /// **Errors**: [`Fault::Invalid`] where the path is taken, malformed or reserved.
    pub(crate) fn prepare_move(&self, change: Change, moved: &MountRecord) -> Result<Batch, Fault> {
        self.check_path(&moved.path, &full_path(moved))?;
        self.prepare_change(change, moved)
    }

    /// What must be committed to take a mount away; the janitor then deletes what it held.
    pub(crate) fn prepare_removal(change: Change, mount: &Mount) -> Result<Batch, Fault> {
        let uuid = &mount.record.uuid;
        Ok(change
            .0
            .delete(record_key(uuid)?)
            .put(Key::try_from(format!("sys/unmount/{uuid}"))?, Vec::new()))
    }

    /// The records of the mounts that every vault has.
    pub(crate) fn system_records(rng: &dyn Rng) -> Result<Batch, CoreError> {
        let mut batch = Batch::new();
        for new in [NewMount::system(), NewMount::token(), NewMount::cubbyhole()] {
            let record = new.record(random_uuid(rng)?, accessor_suffix(rng)?);
            batch = batch.put(record_key(&record.uuid)?, to_json(&record)?);
        }
        Ok(batch)
    }

    /// Reads one record again.
    pub(crate) async fn reload(&self, uuid: &str) -> Result<(), CoreError> {
        match self.storage.get(&record_key(uuid)?).await? {
            Some(entry) => {
                let mount = self.mount(&entry.value)?;
                self.table.write().insert(mount);
            }
            None => self.table.write().remove(uuid),
        }
        Ok(())
    }

    /// Reads every record again.
    pub(crate) async fn reload_all(&self) -> Result<(), CoreError> {
        let prefix = Key::try_from("sys/mount/")?;
        let mut pages = Pages::new(&*self.storage, prefix, PageOf::Entries, PAGE);
        let mut table = Table::default();
        while let Some(rows) = pages.next().await? {
            for entry in rows.iter().filter_map(|row| row.entry.as_ref()) {
                table.insert(self.mount(&entry.value)?);
            }
        }
        self.table.write().replace(table);
        Ok(())
    }

    fn mount(&self, value: &[u8]) -> Result<Arc<Mount>, CoreError> {
        let record: MountRecord =
            serde_json::from_slice(value).map_err(|error| unreadable("mount", &error))?;
        let engine = self.build(&record)?;
        let path = Arc::from(full_path(&record));
        let older = self.table.read().by_uuid.get(&record.uuid).cloned();
        Ok(Arc::new(Mount {
            presence: older.map_or_else(Arc::default, |mount| Arc::clone(&mount.presence)),
            record,
            engine,
            path,
        }))
    }

    fn build(&self, record: &MountRecord) -> Result<Arc<dyn Mounted>, Fault> {
        match record.class {
            RecordClass::System if record.kind == system::KIND => {
                return Ok(Arc::clone(&self.core.system));
            }
            RecordClass::System if record.kind == system::cubbyhole::KIND => {
                return Ok(system::cubbyhole_engine(Arc::clone(&self.storage))?);
            }
            RecordClass::System => return Ok(Arc::clone(&self.core.token)),
            RecordClass::Secret | RecordClass::Auth => {}
        }
        let kind = self
            .core
            .kind(&record.kind)
            .filter(|kind| kind.class() == record.class());
        let Some(kind) = kind else {
            let known: Vec<&str> = (self.core.config.kinds.iter())
                .filter(|kind| kind.class() == record.class())
                .map(secretum_engine::EngineKind::name)
                .collect();
            return Err(Fault::invalid(unknown_kind(&record.kind, &known)));
        };
        let prefix = Key::try_from(format!("mount/{}/", record.uuid))?;
        kind.build(Setup {
            store: MountStorage::new(Arc::clone(&self.storage), prefix),
            options: record.settings.options.clone(),
            default_lease_ttl: Duration::from_secs(self.lives(&record.settings.config).default),
            clock: Arc::clone(&self.core.config.clock),
            rng: Arc::clone(&self.core.config.rng),
        })
    }

    fn check_path(&self, own: &str, path: &str) -> Result<(), Fault> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "a mount path has at most {PATH_BYTES_MAX} bytes"
            )));
        }
        for reserved in ["sys/", "auth/", "cubbyhole/", "identity/"] {
            if own == reserved || (own == path && own.starts_with(reserved)) {
                return Err(Fault::invalid(format!(
                    "cannot mount \"{own}\": it is reserved"
                )));
            }
        }
        match self.table.read().tree.overlapping(path) {
            Some(other) => Err(Fault::invalid(format!(
                "path is already in use at {}",
                other.path
            ))),
            None => Ok(()),
        }
    }
}

impl Table {
    fn insert(&mut self, mount: Arc<Mount>) {
        self.version += 1;
        self.take(&mount.record.uuid);
        self.tree.insert(&mount.path.clone(), Arc::clone(&mount));
        self.by_uuid.insert(mount.record.uuid.clone(), mount);
    }

    fn remove(&mut self, uuid: &str) {
        if let Some(gone) = self.take(uuid) {
            self.version += 1;
            self.leave(&gone);
        }
    }

    /// Puts a whole new table in the place of this one.
    fn replace(&mut self, new: Self) {
        let old = std::mem::replace(self, new);
        self.leaving = old.leaving;
        self.version = old.version + 1;
        for (uuid, mount) in old.by_uuid {
            if !self.by_uuid.contains_key(&uuid) {
                self.leave(&mount);
            }
        }
    }

    fn take(&mut self, uuid: &str) -> Option<Arc<Mount>> {
        let old = self.by_uuid.remove(uuid)?;
        self.tree.remove(&old.path);
        Some(old)
    }

    fn leave(&mut self, gone: &Mount) {
        let presence = Arc::downgrade(&gone.presence);
        self.leaving.insert(gone.record.uuid.clone(), presence);
    }
}

fn unknown_kind(kind: &str, known: &[&str]) -> String {
    let kind = limits::shortened(kind);
    if known.is_empty() {
        return format!(
            "`{kind}` is not a type that can be enabled here: this version has none, but for those \
             that every vault has"
        );
    }
    let known = known.join(", ");
    format!("`{kind}` is not a type that can be enabled here: use one of {known}")
}

fn full_path(record: &MountRecord) -> String {
    match record.class() {
        Class::Secret => record.path.clone(),
        Class::Auth => format!("auth/{}", record.path),
    }
}

pub(crate) fn record_key(uuid: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/mount/{uuid}"))
}

fn accessor_suffix(rng: &dyn Rng) -> Result<String, Fault> {
    let bytes: [u8; 4] = random_bytes(rng).map_err(Fault::internal)?;
    Ok(hex::encode(bytes))
}
