//! [`AuditLog`]: the devices of a program that is their only writer.

use crate::{AuditConfig, AuditLogError, key};
use async_trait::async_trait;
use futures::future::join_all;
use secretum_audit::{AuditError, Device, DeviceConfig, DeviceOptions};
use secretum_crypto::{SecretBytes, SystemClock};
use secretum_kms::{KmsAuditEvent, KmsAuditSink, SinkError};
use std::sync::Arc;

/// Where audit records go.
#[derive(Debug, Clone, Default)]
pub struct AuditLog {
    devices: Vec<Arc<Device>>,
    others: Vec<Arc<dyn KmsAuditSink>>,
}

impl AuditLog {
    /// Opens the devices of these configurations, one that several name once, and tells the public halves of
    /// their keys.
    ///
    /// **Errors**: [`AuditLogError`].
    pub async fn open(configs: &[AuditConfig]) -> Result<Self, AuditLogError> {
        let mut log = Self::default();
        let mut known: Vec<&DeviceOptions> = Vec::new();
        for config in configs {
            let key = key::read_or_make(&config.key)?;
            let own = config.devices.iter().enumerate();
            for (at, options) in own.filter(|(_, options)| !known.contains(options)) {
                log.add(at + 1, options, &key).await?;
            }
            known.extend(&config.devices);
        }
        Ok(log)
    }

    /// Without devices: records go there.
    pub fn to(sink: Arc<dyn KmsAuditSink>) -> Self {
        Self {
            others: vec![sink],
            ..Self::default()
        }
    }

    async fn add(
        &mut self,
        number: usize,
        options: &DeviceOptions,
        key: &SecretBytes,
    ) -> Result<(), AuditLogError> {
        if self.devices.iter().any(|other| other.excludes(options)) {
            return Err(AuditLogError::Twice { number });
        }
        Device::try_open(options).await?;
        let device = open(number, options, key).await?;
        tracing::info!(
            device = device.path(),
            public_key = hex::encode(device.public_key()),
            "auditing"
        );
        self.devices.push(Arc::new(device));
        Ok(())
    }

    /// A sink for each device.
    pub fn sinks(&self) -> Vec<Arc<dyn KmsAuditSink>> {
        let mut sinks = self.others.clone();
        for device in &self.devices {
            sinks.push(Arc::new(DeviceSink(Arc::clone(device))));
        }
        sinks
    }

    /// Opens files anew that were moved away.
    pub async fn reopen(&self) {
        for device in &self.devices {
            if let Err(error) = device.reopen().await {
                tracing::error!(%error, device = device.path(), "an audit device goes on as it was");
            }
        }
    }

    /// Waits until everything is written that was accepted.
    pub async fn close(&self) {
        let ended = join_all(self.devices.iter().map(|device| close(device)));
        if ended.await.contains(&false) {
            tracing::error!("an audit device did not end in time");
        }
    }
}

/// The device of a configuration, by its number there.
pub(crate) async fn open(
    number: usize,
    options: &DeviceOptions,
    key: &SecretBytes,
) -> Result<Device, AuditError> {
    let name = format!("device {number}");
    let opening = Device::open(DeviceConfig {
        path: &name,
        hmac_key: key.expose(),
        options: options.clone(),
        clock: Arc::new(SystemClock),
    });
    opening.await
}

/// Whether everything was written in time.
pub(crate) async fn close(device: &Device) -> bool {
    device.close();
    device.ended().await
}

/// **Errors**: where the device does not take it.
pub(crate) async fn record(device: &Device, event: &KmsAuditEvent) -> Result<(), SinkError> {
    let sent = device.record(event).map_err(refused)?;
    sent.await.map_err(refused)
}

pub(crate) fn refused(error: AuditError) -> SinkError {
    SinkError(error.to_string())
}

/// Writes records to a device.
#[derive(Debug)]
struct DeviceSink(Arc<Device>);

#[async_trait]
impl KmsAuditSink for DeviceSink {
    async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
        record(&self.0, event).await
    }
}
