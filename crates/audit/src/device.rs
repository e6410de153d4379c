//! [`Device`]: one place that records go to.

use crate::AuditError;
use crate::file::{FileId, FileOptions};
use crate::queue::{PATIENCE, Queue};
use crate::writer::Writer;
use futures::FutureExt;
use parking_lot::Mutex;
use secretum_crypto::HmacKey;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long it is until a file that is in use is asked for again.
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

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

/// One place that records go to: a key, and a queue to the thread that writes a file.
#[derive(Debug)]
pub struct Device {
    path: String,
    key: DeviceKey,
    queue: Queue,
    file: PathBuf,
    /// What the file is that the thread writes now.
    id: Arc<Mutex<FileId>>,
}

/// The key of a device, and a number that no other device of this process has.
#[derive(Debug)]
pub(crate) struct DeviceKey {
    pub(crate) number: u64,
    pub(crate) key: HmacKey,
}

impl DeviceKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        static DEVICES: AtomicU64 = AtomicU64::new(0);
        Self {
            number: DEVICES.fetch_add(1, Ordering::Relaxed),
            key: HmacKey::new(key),
        }
    }
}

impl Device {
    /// Opens the device. Its task runs on the runtime of the caller, and ends with the device. Where
    /// the file's last writer is about to end, it waits for that.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`].
    pub async fn open(config: DeviceConfig<'_>) -> Result<Self, AuditError> {
        let writer = writer(&config.file).await?;
        let (file, id) = (writer.path().to_owned(), writer.file_id());
        let queue = Queue::start(config.path, writer).map_err(|source| AuditError::File {
            path: file.clone(),
            source: source.into(),
        })?;
        Ok(Self {
            path: config.path.to_owned(),
            key: DeviceKey::new(config.hmac_key),
            queue,
            file,
            id,
        })
    }

    /// Whether a device could be opened on this file; leaves the file as it is, or empty.
    ///
    /// **Errors**: as [`Self::open`].
    pub async fn try_file(file: &FileOptions) -> Result<(), AuditError> {
        writer(file).await.map(drop)
    }

    #[cfg(test)]
    pub(crate) fn with_queue(path: &str, queue: Queue) -> Self {
        Self {
            path: path.to_owned(),
            key: DeviceKey::new(b"key"),
            queue,
            file: PathBuf::new(),
            id: Arc::default(),
        }
    }

    /// Its path, with a slash at its end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it writes to this file, or will when it is opened anew.
    pub fn writes_to(&self, file: &FileOptions) -> bool {
        file.is_at(*self.id.lock(), &self.file)
    }

    /// Refuses what comes from here on. What was accepted is written, and then its file is free.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Waits until it has written everything, after it was closed; whether that came in time.
    pub async fn ended(&self) -> bool {
        let ended = tokio::time::timeout(PATIENCE, self.queue.ended()).await;
        ended.is_ok()
    }

    /// The key of its HMACs.
    pub(crate) fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// A text as this device shows it.
    pub fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", self.key.key.sign_hex(text.as_bytes()))
    }

    /// Opens its file anew, after it was moved away.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`]: it then goes on as it was;
    /// [`AuditError::TimedOut`] where it hangs: it does so when it answers again.
    pub async fn reopen(&self) -> Result<(), AuditError> {
        match tokio::time::timeout(PATIENCE, self.queue.reopen()).await {
            Ok(Ok(reopened)) => reopened,
            Ok(Err(_)) => Err(self.queue.busy()),
            Err(_) => Err(self.queue.hangs()),
        }
    }

    /// Puts a line into the queue.
    ///
    /// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`] while the device hangs.
    pub(crate) fn send(&self, line: &[u8]) -> Result<Sent, AuditError> {
        self.queue.put(line).map(Sent)
    }
}

/// A writer on a file, once the file is free.
async fn writer(file: &FileOptions) -> Result<Writer, AuditError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Writer::open(file.clone()) {
            Err(AuditError::InUse { .. }) if Instant::now() < until => {
                tokio::time::sleep(CLAIM_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// A record in the queue of a device: ready when the system took it.
///
/// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`], [`AuditError::File`].
#[derive(Debug)]
pub struct Sent(oneshot::Receiver<Result<(), AuditError>>);

impl Future for Sent {
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(self.0.poll_unpin(context));
        Poll::Ready(answer.unwrap_or(Err(AuditError::NoDeviceTookIt)))
    }
}
