//! [`Device`]: one place that records go to.

use crate::file::{FileOptions, Job, Writer};
use crate::{AuditError, Record};
use secretum_crypto::HmacKey;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many records may wait for a device.
const QUEUE: usize = 4_096;

/// How long a request waits for a device.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a device is made from.
#[derive(Debug)]
pub struct DeviceConfig<'a> {
    /// Its path, with a slash at its end.
    pub path: &'a str,
    /// The key of its HMACs.
    pub hmac_key: &'a [u8],
    /// Where it writes.
    pub file: FileOptions,
}

/// One place that records go to: a queue, and a thread that empties it into a file.
#[derive(Debug)]
pub struct Device {
    path: String,
    key: HmacKey,
    queue: SyncSender<Job>,
}

impl Device {
    /// Opens the device and starts its thread, which ends with the device.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`].
    pub fn open(config: DeviceConfig<'_>) -> Result<Self, AuditError> {
        let file = config.file.open()?;
        let path = config.file.path().to_owned();
        let writer = Writer::new(config.file, file);
        let (queue, jobs) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(|source| AuditError::File {
                path,
                source: source.into(),
            })?;
        Ok(Self {
            path: config.path.to_owned(),
            key: HmacKey::new(config.hmac_key),
            queue,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_queue(path: &str, queue: SyncSender<Job>) -> Self {
        Self {
            path: path.to_owned(),
            key: HmacKey::new(b"key"),
            queue,
        }
    }

    /// Its path, with a slash at its end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A text as this device shows it.
    pub fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", self.key.sign_hex(text.as_bytes()))
    }

    /// Puts a record into the queue; what comes back tells when the system took it.
    ///
    /// **Errors**: [`AuditError::Busy`].
    pub(crate) fn send(&self, record: &Record<'_>) -> Result<Pending<'_>, AuditError> {
        let (done, answer) = oneshot::channel();
        let job = Job {
            line: record.render(&self.key),
            done,
        };
        self.queue.try_send(job).map_err(|_| self.busy())?;
        Ok(Pending {
            device: self,
            answer,
        })
    }

    fn busy(&self) -> AuditError {
        AuditError::Busy {
            device: self.path.clone(),
        }
    }
}

/// A record in the queue of a device.
pub(crate) struct Pending<'d> {
    device: &'d Device,
    answer: oneshot::Receiver<Result<(), AuditError>>,
}

impl Pending<'_> {
    /// Waits until the system took the record.
    ///
    /// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`], [`AuditError::File`].
    pub(crate) async fn taken(self) -> Result<(), AuditError> {
        match tokio::time::timeout(PATIENCE, self.answer).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(self.device.busy()),
            Err(_) => Err(AuditError::TimedOut {
                device: self.device.path.clone(),
            }),
        }
    }
}
