//! Audit devices as records, and the broker that writes to them.
//!
//! A device's record is `sys/audit/<path>`, its HMAC key in it. A device that cannot be opened keeps
//! the vault sealed: what must be recorded cannot be.

use crate::CoreError;
use secretum_audit::{AuditError, Broker, Device, DeviceConfig, FileOptions};
use secretum_crypto::{Key256, Rng};
use secretum_engine::{Fault, to_json, unreadable};
use secretum_storage::{Batch, Key, PageOf, Precondition, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How many devices a vault may have.
const DEVICES_MAX: usize = 64;

/// A device as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AuditRecord {
    /// Ends with a slash.
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) local: bool,
    #[serde(default)]
    hmac_key: String,
}

/// Its key is not shown.
impl std::fmt::Debug for AuditRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditRecord")
            .field("path", &self.path)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl AuditRecord {
    /// A device without a key, which [`Audits::prepare`] gives it.
    pub(crate) fn new(
        path: String,
        kind: String,
        description: String,
        options: BTreeMap<String, String>,
        local: bool,
    ) -> Self {
        Self {
            path,
            kind,
            description,
            options,
            local,
            hmac_key: String::new(),
        }
    }
}

/// The audit devices of a vault.
#[derive(Debug)]
pub(crate) struct Audits {
    pub(crate) broker: Broker,
    directory: Option<PathBuf>,
    storage: Arc<dyn Storage>,
}

impl Audits {
    pub(crate) fn new(directory: Option<PathBuf>, storage: Arc<dyn Storage>) -> Self {
        Self {
            broker: Broker::default(),
            directory,
            storage,
        }
    }

    /// Checks a new device and gives what must be committed to have it.
    ///
    /// **Errors**: [`Fault::Invalid`] where its options are wrong or its file cannot be written.
    pub(crate) async fn prepare(
        &self,
        mut record: AuditRecord,
        rng: &dyn Rng,
    ) -> Result<Batch, Fault> {
        if record.kind != "file" {
            return Err(Fault::invalid(format!(
                "`{}` is not a type of audit device: use `file`",
                record.kind
            )));
        }
        if self.records().await?.len() >= DEVICES_MAX {
            return Err(Fault::invalid(format!(
                "there are {DEVICES_MAX} audit devices already"
            )));
        }
        let key = Key256::random(rng).map_err(Fault::internal)?;
        record.hmac_key = hex::encode(key.expose());
        // Opening it says whether every request could be recorded; nothing is written yet.
        self.open(&record)
            .map_err(|error| Fault::invalid(error.to_string()))?;
        let place = self::key(&record.path)?;
        if self.storage.get(&place).await?.is_some() {
            return Err(Fault::invalid("path already in use"));
        }
        Ok(Batch::new().put_if(place, Precondition::Absent, to_json(&record)?))
    }

    /// What must be committed to lose a device; `None` where there is none.
    pub(crate) async fn prepare_removal(&self, path: &str) -> Result<Option<Batch>, Fault> {
        let key = key(path)?;
        let found = self.storage.get(&key).await?.is_some();
        Ok(found.then(|| Batch::new().delete(key)))
    }

    /// All records.
    pub(crate) async fn records(&self) -> Result<Vec<AuditRecord>, Fault> {
        let prefix = Key::try_from("sys/audit/")?;
        let page = self
            .storage
            .page(&prefix, None, DEVICES_MAX, PageOf::Entries)
            .await?;
        page.rows
            .iter()
            .filter_map(|row| row.entry.as_ref())
            .map(|e| read(&e.value))
            .collect()
    }

    /// Reads one record again.
    pub(crate) async fn reload(&self, path: &str) -> Result<(), CoreError> {
        match self.storage.get(&key(path)?).await? {
            Some(entry) => self.add(&read(&entry.value)?),
            None => {
                self.broker.remove(path);
                Ok(())
            }
        }
    }

    /// Reads every record again.
    pub(crate) async fn reload_all(&self) -> Result<(), CoreError> {
        let records = self.records().await?;
        for record in &records {
            self.add(record)?;
        }
        self.broker
            .retain(|path| records.iter().any(|record| record.path == path));
        Ok(())
    }

    fn add(&self, record: &AuditRecord) -> Result<(), CoreError> {
        let failed = |source| CoreError::Audit {
            path: record.path.clone(),
            source,
        };
        self.broker.add(self.open(record).map_err(failed)?);
        Ok(())
    }

    fn open(&self, record: &AuditRecord) -> Result<Device, AuditError> {
        let file = FileOptions::read(&record.options, self.directory.as_deref())?;
        let hmac_key = hex::decode(&record.hmac_key)
            .map_err(|error| AuditError::Option(format!("the stored key is damaged: {error}")))?;
        Device::open(DeviceConfig {
            path: &record.path,
            hmac_key: &hmac_key,
            file,
        })
    }
}

fn read(value: &[u8]) -> Result<AuditRecord, Fault> {
    serde_json::from_slice(value).map_err(|error| unreadable("audit device", &error))
}

fn key(path: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/audit/{path}"))
}
