//! The thread that writes the log.

use super::super::disk::{DiskFile, DiskLock, Open};
use super::super::failure::explain;
use super::format::{FRAME_HEAD_BYTES, Facts, Head, Place, seal_frame};
use super::segment::Segment;
use super::{Chunk, Log, LogConfig, State};
use crate::{Result, StorageError};
use parking_lot::MutexGuard;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Writes and syncs what stands in line.
#[derive(Debug)]
pub(super) struct Writer {
    log: Arc<Log>,
    /// Held until nothing is written any more.
    _lock: Arc<DiskLock>,
    /// What the frames on disk come to.
    facts: Facts,
    /// How much of the last segment is synced. The mark at its end is not, so that no later frame
    /// may count on it.
    synced: u64,
    /// The length of the last segment's file: zeros stand between its last frame and here.
    room: u64,
}

/// So many zeros are written behind a frame that the file has no room for.
///
/// A sync of a file that has grown makes its length durable too, which takes a journal of the file system
/// many times as long as the data. So the file grows once for many frames.
const ROOM_BYTES: u64 = 1024 * 1024;

/// Makes a segment: it has its name only when its head is durable.
pub(super) fn create_segment(
    config: &LogConfig,
    number: u64,
    previous_bytes: u64,
    facts: Facts,
) -> Result<Segment> {
    let path = config.segment_path(number);
    let head = Head {
        cluster: config.cluster,
        node: config.node,
        number,
        previous_bytes,
        facts,
    };
    let head = head.encode();
    let make = || {
        let fresh = path.with_extension("tmp");
        let file = config.disk.open(&fresh, Open::Fresh)?;
        file.write_at(0, &head)?;
        file.sync()?;
        config.disk.rename(&fresh, &path)?;
        config.disk.sync_dir(&config.directory)?;
        Ok(file)
    };
    let file = make().map_err(|error| explain(&path, error))?;
    let bytes = head.len() as u64;
    let last = facts.last.map(|last| last.index);
    Ok(Segment {
        number,
        path,
        file,
        bytes,
        runs: Vec::new(),
        cut: true,
        last,
    })
}

