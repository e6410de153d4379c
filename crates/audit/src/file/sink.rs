//! [`FileSink`]: records at the end of a file, which goes on where it ended.

use super::{FileId, FileOptions};
use crate::AuditError;
use crate::chain::{Chain, SEAL_BYTES};
use crate::queue::Lines;
use crate::sink::{Opened, Place, Sink, Unwritten};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// How much of a file is read at once to find its last line, in bytes.
const BLOCK_BYTES: u64 = 64 << 10;

/// A file that is claimed: two that write one file at once would fork its chain.
pub(crate) struct FileSink {
    options: FileOptions,
    file: File,
    /// Shared with the device.
    id: Arc<Mutex<FileId>>,
    /// A failed write may have left part of a line.
    torn: bool,
    /// What is written next stands in another file, or behind part of a line.
    is_new: bool,
    /// It was moved away, and none could be opened in its place.
    is_stuck: bool,
}

impl FileSink {
    /// Opens the file, to go on with the chain of its last line. The file is claimed until the sink is
    /// gone.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`].
    pub(crate) fn open(options: FileOptions) -> Result<Opened, AuditError> {
        let mut file = options.claim()?;
        let (chain, torn) = resume(&mut file).map_err(|source| options.failed(source))?;
        let facts = file.metadata().map_err(|source| options.failed(source))?;
        let id = Arc::new(Mutex::new(FileId::of(&facts)));
        let place = Place::File {
            path: options.path.clone(),
            id: Arc::clone(&id),
        };
        let sink = Self {
            options,
            file,
            id,
            torn,
            is_new: false,
            is_stuck: false,
        };
        Ok(Opened {
            sink: Box::new(sink),
            chain,
            place,
        })
    }

    /// A sink on something that is open already, and that is found by the path of its options.
    #[cfg(test)]
    pub(crate) fn on(options: FileOptions, file: File) -> Self {
        let facts = file.metadata().unwrap();
        Self {
            options,
            file,
            id: Arc::new(Mutex::new(FileId::of(&facts))),
            torn: false,
            is_new: false,
            is_stuck: false,
        }
    }

    /// Whether another file, or none, stands where this one was opened.
    fn was_moved(&self) -> bool {
        let there = std::fs::metadata(&self.options.path);
        !there.is_ok_and(|facts| FileId::of(&facts) == *self.id.lock())
    }

    /// Goes on in a new file where this one was moved away or deleted.
    ///
    /// **Errors**: where there can be no new one, and nobody could ever read this one.
    fn follow(&mut self) -> Result<(), AuditError> {
        let Err(error) = self.reopen() else {
            self.is_stuck = false;
            return Ok(());
        };
        let facts = self.file.metadata();
        if facts.is_ok_and(|facts| facts.nlink() == 0) {
            return Err(error);
        }
        if !std::mem::replace(&mut self.is_stuck, true) {
            tracing::error!(%error, "an audit file was moved, and goes on at its new place");
        }
        Ok(())
    }

    /// Writes all of the bytes, or none where it can: what was written of a record that failed is cut
    /// off again, so that the file goes on with a whole line, and begins with one.
    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), AuditError> {
        let mut partly = 0_u64;
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(written) if written > 0 => {
                    partly += written as u64;
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                refused => {
                    let error = refused.err().unwrap_or_else(|| ErrorKind::WriteZero.into());
                    self.torn |= partly > 0 && self.cut_off(partly).is_err();
                    self.is_new |= self.torn;
                    return Err(self.options.failed(error));
                }
            }
        }
        Ok(())
    }

    fn cut_off(&self, bytes: u64) -> std::io::Result<()> {
        let length = self.file.metadata()?.len();
        self.file.set_len(length.saturating_sub(bytes))
    }
}

impl Sink for FileSink {
    fn moves_on(&mut self) -> Result<bool, AuditError> {
        self.follow()?;
        Ok(std::mem::take(&mut self.is_new))
    }

    fn write(&mut self, lines: &Lines) -> Result<(), Unwritten> {
        let written = if self.torn {
            self.write_all(&[b"\n", lines.text()].concat())
        } else {
            self.write_all(lines.text())
        };
        written.map_err(Unwritten::Nothing)?;
        self.torn = false;
        Ok(())
    }

    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`]; the old file
    /// stays in use.
    fn reopen(&mut self) -> Result<(), AuditError> {
        if !self.was_moved() {
            return Ok(());
        }
        let failed = |source| self.options.failed(source);
        let mut file = self.options.claim()?;
        let facts = file.metadata().map_err(failed)?;
        let whole = last_line_end(&mut file, facts.len()).map_err(failed)?;
        *self.id.lock() = FileId::of(&facts);
        (self.file, self.torn) = (file, whole < facts.len());
        self.is_new = true;
        Ok(())
    }
}

/// The chain behind the last whole line of a file, and whether part of a line stands behind it.
fn resume(file: &mut File) -> std::io::Result<(Chain, bool)> {
    let length = file.metadata()?.len();
    let end = last_line_end(file, length)?;
    let text = read_range(file, end.saturating_sub(SEAL_BYTES), end)?;
    Ok((Chain::behind(&text), end < length))
}

/// Where the last line of a file ends that is whole; 0 without one.
fn last_line_end(file: &mut File, length: u64) -> std::io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        let block = read_range(file, start, end)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn read_range(file: &mut File, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    Read::take(file, end - start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
