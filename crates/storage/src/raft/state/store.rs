//! The applied state: a database with the data, and how far it was applied, in one transaction.

use super::super::codec::{self, Reader};
use super::super::disk::{Disk, Open};
use super::super::failure::{Failure, corrupt, explain};
use super::super::types::{LogEntry, LogId, Outcome, Payload, Proposal, StoredMembership};
use super::blocks::BlockFile;
use crate::page::Ordered;
use crate::{Batch, Change, Changed, Entry, Key, Result, Revision, StorageError};
use bytes::Bytes;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const DATA: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("data");
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// The last applied entry.
pub(super) const APPLIED: &str = "applied";
/// The membership of the last applied entry.
pub(super) const MEMBERSHIP: &str = "membership";
/// The last entry of the snapshot this state was installed from.
pub(super) const INSTALLED: &str = "installed";

/// Revision and checksum, which stand before a value.
const VALUE_HEAD_BYTES: usize = 12;

/// Where the state lives.
#[derive(Debug, Clone)]
pub(crate) struct StateConfig {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) cluster: Uuid,
    pub(crate) node: u64,
    /// How much of the database stays in memory.
    pub(crate) cache_bytes: usize,
}

/// How far the state was applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) installed: Option<LogId>,
}

/// The database.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) config: StateConfig,
    failure: Failure,
    database: Database,
    pub(super) position: Position,
}

/// What applying some entries came to.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) changed: Vec<Changed>,
    /// How many bytes of batches were applied.
    pub(super) bytes: u64,
}

impl Store {
    /// Makes an empty state in a file of this name; it is durable, its name is not.
    pub(super) fn create(config: &StateConfig, path: &Path, failure: &Failure) -> Result<Self> {
        let file = config
            .disk
            .open(path, Open::Fresh)
            .map_err(|error| explain(path, error))?;
        let owner = (config.cluster, config.node);
        let blocks = BlockFile::create(file, path, owner, failure.clone())?;
        let store = Self::of(config, failure, blocks)?;
        let transaction = store.begin(Durability::Immediate)?;
        transaction
            .open_table(DATA)
            .map_err(|error| store.broken(error))?;
        transaction
            .open_table(META)
            .map_err(|error| store.broken(error))?;
        store.commit(transaction)?;
        Ok(store)
    }

    /// Opens the state.
    pub(super) fn open(config: &StateConfig, failure: &Failure) -> Result<Self> {
        let path = &config.path;
        let file = config
            .disk
            .open(path, Open::Existing)
            .map_err(|error| explain(path, error))?;
        let owner = (config.cluster, config.node);
        let blocks = BlockFile::open(file, path, owner, failure.clone())?;
        let mut store = Self::of(config, failure, blocks)?;
        store.position = store.read_position()?;
        Ok(store)
    }