/// A frame on its way to the disk.
struct Flight {
    segment: Segment,
    offset: u64,
    data: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl Writer {
    pub(super) fn new(log: Arc<Log>, lock: Arc<DiskLock>) -> Self {
        let state = log.state.lock();
        let facts = state.facts;
        let segment = state.segments.back();
        let synced = segment.map_or(0, |segment| segment.bytes);
        // Where it cannot be told, the next frame makes room.
        let room = segment.and_then(|segment| segment.file.len().ok());
        drop(state);
        Self {
            log,
            _lock: lock,
            facts,
            synced,
            room: room.unwrap_or_default(),
        }
    }

    pub(super) fn run(mut self) {
        while let Some(flight) = self.take() {
            let mut flight = flight;
            let chunks = std::mem::take(&mut flight.chunks);
            let written = self.write(&flight);
            let failed = written.as_ref().err().map(|error| {
                self.log.failure.set(error.clone());
                error.to_string()
            });
            if failed.is_none() {
                self.written(&chunks, flight.offset + flight.data.len() as u64);
            }
            for waiting in chunks.into_iter().flat_map(|chunk| chunk.waiting) {
                waiting.tell(
                    failed
                        .clone()
                        .map_or(Ok(()), |what| Err(io::Error::other(what))),
                );
            }
            let done = match failed {
                None => self.tidy(&flight),
                Some(_) => {
                    self.refuse_line();
                    return;
                }
            };
            if let Err(error) = done {
                self.log.failure.set(error);
                self.refuse_line();
                return;
            }
        }
    }

    /// Waits for somebody in line and takes all of it; `None` at the end.
    fn take(&mut self) -> Option<Flight> {
        let log = Arc::clone(&self.log);
        let mut state = log.state.lock();
        loop {
            if state.urgent || (state.stopped && !state.line.is_empty()) {
                return self.take_line(state);
            }
            if state.stopped {
                return None;
            }
            log.wake.wait(&mut state);
        }
    }

    /// Lays the frames out behind each other and notes where their entries will stand.
    fn take_line(&mut self, mut state: MutexGuard<'_, State>) -> Option<Flight> {
        state.urgent = false;
        let mut chunks: Vec<Chunk> = std::mem::take(&mut state.line).into();
        let mut previous = state.previous;
        let segment = state.segments.back_mut()?;
        let offset = segment.bytes;
        let mut data = Vec::new();
        for chunk in &mut chunks {
            let place = Place {
                segment: segment.number,
                offset: segment.bytes,
                previous,
            };
            previous = seal_frame(&mut chunk.frame, place, self.synced);
            if let Some((first, last)) = chunk.entries {
                segment.note(segment.bytes, first, last);
            }
            segment.bytes += chunk.frame.len() as u64;
            segment.last = chunk.facts.last.map(|last| last.index);
            if data.is_empty() {
                data = std::mem::take(&mut chunk.frame);
            } else {
                data.append(&mut chunk.frame);
            }
        }
        let segment = segment.clone();
        state.previous = previous;
        Some(Flight {
            segment,
            offset,
            data,
            chunks,
        })
    }

    fn write(&mut self, flight: &Flight) -> Result<()> {
        let Segment { file, path, .. } = &flight.segment;
        if let Err(error) = file.write_at(flight.offset, &flight.data) {
            // What part of it was written must not come back as a record.
            let cut = file.set_len(flight.offset).and_then(|()| file.sync_all());
            return Err(match (cut, explain(path, error)) {
                (Ok(()), refused) => refused,
                (Err(_), other) => StorageError::Stopped {
                    reason: other.to_string(),
                },
            });
        }
        self.make_room(&**file, flight.offset + flight.data.len() as u64);
        file.sync().map_err(|error| {
            let reason = explain(path, error).to_string();
            StorageError::Stopped {
                reason: format!("a write could not be made durable: {reason}"),
            }
        })
    }

    /// Writes zeros behind a frame that ends here, where the file ends too. They are synced with it.
    fn make_room(&mut self, file: &dyn DiskFile, end: u64) {
        if end <= self.room {
            return;
        }
        // A segment is closed where it is full.
        let upto = (end + ROOM_BYTES).min(self.log.config.segment_bytes.max(end));
        let zeros = vec![0; usize::try_from(upto - end).unwrap_or_default()];
        self.room = match file.write_at(end, &zeros) {
            Ok(()) => upto,
            // On a disk that is nearly full, frames have what is left.
            Err(_) => end,
        };
    }

    fn written(&mut self, chunks: &[Chunk], synced: u64) {
        self.synced = synced;
        if let Some(chunk) = chunks.last() {
            self.facts = chunk.facts;
        }
        let durable = self.facts.last.map(|last| last.index);
        let bytes = self.log.config.cache_bytes;
        let mut state = self.log.state.lock();
        state.durable = durable;
        state.cache.evict(bytes, durable.unwrap_or(0));
    }

    /// What follows a sync: mark it where nobody waits, drop purged segments, close a full one.
    fn tidy(&mut self, flight: &Flight) -> Result<()> {
        self.drop_purged()?;
        let end = flight.offset + flight.data.len() as u64;
        if end >= self.log.config.segment_bytes {
            return self.rotate(flight.segment.number, end);
        }
        // What stands in line and is not urgent may stand there for long.
        if !self.log.state.lock().urgent {
            return self.mark();
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<()> {
        let log = Arc::clone(&self.log);
        let mut frame = vec![0; FRAME_HEAD_BYTES];
        let mut state = log.state.lock();
        let previous = state.previous;
        let Some(segment) = state.segments.back_mut() else {
            return Ok(());
        };
        let offset = segment.bytes;
        let place = Place {
            segment: segment.number,
            offset,
            previous,
        };
        let checksum = seal_frame(&mut frame, place, self.synced);
        segment.bytes += frame.len() as u64;
        let segment = segment.clone();
        state.previous = checksum;
        drop(state);
        self.room = self.room.max(segment.bytes);
        let written = segment.file.write_at(offset, &frame);
        written.map_err(|error| explain(&segment.path, error))
    }

    fn rotate(&mut self, number: u64, bytes: u64) -> Result<()> {
        let segment = create_segment(&self.log.config, number + 1, bytes, self.facts)?;
        self.synced = segment.bytes;
        self.room = segment.bytes;
        let mut state = self.log.state.lock();
        state.segments.push_back(segment);
        state.previous = 0;
        drop(state);
        self.log.rotated.notify_one();
        Ok(())
    }

    /// Removes the segments whose entries are all purged, durably so.
    fn drop_purged(&self) -> Result<()> {
        let Some(purged) = self.facts.purged else {
            return Ok(());
        };
        let mut gone = VecDeque::new();
        let mut state = self.log.state.lock();
        while state.segments.len() > 1
            && let Some(oldest) = state.segments.front()
            && oldest.last.is_none_or(|last| last <= purged.index)
        {
            gone.extend(state.segments.pop_front());
        }
        drop(state);
        if gone.is_empty() {
            return Ok(());
        }
        let directory = &self.log.config.directory;
        for segment in gone {
            let removed = self.log.config.disk.remove(&segment.path);
            removed.map_err(|error| explain(&segment.path, error))?;
            // One by one and in order: a gap would look like a missing segment.
            let synced = self.log.config.disk.sync_dir(directory);
            synced.map_err(|error| explain(directory, error))?;
        }
        Ok(())
    }

    /// Tells everybody in line that nothing is written any more.
    fn refuse_line(&self) {
        let line = std::mem::take(&mut self.log.state.lock().line);
        let what = self
            .log
            .failure
            .get()
            .map_or_else(String::new, |error| error.to_string());
        for waiting in line.into_iter().flat_map(|chunk| chunk.waiting) {
            waiting.tell(Err(io::Error::other(what.clone())));
        }
    }
}
