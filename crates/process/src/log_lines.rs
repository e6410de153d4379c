//! [`log_lines()`]: lines of the log, written to standard error by a thread of its own.

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// How many lines may wait to be written.
pub const LOG_LINES_MAX: usize = 8_192;

/// Writes what still waits, within a second, when it is dropped. Lines that come later are lost.
#[derive(Debug)]
#[must_use = "lines are lost once it is dropped"]
pub struct LogGuard(#[expect(dead_code, reason = "it is held")] WorkerGuard);

/// Where the log writes its lines, and what is held until the process ends. Whoever logs never waits for
/// who reads standard error: where [`LOG_LINES_MAX`] lines wait, more are dropped.
pub fn log_lines() -> (NonBlocking, LogGuard) {
    lines_to(std::io::stderr())
}

fn lines_to(out: impl std::io::Write + Send + 'static) -> (NonBlocking, LogGuard) {
    let (lines, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_MAX)
        .lossy(true)
        .thread_name("log")
        .finish(out);
    (lines, LogGuard(guard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

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
