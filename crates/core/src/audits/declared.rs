//! Audit devices that the server's configuration has.

use super::{AuditRecord, Audits, key, read};
use crate::active::Active;
use crate::limits::{check_description, check_options};
use crate::{Core, CoreError};
use secretum_audit::{AuditError, Device, DeviceOptions};
use secretum_engine::{Fault, to_json};
use secretum_storage::{Batch, Precondition};
use std::collections::BTreeMap;
use std::path::Path;

/// An audit device that the server's configuration has. It is there from the first unseal on, follows
/// the configuration, and cannot be disabled by a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredDevice {
    /// Its path, without a slash at its end.
    pub path: String,
    /// Its type: `file`, `syslog` or `socket`.
    pub kind: String,
    /// A text for people.
    pub description: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
    /// Whether it belongs to this cluster alone.
    pub local: bool,
}

impl DeclaredDevice {
    /// Looks for what is wrong with it without opening anything.
    ///
    /// **Errors**: a sentence that says what.
    pub fn check(&self, directory: Option<&Path>) -> Result<(), String> {
        let shown = |fault: Fault| fault.to_string();
        check_description(&self.description).map_err(shown)?;
        check_options(&self.options).map_err(shown)?;
        let options = DeviceOptions::read(&self.kind, &self.options, directory);
        options.map_err(|error| error.to_string())?;
        Ok(())
    }

    fn folder(&self) -> String {
        format!("{}/", self.path)
    }

    /// Its record; the HMACs of an older one go on to mean the same.
    fn record(&self, older: Option<AuditRecord>) -> AuditRecord {
        AuditRecord {
            path: self.folder(),
            kind: self.kind.clone(),
            description: self.description.clone(),
            options: self.options.clone(),
            local: self.local,
            declared: true,
            hmac_key: older.map(|older| older.hmac_key).unwrap_or_default(),
        }
    }
}

impl Core {
    /// The audit devices of a configuration that was read anew take the place of those of the older one.
    /// While sealed, those are kept for the next unseal.
    ///
    /// **Errors**: [`CoreError::Audit`] for the first that cannot be opened: those before it hold, it
    /// and those behind it stay as they were, and none is removed.
    pub async fn declare_audits(&self, devices: Vec<DeclaredDevice>) -> Result<(), CoreError> {
        let _transition = self.transition.lock().await;
        *self.declared_audits.write() = devices;
        match self.active() {
            Some(active) => active.audits.follow_configuration(&active).await,
            None => Ok(()),
        }
    }
}

impl Audits {
    /// Makes the devices that the configuration has, changes those that it has otherwise, and removes
    /// those that it had once.
    ///
    /// **Errors**: as [`Core::declare_audits`].
    pub(crate) async fn follow_configuration(&self, active: &Active) -> Result<(), CoreError> {
        let wanted = active.core.declared_audits.read().clone();
        for device in &wanted {
            self.follow(active, device).await?;
        }
        for record in self.records().await? {
            let is_wanted = || wanted.iter().any(|device| device.folder() == record.path);
            if record.declared && !is_wanted() {
                active
                    .commit(Batch::new().delete(key(&record.path)?))
                    .await?;
                tracing::warn!(
                    device = record.path,
                    "the configuration lost an audit device: it is disabled"
                );
            }
        }
        Ok(())
    }

    async fn follow(&self, active: &Active, device: &DeclaredDevice) -> Result<(), CoreError> {
        let place = key(&device.folder())?;
        let found = self.storage.get(&place).await?;
        let older = found.as_ref().map(|entry| read(&entry.value)).transpose()?;
        let record = device.record(older);
        let value = to_json(&record)?;
        if found.as_ref().is_some_and(|entry| entry.value == value) {
            return Ok(());
        }
        self.try_open(&record)
            .await
            .map_err(|source| CoreError::Audit {
                path: record.path.clone(),
                source,
            })?;
        let batch = match found {
            None => self.prepare(active, record).await?.0,
            Some(entry) => {
                self.check_alone(
                    &record.path,
                    &self.options(&record).map_err(Fault::internal)?,
                )?;
                Batch::new().put_if(place, Precondition::At(entry.revision), value)
            }
        };
        active.commit(batch).await?;
        let device = &device.path;
        tracing::info!(device, "an audit device is as the configuration has it");
        Ok(())
    }

    async fn try_open(&self, record: &AuditRecord) -> Result<(), AuditError> {
        Device::try_open(&self.options(record)?).await
    }
}
