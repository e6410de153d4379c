//! [`AuditLog`]: records on the audit devices that the vault has, too, chained and signed; or in the log.

use crate::ServiceError;
use crate::log::{LogRecords, Logging};
use async_trait::async_trait;
use futures::future::join_all;
use secretum_audit::{AuditError, Device, DeviceConfig, DeviceOptions};
use secretum_crypto::{SecretBytes, SecretString, SystemClock, SystemRng, random_secret};
use secretum_kms::{KmsAuditEvent, KmsAuditSink, KmsError, SinkError, key_file};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the key that signs the heads of logs.
const KEY_BYTES: usize = 32;

/// The devices of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditConfig {
    /// The file with the key that signs their heads; it is made where there is none.
    pub(crate) key: PathBuf,
    pub(crate) devices: Vec<DeviceOptions>,
}

/// How the places begin that a command writes to, beside those of a service.
const COMMAND: &str = "data-keys-";

impl AuditConfig {
    /// The same for a command, which may run beside the service: a device of the service is the service's
    /// alone, so that its chain is one.
    fn of_command(&self) -> Self {
        let devices = self.devices.iter().cloned();
        Self {
            key: self.key.clone(),
            devices: devices.map(|device| device.beside(COMMAND)).collect(),
        }
    }

    /// Whether one of them writes on the output of the program.
    pub(crate) fn is_on_stdout(&self) -> bool {
        self.devices.iter().any(DeviceOptions::is_stdout)
    }

    /// Whether every device could write now.
    ///
    /// **Errors**: [`ServiceError::Audit`], [`ServiceError::Kms`] for a key that cannot be used.
    pub(crate) async fn check(&self) -> Result<(), ServiceError> {
        if self.key.exists() {
            read_key(&self.key)?;
        }
        for options in &self.devices {
            Device::try_open(options).await?;
        }
        Ok(())
    }
}

/// Where audit records go.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditLog {
    devices: Vec<Arc<Device>>,
    log: Option<Arc<LogRecords>>,
}

impl AuditLog {
    /// Opens the devices, and tells the public halves of their keys; the log where none are configured.
    ///
    /// **Errors**: [`ServiceError::Audit`], [`ServiceError::Kms`] for a key that cannot be used,
    /// [`ServiceError::System`].
    pub(crate) async fn open(
        config: Option<&AuditConfig>,
        logging: &Logging,
    ) -> Result<Self, ServiceError> {
        let mut audit = Self::default();
        match config {
            Some(config) => audit.add(config).await?,
            None => audit.log = Some(Arc::new(logging.records().map_err(ServiceError::System)?)),
        }
        Ok(audit)
    }

    /// Opens the devices of a command: those of each of these configurations, and one that several name once;
    /// the log where there are none.
    ///
    /// **Errors**: as of [`Self::open`].
    pub(crate) async fn of_command(
        configs: &[&AuditConfig],
        logging: &Logging,
    ) -> Result<Self, ServiceError> {
        if configs.is_empty() {
            return Self::open(None, logging).await;
        }
        let mut log = Self::default();
        let mut known: Vec<DeviceOptions> = Vec::new();
        for config in configs {
            let mut config = config.of_command();
            config.devices.retain(|device| !known.contains(device));
            log.add(&config).await?;
            known.extend(config.devices);
        }
        Ok(log)
    }

    async fn add(&mut self, config: &AuditConfig) -> Result<(), ServiceError> {
        let key = read_or_make_key(&config.key)?;
        for (number, options) in config.devices.iter().enumerate() {
            if self.devices.iter().any(|other| other.excludes(options)) {
                return Err(ServiceError::AuditTwice { number: number + 1 });
            }
            Device::try_open(options).await?;
            let name = format!("device {}", number + 1);
            let opening = Device::open(DeviceConfig {
                path: &name,
                hmac_key: key.expose(),
                options: options.clone(),
                clock: Arc::new(SystemClock),
            });
            let device = opening.await?;
            tracing::info!(
                device = device.path(),
                public_key = hex::encode(device.public_key()),
                "auditing"
            );
            self.devices.push(Arc::new(device));
        }
        Ok(())
    }

    /// A sink for each device; the log where there is none.
    pub(crate) fn sinks(&self) -> Vec<Arc<dyn KmsAuditSink>> {
        let mut sinks: Vec<Arc<dyn KmsAuditSink>> = Vec::new();
        if let Some(log) = &self.log {
            sinks.push(Arc::clone(log) as _);
        }
        for device in &self.devices {
            sinks.push(Arc::new(DeviceSink(Arc::clone(device))));
        }
        sinks
    }

    /// Opens files anew that were moved away.
    pub(crate) async fn reopen(&self) {
        for device in &self.devices {
            if let Err(error) = device.reopen().await {
                tracing::error!(%error, device = device.path(), "an audit device goes on as it was");
            }
        }
    }

    /// Waits until everything is written that was accepted.
    pub(crate) async fn close(&self) {
        let ended = join_all(self.devices.iter().map(|device| async {
            device.close();
            device.ended().await
        }));
        if ended.await.contains(&false) {
            tracing::error!("an audit device did not end in time");
        }
    }
}

fn read_or_make_key(path: &Path) -> Result<SecretBytes, ServiceError> {
    if !path.exists() {
        let key = random_secret(&SystemRng, KEY_BYTES).map_err(KmsError::from)?;
        key_file::create(path, &SecretString::new(hex::encode(key.expose())))?;
    }
    read_key(path)
}

fn read_key(path: &Path) -> Result<SecretBytes, ServiceError> {
    let text = key_file::read(path)?;
    let key = hex::decode(text.expose().trim()).map(SecretBytes::new).ok();
    let key = key.filter(|key| key.expose().len() == KEY_BYTES);
    key.ok_or_else(|| {
        ServiceError::Kms(KmsError::FileContent {
            path: path.to_owned(),
            reason: format!(
                "it is to be {KEY_BYTES} bytes in hex digits; name a file that is not there, and it is made"
            ),
        })
    })
}

/// Writes records to a device.
#[derive(Debug)]
struct DeviceSink(Arc<Device>);

#[async_trait]
impl KmsAuditSink for DeviceSink {
    async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
        let refused = |error: AuditError| SinkError(error.to_string());
        self.0
            .record(event)
            .map_err(refused)?
            .await
            .map_err(refused)
    }
}
