//! [`log_lines()`]: lines of the log, written to standard error by a thread of its own. [`LogOut`]: lines among
//! them that may not be lost.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// How many lines may wait to be written.
pub const LOG_LINES_MAX: usize = 8_192;

/// How long the end of a process waits for who reads the log.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Writes what still waits, within two seconds, when it is dropped. Lines that come later are lost.
#[derive(Debug)]
#[must_use = "lines are lost once it is dropped"]
pub struct LogGuard(Option<WorkerGuard>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let Some(guard) = self.0.take() else { return };
        let (done, ended) = channel();
        // By another thread: where nobody reads, the guard complains on standard output, and may wait
        // for that too.
        let flushing = std::thread::Builder::new().spawn(move || {
            drop(guard);
            let _ = done.send(());
        });
        if flushing.is_ok() {
            let _ = ended.recv_timeout(FLUSH_TIME);
        }
    }
}

/// Where the log writes its lines, and what is held until the process ends. Whoever logs never waits for
/// who reads standard error: where [`LOG_LINES_MAX`] lines wait, more are dropped.
pub fn log_lines() -> (NonBlocking, LogGuard) {
    LogOut::stderr().lines()
}

/// The log's way to standard error. What is written by it at once stands whole among the lines of the log, and
/// waits for who reads it.
#[derive(Clone)]
pub struct LogOut(Arc<Mutex<Box<dyn Write + Send>>>);

impl LogOut {
    /// A way of its own.
    pub fn stderr() -> Self {
        // Not by the standard library's way, which is locked while a write waits: who panics would wait too.
        match std::io::stderr().as_fd().try_clone_to_owned() {
            Ok(own) => Self::to(File::from(own)),
            Err(_) => Self::to(std::io::stderr()),
        }
    }

    fn to(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(out))))
    }

    /// As [`log_lines()`], by this way.
    pub fn lines(&self) -> (NonBlocking, LogGuard) {
        lines_to(self.clone())
    }

    fn out(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogOut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out().write(bytes)
    }

    /// Nobody else writes until all of it is written.
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out().write_all(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out().flush()
    }
}

impl fmt::Debug for LogOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogOut")
    }
}

fn lines_to(out: impl Write + Send + 'static) -> (NonBlocking, LogGuard) {
    let (lines, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_MAX)
        .lossy(true)
        .thread_name("log")
        .finish(out);
    (lines, LogGuard(Some(guard)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_written_at_once_stands_whole() {
        let (mut reader, pipe) = std::io::pipe().unwrap();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        let out = LogOut::to(pipe);
        // More than a pipe takes at once, and than it takes without putting others between.
        let long = |byte: u8| [vec![byte; 100_000], vec![b'\n']].concat();
        let writing: Vec<_> = [b'a', b'b']
            .into_iter()
            .map(|byte| {
                let mut out = out.clone();
                std::thread::spawn(move || {
                    (0..20).for_each(|_| out.write_all(&long(byte)).unwrap())
                })
            })
            .collect();
        drop(out);
        for writing in writing {
            writing.join().unwrap();
        }
        let text = reading.join().unwrap().unwrap();
        let whole = |line: &str| {
            line.len() == 100_000 && line.bytes().all(|byte| line.as_bytes()[0] == byte)
        };
        assert!(text.lines().count() == 40 && text.lines().all(whole));
    }

    #[test]
    fn nobody_waits_for_a_full_pipe() {
        let (mut reader, mut pipe) = std::io::pipe().unwrap();
        pipe.write_all(&[b'x'; 1 << 16]).unwrap();
        let (mut lines, guard) = lines_to(pipe);
        for _ in 0..2 * LOG_LINES_MAX {
            lines.write_all(b"a line\n").unwrap();
        }
        let dropped = lines.error_counter().dropped_lines();
        // One may be in the hands of the thread.
        assert!(
            (LOG_LINES_MAX - 1..=LOG_LINES_MAX).contains(&dropped),
            "{dropped}"
        );
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        drop(guard);
        drop(lines);
        let text = reading.join().unwrap().unwrap();
        let written = text.matches("a line\n").count();
        assert_eq!(written, 2 * LOG_LINES_MAX - dropped);
    }
}
