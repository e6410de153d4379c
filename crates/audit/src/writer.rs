//! [`Writer`]: what a file device's thread does, and the chain of its lines.

use crate::AuditError;
use crate::conceal::push_hex;
use crate::file::{FileId, FileOptions};
use crate::queue::Lines;
use parking_lot::Mutex;
use secretum_crypto::Sha256;
use serde::Deserialize;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// A buffer is kept up to this capacity, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// How much of a file is read at once to find its last line, in bytes.
const BLOCK_BYTES: u64 = 64 << 10;

/// How much of a line's end holds its sequence and chain, in bytes.
const SEAL_BYTES: u64 = 160;

/// Writes records in the order they come.
pub(crate) struct Writer {
    options: FileOptions,
    file: File,
    /// Shared with the device.
    id: Arc<Mutex<FileId>>,
    chain: Chain,
    /// A failed write may have left part of a line.
    torn: bool,
    buffer: Vec<u8>,
}

impl Writer {
    /// Opens the file, to go on with the chain of its last line. The file is claimed until the writer
    /// is gone: two that write one file at once would fork its chain.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`].
    pub(crate) fn open(options: FileOptions) -> Result<Self, AuditError> {
        let mut file = options.claim()?;
        let (chain, torn) = Chain::resume(&mut file).map_err(|source| options.failed(source))?;
        let facts = file.metadata().map_err(|source| options.failed(source))?;
        let id = FileId::of(&facts);
        Ok(Self {
            options,
            file,
            id: Arc::new(Mutex::new(id)),
            chain,
            torn,
            buffer: Vec::new(),
        })
    }

    /// A writer on something that is open already.
    #[cfg(test)]
    pub(crate) fn on(options: FileOptions, file: File) -> Self {
        Self {
            options,
            file,
            id: Arc::default(),
            chain: Chain::default(),
            torn: false,
            buffer: Vec::new(),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.options.path()
    }

    /// Opens the file anew, after it was moved away; the chain goes on in the new one.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`]; the old file
    /// stays in use.
    pub(crate) fn reopen(&mut self) -> Result<(), AuditError> {
        let failed = |source| self.options.failed(source);
        let there = std::fs::metadata(self.options.path());
        if there.is_ok_and(|facts| FileId::of(&facts) == *self.id.lock()) {
            // It was not moved.
            return Ok(());
        }
        let mut file = self.options.claim()?;
        let facts = file.metadata().map_err(failed)?;
        let whole = last_line_end(&mut file, facts.len()).map_err(failed)?;
        *self.id.lock() = FileId::of(&facts);
        (self.file, self.torn) = (file, whole < facts.len());
        Ok(())
    }

    /// What the file is, now and after it was opened anew.
    pub(crate) fn file_id(&self) -> Arc<Mutex<FileId>> {
        Arc::clone(&self.id)
    }

    /// Writes these records with one call, all or none.
    ///
    /// **Errors**: [`AuditError::File`].
    pub(crate) fn write(&mut self, lines: &Lines) -> Result<(), AuditError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if self.torn {
            buffer.push(b'\n');
        }
        let mut chain = self.chain;
        for line in lines.iter() {
            chain.append(line, &mut buffer);
        }
        let written = self.write_all(&buffer);
        if written.is_ok() {
            (self.chain, self.torn) = (chain, false);
        }
        buffer.shrink_to(KEPT_BYTES_MAX);
        self.buffer = buffer;
        written
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

/// The hash over all lines so far, and their number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Chain {
    sequence: u64,
    head: [u8; 32],
}

/// How a line ends.
#[derive(Deserialize)]
struct LineEnd {
    sequence: u64,
    chain: String,
}

impl Chain {
    /// The chain behind the last whole line of a file, and whether part of a line stands behind it.
    /// A file whose last line tells of no chain begins a new one.
    fn resume(file: &mut File) -> std::io::Result<(Self, bool)> {
        let length = file.metadata()?.len();
        let end = last_line_end(file, length)?;
        let start = end.saturating_sub(SEAL_BYTES);
        let text = read_range(file, start, end)?;
        let text = String::from_utf8_lossy(&text);
        let chain = text
            .rsplit_once(",\"sequence\":")
            .and_then(|(_, end)| serde_json::from_str(&format!("{{\"sequence\":{end}")).ok())
            .and_then(|end: LineEnd| {
                let mut head = [0; 32];
                hex::decode_to_slice(end.chain, &mut head).ok()?;
                let sequence = end.sequence.checked_add(1)?;
                Some(Self { sequence, head })
            });
        Ok((chain.unwrap_or_default(), end < length))
    }