    fn of(config: &StateConfig, failure: &Failure, blocks: BlockFile) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(config.cache_bytes);
        let database = builder.create_with_backend(blocks).map_err(|error| {
            failure
                .get()
                .unwrap_or_else(|| corrupt(&config.path, error.to_string()))
        })?;
        if let Some(failure) = failure.get() {
            return Err(failure);
        }
        let position = Position::default();
        Ok(Self {
            config: config.clone(),
            failure: failure.clone(),
            database,
            position,
        })
    }

    /// What an error of the database means.
    pub(super) fn broken(&self, error: impl Into<redb::Error>) -> StorageError {
        broken(&self.failure, &self.config.path, error)
    }

    fn read_position(&self) -> Result<Position> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| self.broken(error))?;
        let meta = transaction
            .open_table(META)
            .map_err(|error| self.broken(error))?;
        let path = &self.config.path;
        let id = |name| -> Result<Option<LogId>> {
            let Some(bytes) = meta.get(name).map_err(|error| self.broken(error))? else {
                return Ok(None);
            };
            let id = codec::log_id(&mut Reader::new(bytes.value()));
            id.map(Some)
                .map_err(|error| corrupt(path, error.to_string()))
        };
        let membership = match meta.get(MEMBERSHIP).map_err(|error| self.broken(error))? {
            None => StoredMembership::default(),
            Some(bytes) => codec::stored_membership(&mut Reader::new(bytes.value()))
                .map_err(|error| corrupt(path, error.to_string()))?,
        };
        Ok(Position {
            applied: id(APPLIED)?,
            membership,
            installed: id(INSTALLED)?,
        })
    }

    pub(super) fn begin(&self, durability: Durability) -> Result<WriteTransaction> {
        let mut transaction = self
            .database
            .begin_write()
            .map_err(|error| self.broken(error))?;
        let durable = matches!(durability, Durability::Immediate);
        transaction
            .set_durability(durability)
            .map_err(|error| corrupt(&self.config.path, error.to_string()))?;
        // The pages below rely on two-phase commits, which this brings; and a start after a crash
        // need not read the whole database.
        transaction.set_quick_repair(durable);
        Ok(transaction)
    }

    pub(super) fn commit(&self, transaction: WriteTransaction) -> Result<()> {
        transaction.commit().map_err(|error| self.broken(error))?;
        self.failure.stopped().map_or(Ok(()), Err)
    }

    /// Applies entries, visible to later views but not yet durable here.
    pub(super) fn apply<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a LogEntry>,
    ) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut position = self.position.clone();
        let transaction = self.begin(Durability::None)?;
        let mut data = transaction
            .open_table(DATA)
            .map_err(|error| self.broken(error))?;
        for entry in entries {
            position.applied = Some(entry.log_id);
            let outcome = match &entry.payload {
                Payload::Blank => Outcome::Nothing,
                Payload::Membership(membership) => {
                    position.membership =
                        StoredMembership::new(Some(entry.log_id), membership.clone());
                    Outcome::Nothing
                }
                Payload::Normal(Proposal(batch)) => {
                    applied.bytes += batch.bytes() as u64;
                    let revision = Revision(entry.log_id.index);
                    let outcome = self.apply_batch(&mut data, batch, revision)?;
                    if matches!(outcome, Outcome::Committed(_)) {
                        applied.changed.push(changed(batch, revision));
                    }
                    outcome
                }
            };
            applied.outcomes.push(outcome);
        }
        drop(data);
        self.write_position(&transaction, &position)?;
        self.commit(transaction)?;
        // A read point is the newest applied entry, whatever it was: the feed must reach it.
        let newest = Revision(position.applied.map_or(0, |applied| applied.index));
        if applied
            .changed
            .last()
            .is_none_or(|last| last.revision < newest)
        {
            applied.changed.push(Changed {
                revision: newest,
                keys: Arc::from([]),
            });
        }
        self.position = position;
        Ok(applied)
    }

    fn apply_batch(
        &self,
        data: &mut Table<'_, &'static [u8], &'static [u8]>,
        batch: &Batch,
        revision: Revision,
    ) -> Result<Outcome> {
        for step in batch.steps() {
            let Some(expect) = step.expect else { continue };
            let current = data
                .get(step.key.as_bytes())
                .map_err(|error| self.broken(error))?;
            let current = match current {
                None => None,
                Some(stored) => Some(self.decode(&step.key, stored.value())?.revision),
            };
            if !expect.holds(current) {
                return Ok(Outcome::Conflict(step.key.clone()));
            }
        }
        let mut stored = Vec::new();
        for step in batch.steps() {
            let key = step.key.as_bytes();
            match &step.change {
                Change::Keep => {}
                Change::Delete => drop(data.remove(key).map_err(|error| self.broken(error))?),
                Change::Put(value) => {
                    encode_value(&mut stored, key, revision, value);
                    drop(
                        data.insert(key, &*stored)
                            .map_err(|error| self.broken(error))?,
                    );
                }
            }
        }
        Ok(Outcome::Committed(revision))
    }

    fn decode(&self, key: &Key, stored: &[u8]) -> Result<Entry> {
        decode_value(key, stored).ok_or_else(|| bad_value(&self.config.path, key))
    }

    pub(super) fn write_position(
        &self,
        transaction: &WriteTransaction,
        position: &Position,
    ) -> Result<()> {
        let mut meta = transaction
            .open_table(META)
            .map_err(|error| self.broken(error))?;
        let mut put = |name, bytes: &[u8]| match meta.insert(name, bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.broken(error)),
        };
        let mut bytes = Vec::new();
        if let Some(applied) = position.applied {
            codec::put_log_id(&mut bytes, applied);
            put(APPLIED, &bytes)?;
        }
        if position.membership != self.position.membership {
            bytes.clear();
            codec::put_stored_membership(&mut bytes, &position.membership);
            put(MEMBERSHIP, &bytes)?;
        }
        if position.installed != self.position.installed
            && let Some(installed) = position.installed
        {
            bytes.clear();
            codec::put_log_id(&mut bytes, installed);
            put(INSTALLED, &bytes)?;
        }
        Ok(())
    }

    /// Makes everything applied durable.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let transaction = self.begin(Durability::Immediate)?;
        self.write_position(&transaction, &self.position)?;
        self.commit(transaction)
    }

    /// The state as it is now, to read from.
    pub(super) fn view(&self) -> Result<View> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| self.broken(error))?;
        let data = transaction
            .open_table(DATA)
            .map_err(|error| self.broken(error))?;
        Ok(View {
            data,
            position: self.position.clone(),
            path: self.config.path.clone(),
            failure: self.failure.clone(),
        })
    }

    /// Closes the database: a checkpoint, and the mark that nothing needs to be repaired.
    pub(super) fn close(self) -> Result<()> {
        let Self {
            config,
            failure,
            database,
            ..
        } = self;
        database
            .close()
            .map_err(|error| broken(&failure, &config.path, error))?;
        failure.stopped().map_or(Ok(()), Err)
    }
}

