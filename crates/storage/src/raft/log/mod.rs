//! The Raft log: segments of checksummed frames, written and synced by one thread.
//!
//! Writers put their records in line and wait; the thread takes all that stands in line, writes it
//! as one frame, syncs once, and tells everyone in it. So writers share a sync, and none waits for
//! more than the one under way and its own.
//!
//! Why not the crate `raft-log`: it cuts a torn end only where the end is missing or all zeros, so
//! that after a power cut that kept a later page and lost an earlier one it does not open; it
//! cannot tell such an end from damage to what was acknowledged; and it keeps a record in memory
//! for every entry that is not purged. Here a frame names what was synced before it, so damage and
//! torn ends are told apart (see [`recover`]), and memory holds a bounded cache and one mark for
//! each 64 KiB of log.
//!
//! A segment's file is longer than its frames: zeros stand behind the last one, so that most syncs need
//! not make a new length durable.
//!
//! After each sync that leaves nobody in line, an empty frame says so without being synced itself:
//! should the process die and the last record then be damaged, it is known to have been there.

mod cache;
mod format;
#[cfg(feature = "fuzzing")]
pub(crate) use format::fuzzing;
mod recover;
mod segment;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use store::LogStore;

use super::disk::Disk;
use super::failure::Failure;
use super::types::{LogEntry, TypeConfig};
use crate::Result;
use cache::Cache;
use format::{Facts, Record};
use openraft::storage::IOFlushed;
use parking_lot::{Condvar, Mutex};
use segment::Segment;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

/// A frame is closed when its body is this long.
const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Where a log lives, and its limits.
#[derive(Debug, Clone)]
pub(crate) struct LogConfig {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) cluster: Uuid,
    pub(crate) node: u64,
    /// A segment is closed when it is longer.
    pub(crate) segment_bytes: u64,
    /// How much of the log stays in memory.
    pub(crate) cache_bytes: usize,
}

impl LogConfig {
    fn segment_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:020}.log"))
    }
}

/// A log, shared by its writer, its readers and those who put records in line.
#[derive(Debug)]
pub(crate) struct Log {
    config: LogConfig,
    failure: Failure,
    state: Mutex<State>,
    wake: Condvar,
    /// Told when a segment was closed.
    pub(crate) rotated: Notify,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the log holds and what stands in line.
#[derive(Debug, Default)]
struct State {
    /// With everything that stands in line.
    facts: Facts,
    cache: Cache,
    segments: VecDeque<Segment>,
    /// The checksum of the last frame of the last segment.
    previous: u32,
    line: VecDeque<Chunk>,
    /// The last entry that is durable.
    durable: Option<u64>,
    /// Whether somebody waits for the line to be written.
    urgent: bool,
    stopped: bool,
}

/// The records of a frame to come.
#[derive(Debug, Default)]
struct Chunk {
    /// With room for the frame's head.
    frame: Vec<u8>,
    /// The first and last entry in it, which follow each other without a gap.
    entries: Option<(u64, u64)>,
    /// What holds behind it.
    facts: Facts,
    waiting: Vec<Waiting>,
}

/// Somebody who waits for a sync.
enum Waiting {
    Entries(IOFlushed<TypeConfig>),
    Other(oneshot::Sender<io::Result<()>>),
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

impl Waiting {
    fn tell(self, result: io::Result<()>) {
        match self {
            Self::Entries(flushed) => flushed.io_completed(result),
            // Who no longer waits need not be told.
            Self::Other(sender) => drop(sender.send(result)),
        }
    }
}

impl State {
    /// Puts a record in line.
    fn put(&mut self, record: &Record) -> io::Result<()> {
        let facts = self.facts.after(record).map_err(io::Error::other)?;
        let full = self
            .line
            .back()
            .is_none_or(|chunk| chunk.frame.len() > FRAME_BYTES);
        // The entries of a frame follow each other without a gap.
        if full || matches!(record, Record::TruncateAfter(_) | Record::Purge(_)) {
            let frame = vec![0; format::FRAME_HEAD_BYTES];
            self.line.push_back(Chunk {
                frame,
                ..Chunk::default()
            });
        }
        let Some(chunk) = self.line.back_mut() else {
            return Ok(());
        };
        let start = chunk.frame.len();
        record.encode(&mut chunk.frame);
        chunk.facts = facts;
        self.facts = facts;
        match record {
            Record::Entry(entry) => {
                let index = entry.log_id.index;
                chunk.entries = Some((chunk.entries.map_or(index, |(first, _)| first), index));
                let bytes = chunk.frame.len() - start;
                self.cache.push(entry.clone(), bytes);
            }
            Record::TruncateAfter(keep) => self.forget_from(keep.map_or(0, |it| it.index + 1)),
            Record::Purge(upto) => self.cache.purge(upto.index),
            Record::Vote(_) | Record::Committed(_) => {}
        }
        Ok(())
    }

