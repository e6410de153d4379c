//! Audit devices as records, and the broker that writes to them.
//!
//! A device's record is `sys/audit/<path>`, its HMAC key in it. A device that cannot be opened keeps
//! the vault sealed: what must be recorded cannot be.

mod declared;

pub use declared::DeclaredDevice;

use crate::active::Active;
use crate::{Core, CoreError};
use parking_lot::Mutex;
use secretum_audit::{AuditError, Broker, Device, DeviceConfig, DeviceOptions};
use secretum_crypto::{ClockRef, Key256};
use secretum_engine::{Fault, to_json, unreadable};
use secretum_storage::{Batch, Entry, Key, PageOf, Precondition, Revision, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How many devices a vault may have.
const DEVICES_MAX: usize = 64;

/// Changes whenever a device is added.
const ADDITIONS: &str = "sys/audit-additions";

/// A device as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuditRecord {
    /// Ends with a slash.
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) local: bool,
    /// Whether the server's configuration has it.
    #[serde(default)]
    declared: bool,
    /// In hex.
    #[serde(default)]
    hmac_key: Zeroizing<String>,
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
            declared: false,
            hmac_key: Zeroizing::default(),
        }
    }
}

/// The audit devices of a vault.
#[derive(Debug)]
pub(crate) struct Audits {
    pub(crate) broker: Broker,
    /// Which record each device of the broker was made from, by path. A record is never changed.
    opened: Mutex<BTreeMap<String, Revision>>,
    directory: Option<PathBuf>,
    storage: Arc<dyn Storage>,
    clock: ClockRef,
}

impl Audits {
    pub(crate) fn new(
        directory: Option<PathBuf>,
        storage: Arc<dyn Storage>,
        clock: ClockRef,
    ) -> Self {
        Self {
            broker: Broker::default(),
            opened: Mutex::default(),
            directory,
            storage,
            clock,
        }
    }

    /// Checks a new device and gives what must be committed to have it, and what its maker should know.
    ///
    /// **Errors**: [`Fault::Invalid`] where its type or options are wrong, its file cannot be written,
    /// or its peer does not listen.
    pub(crate) async fn prepare(
        &self,
        active: &Active,
        mut record: AuditRecord,
    ) -> Result<(Batch, Vec<&'static str>), Fault> {
        // Two additions at once know nothing of each other: the later one begins again.
        let change = active.begin_change(ADDITIONS).await?;
        if self.records().await?.len() >= DEVICES_MAX {
            return Err(Fault::invalid(format!(
                "there are {DEVICES_MAX} audit devices already"
            )));
        }
        record.hmac_key = new_key(&active.core)?;
        // Opening it says whether every request could be recorded; nothing is written yet.
        let wrong = |error: AuditError| Fault::invalid(error.to_string());
        let options = self.options(&record).map_err(wrong)?;
        self.check_alone(&record.path, &options)?;
        let place = self::key(&record.path)?;
        if self.storage.get(&place).await?.is_some() {
            return Err(Fault::invalid("path already in use"));
        }
        Device::try_open(&options).await.map_err(wrong)?;
        let batch = change.put_if(place, Precondition::Absent, to_json(&record)?);
        Ok((batch, options.warnings()))
    }

    /// **Errors**: [`Fault::Invalid`] where another device writes to the same place.
    fn check_alone(&self, path: &str, options: &DeviceOptions) -> Result<(), Fault> {
        match self.broker.other_than(path, options) {
            Some(other) => Err(taken(&other)),
            None => Ok(()),
        }
    }

    /// What must be committed to lose a device; `None` where there is none.
    ///
    /// **Errors**: [`Fault::Invalid`] where the server's configuration has it.
    pub(crate) async fn prepare_removal(&self, path: &str) -> Result<Option<Batch>, Fault> {
        let key = key(path)?;
        let Some(entry) = self.storage.get(&key).await? else {
            return Ok(None);
        };
        if read(&entry.value)?.declared {
            return Err(Fault::invalid(format!(
                "the configuration of the server has the audit device `{path}`: take it out there, and \
                 send the server SIGHUP"
            )));
        }
        Ok(Some(Batch::new().delete(key)))
    }

