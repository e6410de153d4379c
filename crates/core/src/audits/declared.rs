//! Audit devices that the server's configuration has.

use super::{AuditRecord, Audits, DEVICES_MAX, key, new_key, read, taken};
use crate::limits::{check_description, check_options};
use crate::{Core, CoreError};
use secretum_audit::{Device, DeviceOptions};
use secretum_engine::{Fault, to_json};
use secretum_storage::{Batch, Precondition};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use zeroize::Zeroizing;

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

    /// Its record, with the key of an older one: the HMACs of that go on to mean the same.
    fn record(&self, hmac_key: Zeroizing<String>) -> AuditRecord {
        AuditRecord {
            path: self.folder(),
            kind: self.kind.clone(),
            description: self.description.clone(),
            options: self.options.clone(),
            local: self.local,
            declared: true,
            hmac_key,
        }
    }
}

/// How the records come to be as the configuration has them.
#[derive(Default)]
struct Plan {
    batch: Batch,
    /// Records that are new, or differ from those before.
    made: Vec<AuditRecord>,
    /// Paths of devices that will be closed: they are gone, or another one takes their place.
    leaving: BTreeSet<String>,
}

impl Core {
    /// The audit devices of a configuration that was read anew take the place of those of the older one.
    /// While sealed, those are kept for the next unseal.
    ///
    /// **Errors**: [`CoreError`] where one of them cannot be opened; all of them then stay as they were.
    pub async fn declare_audits(&self, devices: Vec<DeclaredDevice>) -> Result<(), CoreError> {
        let _transition = self.transition.lock().await;
        *self.declared_audits.write() = devices;
        let Some(active) = self.active() else {
            return Ok(());
        };
        let plan = active.audits.plan(self).await?;
        active.audits.check(&plan).await?;
        if !plan.batch.is_empty() {
            active.commit(plan.batch).await?;
            tracing::info!("the audit devices are as the configuration has them");
        }
        Ok(())
    }
}

impl Audits {
    /// Makes the records those of the configuration, before any device is opened.
    ///
    /// **Errors**: [`CoreError`] where the storage refuses, or there would be too many of them.
    pub(crate) async fn settle(&self, core: &Core) -> Result<(), CoreError> {
        let plan = self.plan(core).await?;
        if !plan.batch.is_empty() {
            self.storage.commit(plan.batch).await?;
        }
        Ok(())
    }

    async fn plan(&self, core: &Core) -> Result<Plan, CoreError> {
        let wanted = core.declared_audits.read().clone();
        let mut known = BTreeMap::new();
        for entry in self.entries().await? {
            let record = read(&entry.value)?;
            known.insert(record.path.clone(), (record, entry));
        }
        let mut plan = Plan::default();
        for (path, (record, _)) in &known {
            let is_wanted = wanted.iter().any(|device| device.folder() == *path);
            if record.declared && !is_wanted {
                plan.leaving.insert(path.clone());
                plan.batch = plan.batch.delete(key(path)?);
                tracing::warn!(device = path, "the configuration lost an audit device");
            }
        }
        let others = known.len() - plan.leaving.len();
        let added = wanted
            .iter()
            .filter(|own| !known.contains_key(&own.folder()));
        if others + added.count() > DEVICES_MAX {
            return Err(Fault::invalid(format!(
                "there would be more than {DEVICES_MAX} audit devices"
            ))
            .into());
        }
        for device in wanted {
            let (record, expected) = match known.remove(&device.folder()) {
                Some((older, entry)) => {
                    let record = device.record(older.hmac_key);
                    if *entry.value == *to_json(&record)? {
                        continue;
                    }
                    plan.leaving.insert(record.path.clone());
                    (record, Precondition::At(entry.revision))
                }
                None => (device.record(new_key(core)?), Precondition::Absent),
            };
            let value = to_json(&record)?;
            plan.batch = plan.batch.put_if(key(&record.path)?, expected, value);
            plan.made.push(record);
        }
        Ok(plan)
    }

    /// Whether the devices that a plan makes could be opened, as far as that shows before others close.
    async fn check(&self, plan: &Plan) -> Result<(), CoreError> {
        for record in &plan.made {
            let refused = |source| CoreError::Audit {
                path: record.path.clone(),
                source,
            };
            let options = self.options(record).map_err(refused)?;
            let devices = self.broker.devices();
            let mut in_its_place = devices.iter().filter(|own| own.excludes(&options));
            match in_its_place.next() {
                None => Device::try_open(&options).await.map_err(refused)?,
                Some(own) if plan.leaving.contains(own.path()) => {}
                Some(own) => return Err(taken(own.path()).into()),
            }
        }
        Ok(())
    }
}