    fn forget_from(&mut self, index: u64) {
        self.cache.truncate(index);
        for segment in &mut self.segments {
            segment.forget_from(index);
        }
        for chunk in &mut self.line {
            chunk.entries = match chunk.entries {
                Some((first, last)) if first < index => Some((first, last.min(index - 1))),
                _ => None,
            };
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        self.urgent = true;
        match self.line.back_mut() {
            Some(chunk) => chunk.waiting.push(waiting),
            // Nothing is in line: everything is synced, or the writer holds it and this waits in
            // an empty frame behind it.
            None => {
                let frame = vec![0; format::FRAME_HEAD_BYTES];
                let facts = self.facts;
                self.line.push_back(Chunk {
                    frame,
                    entries: None,
                    facts,
                    waiting: vec![waiting],
                });
            }
        }
    }
}

impl Log {
    /// Reads the log back, or makes the first segment of a new one, and starts its writer.
    pub(crate) fn open(
        config: LogConfig,
        failure: Failure,
        lock: Arc<super::disk::DiskLock>,
    ) -> Result<Arc<Self>> {
        let mut state = recover::recover(&config)?;
        state.durable = state.facts.last.map(|last| last.index);
        if state.segments.is_empty() {
            let segment = writer::create_segment(&config, 1, 0, Facts::default())?;
            state.segments.push_back(segment);
        }
        let log = Arc::new(Self {
            config,
            failure,
            state: Mutex::new(state),
            wake: Condvar::new(),
            rotated: Notify::new(),
            thread: Mutex::new(None),
        });
        let writer = writer::Writer::new(Arc::clone(&log), lock);
        let thread = std::thread::Builder::new()
            .name("storage-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| super::failure::explain(&log.config.directory, error))?;
        *log.thread.lock() = Some(thread);
        Ok(log)
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<super::types::LogId> {
        self.state.lock().facts.last
    }

    /// Entries up to this one are gone.
    pub(crate) fn purged(&self) -> Option<super::types::LogId> {
        self.state.lock().facts.purged
    }

    /// The newest entry that may be purged so that at least `keep_bytes` of closed segments stay.
    pub(crate) fn purgeable(&self, keep_bytes: u64) -> Option<u64> {
        let state = self.state.lock();
        let mut kept = 0;
        for segment in state.segments.iter().rev().skip(1) {
            if kept >= keep_bytes {
                return segment.last;
            }
            kept += segment.bytes;
        }
        None
    }

    /// The last entry that is durable.
    pub(crate) fn durable(&self) -> Option<u64> {
        self.state.lock().durable
    }

    /// Has the writer end when it has written what stands in line.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.wake.notify_all();
    }

    /// Writes what stands in line, and ends the writer.
    pub(crate) fn close(&self) {
        self.stop();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer of the log panicked");
        }
    }

    fn write(&self, records: impl IntoIterator<Item = Record>) -> io::Result<()> {
        let mut state = self.state.lock();
        self.put_all(&mut state, records)
    }

    fn write_and_wait(
        &self,
        records: impl IntoIterator<Item = Record>,
        waiting: Waiting,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        self.put_all(&mut state, records)?;
        state.wait(waiting);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn put_all(
        &self,
        state: &mut State,
        records: impl IntoIterator<Item = Record>,
    ) -> io::Result<()> {
        if let Some(failure) = self.failure.get() {
            return Err(io::Error::other(failure.to_string()));
        }
        if state.stopped {
            return Err(io::Error::other("the log is closed"));
        }
        for record in records {
            state.put(&record)?;
        }
        Ok(())
    }

    /// The entries of a range that the log holds.
    fn read(&self, first: u64, end: u64) -> Result<Vec<LogEntry>> {
        let state = self.state.lock();
        let first = first.max(state.facts.purged.map_or(0, |purged| purged.index + 1));
        let end = end.min(state.facts.last.map_or(0, |last| last.index + 1));
        if first >= end {
            return Ok(Vec::new());
        }
        let cached = state.cache.first().unwrap_or(end).clamp(first, end);
        let tail: Vec<_> = state.cache.range(cached, end).collect();
        if first == cached {
            return Ok(tail);
        }
        let stored: Vec<_> = state
            .segments
            .iter()
            .flat_map(|segment| {
                segment
                    .runs_of(first, cached)
                    .map(|run| (segment.clone(), run))
            })
            .collect();
        drop(state);
        let mut entries = Vec::new();
        for (segment, run) in stored {
            segment::read_run(&segment, run, (first, cached), &mut entries)?;
        }
        entries.extend(tail);
        Ok(entries)
    }
}
