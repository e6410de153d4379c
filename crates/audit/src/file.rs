//! The file device: opening its file, and the thread that writes it.

use crate::AuditError;
use crate::conceal::push_hex;
use secretum_crypto::Sha256;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// The most bytes that one write to the file holds, beyond a single record.
const WRITE_BYTES: usize = 1 << 20;

/// Where a file device writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    path: PathBuf,
    mode: u32,
}

impl FileOptions {
    /// Reads the options `file_path` (or `path`) and `mode` (octal, 0600).
    ///
    /// **Errors**: [`AuditError::Option`] that names the option; also where `directory` is given and
    /// the file is not below it.
    pub fn read(
        options: &BTreeMap<String, String>,
        directory: Option<&Path>,
    ) -> Result<Self, AuditError> {
        let refuse = |text: String| Err(AuditError::Option(text));
        let path = options.get("file_path").or_else(|| options.get("path"));
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return refuse("file_path is required".to_owned());
        };
        let path = PathBuf::from(path);
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return refuse("file_path must be absolute and cannot hold `..`".to_owned());
        }
        if let Some(directory) = directory
            && !is_below(&path, directory)
        {
            return refuse(format!("file_path must be below `{}`", directory.display()));
        }
        let mode = options.get("mode").map_or("0600", String::as_str);
        match u32::from_str_radix(mode, 8) {
            Ok(mode) if mode <= 0o777 && mode & 0o111 == 0 => Ok(Self { path, mode }),
            _ => refuse(format!(
                "mode must be octal and without execute bits, not `{mode}`"
            )),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file at its end. One that holds something else than an audit log, or that can be
    /// executed, is not touched: an audit device once was the way to run code on a Vault.
    pub(crate) fn open(&self) -> Result<File, AuditError> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(self.mode)
            // A link could lead anywhere.
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path)
            .map_err(|source| self.failed(source))?;
        let facts = file.metadata().map_err(|source| self.failed(source))?;
        let mut first = [0; 13];
        let foreign = facts.len() > 0
            && (file.read_exact(&mut first).is_err() || &first != b"{\"timestamp\":");
        if !facts.is_file() || facts.mode() & 0o111 != 0 || foreign {
            return Err(AuditError::Option(format!(
                "`{}` exists and is no audit log: choose another file",
                self.path.display()
            )));
        }
        Ok(file)
    }

    fn failed(&self, source: std::io::Error) -> AuditError {
        AuditError::File {
            path: self.path.clone(),
            source: Arc::new(source),
        }
    }
}

/// Whether a file stands below a folder, links of both resolved.
fn is_below(file: &Path, folder: &Path) -> bool {
    let resolved = file.parent().and_then(|parent| parent.canonicalize().ok());
    match (resolved, folder.canonicalize()) {
        (Some(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}

/// A record on its way to the file.
pub(crate) struct Job {
    /// The line as [`crate::Record`] renders it.
    pub(crate) line: Vec<u8>,
    /// Told when the file took it.
    pub(crate) done: oneshot::Sender<Result<(), AuditError>>,
}

/// Writes records in the order they come, as many as wait with one call.
pub(crate) struct Writer {
    options: FileOptions,
    file: File,
    chain: Chain,
    /// A failed write may have left part of a line.
    torn: bool,
}

impl Writer {
    pub(crate) fn new(options: FileOptions, file: File) -> Self {
        Self {
            options,
            file,
            chain: Chain::default(),
            torn: false,
        }
    }

    /// Serves until every sender is gone.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            self.serve(first, jobs);
        }
    }

    /// Writes a record, and those that wait behind it.
    fn serve(&mut self, first: Job, jobs: &Receiver<Job>) {
        let mut chain = self.chain;
        let mut buffer = Vec::with_capacity(first.line.len() + 128);
        if self.torn {
            buffer.push(b'\n');
        }
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            chain.append(&job.line, &mut buffer);
            waiting.push(job.done);
            next = if buffer.len() < WRITE_BYTES {
                jobs.try_recv().ok()
            } else {
                None
            };
        }
        let written = self.write(&buffer);
        if written.is_ok() {
            (self.chain, self.torn) = (chain, false);
        }
        for done in waiting {
            // Who no longer waits has given up on its request.
            let _ = done.send(written.clone());
        }
    }

    /// Writes all of the bytes, or none where it can: what was written of a record that failed is cut
    /// off again, so that the file goes on with a whole line, and begins with one.
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), AuditError> {
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
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    sequence: u64,
    head: [u8; 32],
}

impl Chain {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn job() -> Job {
        Job {
            line: br#"{"timestamp":"t""#.to_vec(),
            done: oneshot::channel().0,
        }
    }

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
        let options = BTreeMap::from([("file_path".to_owned(), path.to_str().unwrap().to_owned())]);
        let options = FileOptions::read(&options, None).unwrap();
        let file = options.open().unwrap();
        let most = longest(&file);
        let mut writer = Writer::new(options.clone(), file.try_clone().unwrap());
        let (_queue, jobs) = sync_channel(1);
        // No room at all, and room for half of a record.
        for room in [0, 40] {
            file.set_len(most - room).unwrap();
            writer.serve(job(), &jobs);
            assert_eq!(file.metadata().unwrap().len(), most - room);
        }
        file.set_len(0).unwrap();
        writer.serve(job(), &jobs);
        writer.serve(job(), &jobs);
        let text = std::fs::read_to_string(&path).unwrap();
        let sequences = text.lines().map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["sequence"].as_u64().unwrap()
        });
        assert_eq!(sequences.collect::<Vec<_>>(), [0, 1]);
        // The next start takes it for what it is.
        options.open().unwrap();
    }
}
