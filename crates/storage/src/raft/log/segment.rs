//! A segment that is open, and where its entries stand.

use super::super::codec::Reader;
use super::super::disk::DiskFile;
use super::super::failure::{corrupt, explain};
use super::super::types::LogEntry;
use super::format::{FRAME_HEAD_BYTES, FrameHead, Record};
use crate::{Result, StorageError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A run of entries is found by its start and read through; it is about this long.
const RUN_BYTES: u64 = 64 * 1024;

/// Consecutive entries that stand in consecutive frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The frame the first entry stands in.
    pub(crate) offset: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// A segment of the log.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(crate) bytes: u64,
    pub(crate) runs: Vec<Run>,
    /// Entries were cut off: the next ones start a run, since the cut ones are still in the file.
    pub(crate) cut: bool,
    /// The last index of the log where this segment ends.
    pub(crate) last: Option<u64>,
}

impl Segment {
    /// Notes that the frame at `offset` holds these entries.
    pub(crate) fn note(&mut self, offset: u64, first: u64, last: u64) {
        match self.runs.last_mut() {
            Some(run) if !self.cut && run.last + 1 == first && offset < run.offset + RUN_BYTES => {
                run.last = last;
            }
            _ => self.runs.push(Run {
                offset,
                first,
                last,
            }),
        }
        self.cut = false;
    }

    /// Forgets where entries from `index` on stand.
    pub(crate) fn forget_from(&mut self, index: u64) {
        self.cut = true;
        self.runs.retain(|run| run.first < index);
        if let Some(run) = self.runs.last_mut() {
            run.last = run.last.min(index.saturating_sub(1));
        }
    }

    /// The runs that hold entries of the range.
    pub(crate) fn runs_of(&self, first: u64, end: u64) -> impl Iterator<Item = Run> + '_ {
        self.runs
            .iter()
            .copied()
            .filter(move |run| run.first < end && run.last >= first)
    }
}

/// Reads one frame into `frame`, head included; `None` where no whole frame stands there.
pub(crate) fn read_frame(
    file: &dyn DiskFile,
    segment: u64,
    (offset, end): (u64, u64),
    frame: &mut Vec<u8>,
) -> std::io::Result<Option<FrameHead>> {
    let room = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
    if room < FRAME_HEAD_BYTES {
        return Ok(None);
    }
    frame.resize(FRAME_HEAD_BYTES, 0);
    file.read_at(offset, frame)?;
    let Some(head) = FrameHead::decode(frame) else {
        return Ok(None);
    };
    if room - FRAME_HEAD_BYTES < head.body_bytes {
        return Ok(None);
    }
    frame.resize(FRAME_HEAD_BYTES + head.body_bytes, 0);
    if let Some(body) = frame.get_mut(FRAME_HEAD_BYTES..) {
        file.read_at(offset + FRAME_HEAD_BYTES as u64, body)?;
    }
    Ok(head.covers(segment, offset, frame).then_some(head))
}

/// The records of a whole frame.
pub(crate) fn records(frame: &[u8], path: &Path, offset: u64) -> Result<Vec<Record>> {
    let broken = || corrupt(path, format!("the record at {offset} cannot be read"));
    let mut body = Reader::new(frame.get(FRAME_HEAD_BYTES..).unwrap_or_default());
    let mut records = Vec::new();
    while !body.is_empty() {
        records.push(Record::decode(&mut body).map_err(|_| broken())?);
    }
    Ok(records)
}

/// Reads the entries of a run that the range asks for.
pub(crate) fn read_run(
    segment: &Segment,
    run: Run,
    (first, end): (u64, u64),
    into: &mut Vec<LogEntry>,
) -> Result<()> {
    let io = |error| explain(&segment.path, error);
    let wanted = first.max(run.first)..end.min(run.last + 1);
    let mut next = run.first;
    let mut offset = run.offset;
    let mut frame = Vec::new();
    let length = segment.file.len().map_err(io)?;
    while next < wanted.end {
        let head = read_frame(&*segment.file, segment.number, (offset, length), &mut frame)
            .map_err(io)?
            .ok_or_else(|| damaged(segment, offset))?;
        for record in records(&frame, &segment.path, offset)? {
            let Record::Entry(entry) = record else {
                continue;
            };
            if entry.log_id.index != next {
                continue;
            }
            next += 1;
            if wanted.contains(&entry.log_id.index) {
                into.push(entry);
            }
        }
        offset += (FRAME_HEAD_BYTES + head.body_bytes) as u64;
    }
    Ok(())
}

fn damaged(segment: &Segment, offset: u64) -> StorageError {
    corrupt(&segment.path, format!("no whole record stands at {offset}"))
}
