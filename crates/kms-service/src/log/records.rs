//! [`LogRecords`]: audit records in the log, each of which is written or refused.
//!
//! The log itself drops lines where nobody reads them, and leaves out what its level does. So a record takes the
//! form of its lines, and the way of records to a device: a [`Queue`], which tells whether it was written.

use super::{Logging, line};
use async_trait::async_trait;
use secretum_audit::{Answer, AuditError, Batches, Lines, Queue};
use secretum_kms::{KmsAuditEvent, KmsAuditSink, SinkError};
use std::io::{self, Write};

/// What errors call the log.
const NAME: &str = "log";

/// Writes records to the log, as one field in JSON.
#[derive(Debug)]
pub(crate) struct LogRecords(Queue);

/// Where lines go.
struct Out<W>(W);

impl<W: Write + Send + 'static> Batches for Out<W> {
    fn write(&mut self, lines: &Lines) -> Answer {
        let written = self.0.write_all(lines.text());
        written.map_err(|error| AuditError::Unreachable {
            place: NAME.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl Logging {
    /// What writes audit records to this log.
    ///
    /// **Errors**: the system's, where it gives no thread.
    pub(crate) fn records(&self) -> io::Result<LogRecords> {
        LogRecords::to(self.out.clone())
    }
}

impl LogRecords {
    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        Queue::start(NAME, Out(out)).map(Self)
    }

    async fn write(&self, line: &[u8]) -> Result<(), SinkError> {
        if line.is_empty() {
            let reason = "the log takes no audit record: none was started, or it leaves them out";
            return Err(SinkError(reason.to_owned()));
        }
        let taken = match self.0.put(line) {
            Ok(answer) => answer.await.unwrap_or_else(|_| Err(self.0.busy())),
            Err(refused) => Err(refused),
        };
        taken.map_err(|error| SinkError(error.to_string()))
    }
}

#[async_trait]
impl KmsAuditSink for LogRecords {
    async fn record(&self, event: &KmsAuditEvent) -> Result<(), SinkError> {
        let record = serde_json::to_string(event).map_err(|error| SinkError(error.to_string()))?;
        self.write(&line(&record)).await
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
        let records = LogRecords::to(pipe).unwrap();
        // The first fills the pipe, and nobody reads.
        records.write(LINE).await.unwrap();
        // The clock jumps to the end of the patience.
        tokio::time::pause();
        records.write(LINE).await.unwrap_err();
        let refused = records.write(b"at once\n").await.unwrap_err();
        assert!(refused.to_string().contains("in time"), "{refused}");
        tokio::time::resume();
        let mut read = vec![0; 2 * LINE.len()];
        reader.read_exact(&mut read).unwrap();
        while records.write(b"again\n").await.is_err() {
            tokio::task::yield_now().await;
        }
        drop(records);
        let rest = tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).map(|_| rest)
        });
        let rest = rest.await.unwrap().unwrap();
        // What was refused while it hung is not written later.
        assert_eq!(rest, b"again\n");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_refused() {
        let (reader, pipe) = io::pipe().unwrap();
        drop(reader);
        let records = LogRecords::to(pipe).unwrap();
        let refused = records.write(b"a line\n").await.unwrap_err();
        assert!(refused.to_string().contains("pipe"), "{refused}");
        let refused = records.write(&line("of no log")).await.unwrap_err();
        assert!(
            refused.to_string().contains("none was started"),
            "{refused}"
        );
    }
}