fn changed(batch: &Batch, revision: Revision) -> Changed {
    let touched = batch
        .steps()
        .iter()
        .filter(|step| step.change != Change::Keep);
    Changed {
        revision,
        keys: touched.map(|step| step.key.clone()).collect(),
    }
}

/// What an error of the database means, which the file below it may know better.
fn broken(failure: &Failure, path: &Path, error: impl Into<redb::Error>) -> StorageError {
    let error = match error.into() {
        redb::Error::Io(io) => explain(path, io),
        redb::Error::DatabaseClosed => return StorageError::Closed,
        other => corrupt(path, other.to_string()),
    };
    failure.get().unwrap_or(error)
}

fn bad_value(path: &Path, key: &Key) -> StorageError {
    corrupt(path, format!("the value of `{key}` has a wrong checksum"))
}

fn value_checksum(key: &[u8], revision: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(revision);
    hasher.update(value);
    hasher.finalize()
}

/// A value as it is stored: revision, checksum over key, revision and value, value.
pub(super) fn encode_value(out: &mut Vec<u8>, key: &[u8], revision: Revision, value: &[u8]) {
    let revision = revision.0.to_le_bytes();
    out.clear();
    out.extend_from_slice(&revision);
    out.extend_from_slice(&value_checksum(key, &revision, value).to_le_bytes());
    out.extend_from_slice(value);
}

pub(super) fn decode_value(key: &Key, stored: &[u8]) -> Option<Entry> {
    let (head, value) = stored.split_at_checked(VALUE_HEAD_BYTES)?;
    let (revision, sum) = head.split_first_chunk::<8>()?;
    let checksum = value_checksum(key.as_bytes(), revision, value);
    let revision = Revision(u64::from_le_bytes(*revision));
    (sum == checksum.to_le_bytes()).then(|| Entry {
        value: Bytes::copy_from_slice(value),
        revision,
    })
}

/// The applied state at one moment.
pub(crate) struct View {
    data: ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(crate) position: Position,
    path: PathBuf,
    failure: Failure,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl View {
    pub(crate) fn revision(&self) -> Revision {
        Revision(self.position.applied.map_or(0, |applied| applied.index))
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Entry>> {
        match self
            .data
            .get(key.as_bytes())
            .map_err(|error| self.broken(error))?
        {
            None => Ok(None),
            Some(stored) => self.decode(key, stored.value()).map(Some),
        }
    }

    fn broken(&self, error: redb::StorageError) -> StorageError {
        broken(&self.failure, &self.path, error)
    }

    fn decode(&self, key: &Key, stored: &[u8]) -> Result<Entry> {
        decode_value(key, stored).ok_or_else(|| bad_value(&self.path, key))
    }
}

impl Ordered for View {
    fn scan(
        &self,
        from: Bound<&[u8]>,
        entries: bool,
    ) -> Result<impl Iterator<Item = Result<(Key, Option<Entry>)>>> {
        let range = (from, Bound::Unbounded);
        let rows = self
            .data
            .range::<&[u8]>(range)
            .map_err(|error| self.broken(error))?;
        Ok(rows.map(move |row| {
            let (key, stored) = row.map_err(|error| self.broken(error))?;
            let key = Key::new(key.value())?;
            let entry = match entries {
                true => Some(self.decode(&key, stored.value())?),
                false => None,
            };
            Ok((key, entry))
        }))
    }
}
