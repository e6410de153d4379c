//! [`LogRecords`]: audit records in the log, each of which is written or refused.
//!
//! The log itself drops lines where nobody reads them, and leaves out what its level does. So a record takes the
//! form of its lines, and another way: a thread writes all that gathered while it wrote before, and tells
//! whether it could.

use super::{Logging, line};
use async_trait::async_trait;
use parking_lot::Mutex;
use secretum_kms::{KmsAuditEvent, KmsAuditSink, SinkError};
use std::io::{self, Write};
use std::iter::once;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many records may wait to be written.
const RECORDS_MAX: usize = 4_096;

/// How long a record waits for who reads the log. Then all are refused until that goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes records to the log, as one field in JSON.
#[derive(Debug)]
pub(crate) struct LogRecords {
    to_thread: SyncSender<Job>,
    writes_since: WritesSince,
    patience: Duration,
}

/// Since when the thread writes, while it does.
type WritesSince = Arc<Mutex<Option<Instant>>>;

/// A line on its way to the thread.
#[derive(Debug)]
struct Job {
    line: Vec<u8>,
    done: oneshot::Sender<Result<(), SinkError>>,
}

impl Logging {
    /// What writes audit records to this log.
    ///
    /// **Errors**: the system's, where it gives no thread.
    pub(crate) fn records(&self) -> io::Result<LogRecords> {
        LogRecords::to(self.out.clone(), PATIENCE)
    }
}

impl LogRecords {
    fn to(out: impl Write + Send + 'static, patience: Duration) -> io::Result<Self> {
        let (to_thread, jobs) = sync_channel(RECORDS_MAX);
        let writes_since = WritesSince::default();
        let own = Arc::clone(&writes_since);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(out, &jobs, &own))?;
        Ok(Self {
            to_thread,
            writes_since,
            patience,
        })
    }

    /// Whether the thread waits for longer than a record would.
    fn hangs(&self) -> bool {
        let since = *self.writes_since.lock();
        since.is_some_and(|since| since.elapsed() >= self.patience)
    }

    async fn write(&self, line: Vec<u8>) -> Result<(), SinkError> {
        let refused = |reason: &str| SinkError(format!("the log does not take it: {reason}"));
        if line.is_empty() {
            return Err(refused("none was started, or it leaves audit records out"));
        }
        if self.hangs() {
            return Err(refused("nobody reads it"));
        }
        let (done, written) = oneshot::channel();
        let sent = self.to_thread.try_send(Job { line, done });
        sent.map_err(|_| refused("too many records wait for it"))?;
        match tokio::time::timeout(self.patience, written).await {
            Ok(told) => told.unwrap_or_else(|_| Err(refused("it ended"))),
            Err(_) => Err(refused("nobody reads it")),
        }
    }
}

/// Writes until nobody is left who could send more.
fn write_all(mut out: impl Write, jobs: &Receiver<Job>, since: &WritesSince) {
    while let Ok(first) = jobs.recv() {
        let batch: Vec<Job> = once(first)
            .chain(jobs.try_iter().take(RECORDS_MAX))
            .collect();
        let lines: Vec<&[u8]> = batch.iter().map(|job| job.line.as_slice()).collect();
        *since.lock() = Some(Instant::now());
        let written = out.write_all(&lines.concat());
        *since.lock() = None;
        let written = written.map_err(|error| SinkError(format!("the log: {error}")));
        for job in batch {
            // Who no longer waits has given up.
            let _ = job.done.send(written.clone());
        }
    }
}

#[async_trait]
impl KmsAuditSink for LogRecords {
    async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
        let record = serde_json::to_string(event).map_err(|error| SinkError(error.to_string()))?;
        self.write(line(&record)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const LINE: &[u8] = &[b'x'; 1 << 16];

    #[tokio::test]
    async fn who_does_not_read_is_waited_for_so_long_and_counts_when_reading_again() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let patience = Duration::from_secs(1);
        let records = LogRecords::to(pipe, patience).unwrap();
        // The first fills the pipe, and nobody reads.
        records.write(LINE.to_vec()).await.unwrap();
        let began = Instant::now();
        records.write(LINE.to_vec()).await.unwrap_err();
        assert!(began.elapsed() >= patience);
        assert!(records.hangs());
        records.write(LINE.to_vec()).await.unwrap_err();
        let mut read = vec![0; 2 * LINE.len()];
        reader.read_exact(&mut read).unwrap();
        while records.hangs() {
            std::thread::yield_now();
        }
        records.write(b"again\n".to_vec()).await.unwrap();
        drop(records);
        read.clear();
        reader.read_to_end(&mut read).unwrap();
        // What was refused while it hung is not written later.
        assert_eq!(read, b"again\n");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_refused() {
        let (reader, pipe) = io::pipe().unwrap();
        drop(reader);
        let records = LogRecords::to(pipe, PATIENCE).unwrap();
        let refused = records.write(b"a line\n".to_vec()).await.unwrap_err();
        assert!(refused.to_string().contains("pipe"), "{refused}");
        let refused = records.write(line("of no log")).await.unwrap_err();
        assert!(
            refused.to_string().contains("none was started"),
            "{refused}"
        );
    }
}