    /// Adds a line: its sequence, and the hash over the head before and the line up to there.
    fn append(&mut self, line: &[u8], buffer: &mut Vec<u8>) {
        let start = buffer.len();
        buffer.extend_from_slice(line);
        buffer.extend_from_slice(format!(",\"sequence\":{}", self.sequence).as_bytes());
        let mut hash = Sha256::new();
        hash.update(&self.head);
        hash.update(buffer.get(start..).unwrap_or_default());
        self.head = hash.finish();
        self.sequence += 1;
        buffer.extend_from_slice(b",\"chain\":\"");
        push_hex(&self.head, buffer);
        buffer.extend_from_slice(b"\"}\n");
    }
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
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    const LINE: &[u8] = br#"{"timestamp":"t""#;

    fn lines(count: usize) -> Lines {
        let mut lines = Lines::default();
        for _ in 0..count {
            lines.push(LINE);
        }
        lines
    }

    fn options(path: &Path) -> FileOptions {
        let options = BTreeMap::from([("file_path".to_owned(), path.display().to_string())]);
        FileOptions::read(&options, None).unwrap()
    }

    /// The sequences of a file, each line's chain checked against the line before.
    fn sequences(path: &PathBuf) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        let mut head = [0; 32];
        let mut sequences = Vec::new();
        for line in text.lines().filter(|line| line.contains("\"chain\"")) {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let mut hash = Sha256::new();
            hash.update(&head);
            hash.update(line.split(",\"chain\"").next().unwrap().as_bytes());
            head = hash.finish();
            assert_eq!(record["chain"], hex::encode(head));
            sequences.push(record["sequence"].as_u64().unwrap());
        }
        sequences
    }

    /// The longest that a file may become.
    fn longest(file: &File) -> u64 {
        let (mut fits, mut too_long) = (0, 1_u64 << 63);
        while too_long - fits > 1 {
            let middle = fits + (too_long - fits) / 2;
            match file.set_len(middle) {
                Ok(()) => fits = middle,
                Err(_) => too_long = middle,
            }
        }
        fits
    }

    #[test]
    fn a_file_that_was_full_goes_on_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let options = options(&path);
        let mut writer = Writer::open(options.clone()).unwrap();
        let file = writer.file.try_clone().unwrap();
        let most = longest(&file);
        // No room at all, and room for half of a record.
        for room in [0, 40] {
            file.set_len(most - room).unwrap();
            assert!(writer.write(&lines(1)).is_err());
            assert_eq!(file.metadata().unwrap().len(), most - room);
        }
        file.set_len(0).unwrap();
        writer.write(&lines(1)).unwrap();
        writer.write(&lines(2)).unwrap();
        assert_eq!(sequences(&path), [0, 1, 2]);
    }

    #[test]
    fn the_chain_goes_on_where_the_file_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        for opened in 0..3_u64 {
            let mut writer = Writer::open(options(&path)).unwrap();
            writer.write(&lines(2)).unwrap();
            assert_eq!(sequences(&path).len() as u64, 2 * (opened + 1));
        }
        assert_eq!(sequences(&path), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_chain_goes_on_in_the_file_behind_a_moved_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (
            folder.path().join("audit.log"),
            folder.path().join("audit.1"),
        );
        let mut writer = Writer::open(options(&path)).unwrap();
        writer.write(&lines(2)).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        writer.write(&lines(1)).unwrap();
        writer.reopen().unwrap();
        writer.write(&lines(2)).unwrap();
        writer.reopen().unwrap();
        writer.write(&lines(1)).unwrap();
        assert_eq!(sequences(&moved), [0, 1, 2]);
        let whole = folder.path().join("whole");
        let both = [&moved, &path]
            .map(|path| std::fs::read(path).unwrap())
            .concat();
        std::fs::write(&whole, both).unwrap();
        assert_eq!(sequences(&whole), [0, 1, 2, 3, 4, 5]);
        // What cannot be opened leaves the old file in use.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(writer.reopen().is_err());
        writer.write(&lines(1)).unwrap();
    }

    #[test]
    fn a_torn_line_stays_apart_and_breaks_no_chain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        Writer::open(options(&path))
            .unwrap()
            .write(&lines(2))
            .unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        // Longer than what is looked at at once.
        let torn = [LINE, &vec![b'x'; 200 << 10]].concat();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(&torn).unwrap();
        assert_eq!(
            last_line_end(&mut File::open(&path).unwrap(), whole + torn.len() as u64).unwrap(),
            whole
        );
        Writer::open(options(&path))
            .unwrap()
            .write(&lines(1))
            .unwrap();
        assert_eq!(sequences(&path), [0, 1, 2]);
    }

    #[test]
    fn a_log_without_a_chain_begins_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        std::fs::write(&path, "{\"timestamp\":\"t\"}\n").unwrap();
        Writer::open(options(&path))
            .unwrap()
            .write(&lines(1))
            .unwrap();
        assert_eq!(sequences(&path), [0]);
    }
}
