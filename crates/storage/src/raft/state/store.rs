//! The applied state: a database with the data, and how far it was applied, in one transaction.

use super::super::codec::{self, Reader};
use super::super::disk::{Disk, Open};
use super::super::failure::{Failure, corrupt, explain};
use super::super::types::{LogId, StoredMembership};
use super::blocks::BlockFile;
use super::generation::Generation;
use crate::{Entry, Key, Result, Revision, StorageError};
use bytes::Bytes;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction,
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
        Self::of(config, failure, blocks)
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
        Ok(Self {
            config: config.clone(),
            failure: failure.clone(),
            database,
        })
    }

    /// What an error of the database means.
    pub(super) fn broken(&self, error: impl Into<redb::Error>) -> StorageError {
        broken(&self.failure, &self.config.path, error)
    }

    /// How far the saved state goes.
    pub(super) fn position(&self) -> Result<Position> {
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

    /// Writes the newest of a generation, durably, and how far it goes.
    pub(super) fn save(&self, generation: &Generation, position: &Position) -> Result<()> {
        let transaction = self.begin(Durability::Immediate)?;
        let mut data = transaction
            .open_table(DATA)
            .map_err(|error| self.broken(error))?;
        let mut stored = Vec::new();
        generation.each_newest(|key, entry| {
            let key = key.as_bytes();
            let before = match entry {
                None => data.remove(key),
                Some(entry) => {
                    encode_value(&mut stored, key, entry.revision, &entry.value);
                    data.insert(key, &*stored)
                }
            };
            before.map(drop).map_err(|error| self.broken(error))
        })?;
        drop(data);
        self.write_position(&transaction, position)?;
        self.commit(transaction)
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
        bytes.clear();
        codec::put_stored_membership(&mut bytes, &position.membership);
        put(MEMBERSHIP, &bytes)?;
        if let Some(installed) = position.installed {
            bytes.clear();
            codec::put_log_id(&mut bytes, installed);
            put(INSTALLED, &bytes)?;
        }
        Ok(())
    }

    /// What was saved last, to read from.
    pub(super) fn base(&self) -> Result<Base> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| self.broken(error))?;
        let data = transaction
            .open_table(DATA)
            .map_err(|error| self.broken(error))?;
        Ok(Base {
            data,
            path: self.config.path.clone(),
            failure: self.failure.clone(),
        })
    }

    /// Closes the database, with the mark that nothing needs to be repaired.
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

/// What an error of the database means, which the file below it may know better.
fn broken(failure: &Failure, path: &Path, error: impl Into<redb::Error>) -> StorageError {
    let error = match error.into() {
        redb::Error::Io(io) => explain(path, io),
        redb::Error::DatabaseClosed => return StorageError::Closed,
        other => corrupt(path, other.to_string()),
    };
    failure.get().unwrap_or(error)
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

/// A stored value and its revision, where the checksum is right.
fn verified<'v>(key: &[u8], stored: &'v [u8]) -> Option<(Revision, &'v [u8])> {
    let (head, value) = stored.split_at_checked(VALUE_HEAD_BYTES)?;
    let (revision, sum) = head.split_first_chunk::<8>()?;
    let checksum = value_checksum(key, revision, value);
    let revision = Revision(u64::from_le_bytes(*revision));
    (sum == checksum.to_le_bytes()).then_some((revision, value))
}

/// The database as it was saved at one moment.
pub(super) struct Base {
    data: ReadOnlyTable<&'static [u8], &'static [u8]>,
    path: PathBuf,
    failure: Failure,
}

impl Base {
    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.read(key, |revision, value| Entry {
            value: Bytes::copy_from_slice(value),
            revision,
        })
    }

    /// The revision of a key.
    pub(super) fn revision(&self, key: &Key) -> Result<Option<Revision>> {
        self.read(key, |revision, _| revision)
    }

    fn read<T>(&self, key: &Key, make: impl FnOnce(Revision, &[u8]) -> T) -> Result<Option<T>> {
        let stored = self.data.get(key.as_bytes());
        let Some(stored) = stored.map_err(|error| self.broken(error))? else {
            return Ok(None);
        };
        let (revision, value) = self.verified(key, stored.value())?;
        Ok(Some(make(revision, value)))
    }

    /// The rows from `from` on, with their entries where `entries` is set.
    pub(super) fn scan(
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
            if !entries {
                return Ok((key, None));
            }
            let (revision, value) = self.verified(&key, stored.value())?;
            let value = Bytes::copy_from_slice(value);
            Ok((key, Some(Entry { value, revision })))
        }))
    }

    fn broken(&self, error: redb::StorageError) -> StorageError {
        broken(&self.failure, &self.path, error)
    }

    fn verified<'v>(&self, key: &Key, stored: &'v [u8]) -> Result<(Revision, &'v [u8])> {
        verified(key.as_bytes(), stored).ok_or_else(|| {
            let what = format!("the value of `{key}` has a wrong checksum");
            corrupt(&self.path, what)
        })
    }
}