    /// All records.
    pub(crate) async fn records(&self) -> Result<Vec<AuditRecord>, Fault> {
        let entries = self.entries().await?;
        entries.iter().map(|entry| read(&entry.value)).collect()
    }

    async fn entries(&self) -> Result<Vec<Entry>, Fault> {
        let prefix = Key::try_from("sys/audit/")?;
        let page = self
            .storage
            .page(&prefix, None, DEVICES_MAX, PageOf::Entries)
            .await?;
        Ok(page.rows.into_iter().filter_map(|row| row.entry).collect())
    }

    /// Reads every record again. Devices may have changed places with each other. One that only leaves
    /// is taken out between two requests, none of which notices.
    pub(crate) async fn reload_all(&self) -> Result<(), CoreError> {
        let entries = self.entries().await?;
        let mut wanted = BTreeMap::new();
        for entry in &entries {
            wanted.insert(read(&entry.value)?.path, entry.revision);
        }
        self.opened
            .lock()
            .retain(|path, at| wanted.get(path) == Some(at));
        for entry in &entries {
            self.add(entry).await?;
        }
        self.broker.retain(|own| wanted.contains_key(own.path()));
        Ok(())
    }

    fn is_opened(&self, path: &str) -> bool {
        self.opened.lock().contains_key(path)
    }

    /// Opens the files of all devices anew, and connects their peers anew.
    ///
    /// **Errors**: [`CoreError::Audit`] for the first that cannot; it goes on as it was.
    pub(crate) async fn reopen_all(&self) -> Result<(), CoreError> {
        let devices = self.broker.devices();
        let reopened = devices.iter().map(|device| async move {
            device.reopen().await.map_err(|source| CoreError::Audit {
                path: device.path().to_owned(),
                source,
            })
        });
        futures::future::join_all(reopened)
            .await
            .into_iter()
            .collect()
    }

    /// Adds the device of a record, unless it is there.
    async fn add(&self, entry: &Entry) -> Result<(), CoreError> {
        let record = read(&entry.value)?;
        if self.opened.lock().get(&record.path) == Some(&entry.revision) {
            return Ok(());
        }
        let device = self.open(&record).await;
        let device = device.map_err(|source| CoreError::Audit {
            path: record.path.clone(),
            source,
        })?;
        for warning in self
            .options(&record)
            .into_iter()
            .flat_map(|own| own.warnings())
        {
            tracing::warn!(device = record.path, warning, "an audit device is open");
        }
        self.broker.add(device);
        self.opened.lock().insert(record.path, entry.revision);
        Ok(())
    }

    fn options(&self, record: &AuditRecord) -> Result<DeviceOptions, AuditError> {
        DeviceOptions::read(&record.kind, &record.options, self.directory.as_deref())
    }

    async fn open(&self, record: &AuditRecord) -> Result<Device, AuditError> {
        let options = self.options(record)?;
        // A device that is not wanted any more frees its file for the new one, but stays until that is
        // there: between the two, requests are refused, not forgotten.
        let devices = self.broker.devices();
        let leaving = devices.iter().filter(|own| !self.is_opened(own.path()));
        let in_the_way = leaving.filter(|own| own.excludes(&options));
        in_the_way.for_each(|device| device.close());
        let hmac_key = hex::decode(record.hmac_key.as_str())
            .map(Zeroizing::new)
            .map_err(|error| AuditError::Option(format!("the stored key is damaged: {error}")))?;
        let config = DeviceConfig {
            path: &record.path,
            hmac_key: &hmac_key,
            options,
            clock: Arc::clone(&self.clock),
        };
        Device::open(config).await
    }
}

/// The key of a new device's HMACs, in hex.
fn new_key(core: &Core) -> Result<Zeroizing<String>, Fault> {
    let key = Key256::random(&*core.config.rng).map_err(Fault::internal)?;
    Ok(Zeroizing::new(hex::encode(key.expose())))
}

/// Another device writes to the same place.
fn taken(other: &str) -> Fault {
    Fault::invalid(format!(
        "the audit device `{other}` writes to this file already"
    ))
}

fn read(value: &[u8]) -> Result<AuditRecord, Fault> {
    serde_json::from_slice(value).map_err(|error| unreadable("audit device", &error))
}

fn key(path: &str) -> Result<Key, StorageError> {
    Key::try_from(format!("sys/audit/{path}"))
}
