//! Reads a log back after a start, and tells a torn end from damage.
//!
//! A crash leaves at most the last write torn: what was not yet synced, and so not acknowledged.
//! It is cut off. A frame that cannot be read although a later frame says that it was synced is
//! damage, and so is anything wrong with a segment that has a successor: the log is refused, since
//! what was acknowledged is gone.

use super::super::failure::{corrupt, explain};
use super::format::{BadHead, FRAME_HEAD_BYTES, Facts, HEAD_BYTES_MAX, Head, Record, find_frame};
use super::segment::{Segment, read_frame, records};
use super::{LogConfig, State};
use crate::raft::disk::Open;
use crate::{Result, StorageError};
use std::path::Path;

/// How far a frame is looked for at once.
const SEARCH_BYTES: usize = 256 * 1024;

/// Reads every segment of the directory.
pub(super) fn recover(config: &LogConfig) -> Result<State> {
    let mut state = State::default();
    let numbers = numbers(config)?;
    let mut previous: Option<u64> = None;
    for (place, number) in numbers.iter().copied().enumerate() {
        if previous.is_some_and(|previous| previous + 1 != number) {
            let missing = config.segment_path(number - 1);
            return Err(corrupt(&missing, "a segment of the log is missing"));
        }
        let tail = place + 1 == numbers.len();
        recover_segment(config, &mut state, number, tail)?;
        previous = Some(number);
    }
    check_start(config, &state)?;
    // What a crash left in the system's cache is made durable before anybody reads it.
    if let Some(segment) = state.segments.back() {
        segment
            .file
            .sync_all()
            .map_err(|error| explain(&segment.path, error))?;
        config
            .disk
            .sync_dir(&config.directory)
            .map_err(|error| explain(&segment.path, error))?;
    }
    Ok(state)
}

/// The numbers of the segments in the directory; what a crash left half made is removed.
fn numbers(config: &LogConfig) -> Result<Vec<u64>> {
    let io = |error| explain(&config.directory, error);
    let mut numbers = Vec::new();
    let mut removed = false;
    for name in config.disk.list(&config.directory).map_err(io)? {
        if name.ends_with(".tmp") {
            config
                .disk
                .remove(&config.directory.join(&name))
                .map_err(io)?;
            removed = true;
        } else if let Some(number) = name.strip_suffix(".log").and_then(|it| it.parse().ok()) {
            numbers.push(number);
        }
    }
    if removed {
        // The name is used again: what it stood for must not come back under the next one.
        config.disk.sync_dir(&config.directory).map_err(io)?;
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn recover_segment(config: &LogConfig, state: &mut State, number: u64, tail: bool) -> Result<()> {
    let path = config.segment_path(number);
    let io = |error| explain(&path, error);
    let file = config.disk.open(&path, Open::Existing).map_err(io)?;
    let length = file.len().map_err(io)?;
    let head_bytes = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(HEAD_BYTES_MAX);
    let mut head = vec![0; head_bytes];
    file.read_at(0, &mut head).map_err(io)?;
    let (head, head_bytes) = Head::decode(&head).map_err(|bad| refuse_head(&path, &bad))?;
    check_head(config, state, &head, number, &path)?;
    let mut segment = Segment {
        number,
        path,
        file,
        bytes: head_bytes as u64,
        runs: Vec::new(),
        cut: true,
        last: None,
    };
    state.facts = head.facts;
    state.previous = 0;
    read_frames(config, state, &mut segment, length)?;
    if segment.bytes < length {
        mend_end(state, &segment, length, tail)?;
    }
    segment.last = state.facts.last.map(|last| last.index);
    state.segments.push_back(segment);
    Ok(())
}

fn refuse_head(path: &Path, bad: &BadHead) -> StorageError {
    match bad {
        BadHead::Damaged => corrupt(path, "its head cannot be read"),
        BadHead::Newer(version) => StorageError::Foreign {
            path: path.into(),
            what: format!(
                "it has log format {version}, which a newer version wrote: run that version"
            ),
        },
    }
}

fn check_head(
    config: &LogConfig,
    state: &State,
    head: &Head,
    number: u64,
    path: &Path,
) -> Result<()> {
    if (head.cluster, head.node, head.number) != (config.cluster, config.node, number) {
        return Err(corrupt(path, "it belongs to another log"));
    }
    let Some(previous) = state.segments.back() else {
        return Ok(());
    };
    if head.previous_bytes != previous.bytes || head.facts != state.facts {
        let what = format!(
            "it ends at {}, not at {}",
            previous.bytes, head.previous_bytes
        );
        return Err(corrupt(&previous.path, what));
    }
    Ok(())
}

fn read_frames(
    config: &LogConfig,
    state: &mut State,
    segment: &mut Segment,
    length: u64,
) -> Result<()> {
    let mut frame = Vec::new();
    loop {
        let offset = segment.bytes;
        let head = read_frame(&*segment.file, segment.number, (offset, length), &mut frame)
            .map_err(|error| explain(&segment.path, error))?;
        let Some(head) = head.filter(|head| head.previous == state.previous) else {
            return Ok(());
        };
        let mut noted: Option<(u64, u64)> = None;
        for record in records(&frame, &segment.path, offset)? {
            state.facts = state
                .facts
                .after(&record)
                .map_err(|error| corrupt(&segment.path, format!("{error}, at {offset}")))?;
            match record {
                Record::Entry(entry) => {
                    let index = entry.log_id.index;
                    noted = Some((noted.map_or(index, |(first, _)| first), index));
                    state.cache.push(entry, frame.len());
                }
                Record::TruncateAfter(keep) => {
                    let index = keep.map_or(0, |keep| keep.index + 1);
                    state.cache.truncate(index);
                    segment.forget_from(index);
                    state
                        .segments
                        .iter_mut()
                        .for_each(|it| it.forget_from(index));
                }
                Record::Vote(_) | Record::Committed(_) => {}
                Record::Purge(upto) => state.cache.purge(upto.index),
            }
        }
        if let Some((first, last)) = noted {
            segment.note(offset, first, last);
        }
        segment.bytes += (FRAME_HEAD_BYTES + head.body_bytes) as u64;
        state.previous = head.checksum;
        state.cache.evict(config.cache_bytes, u64::MAX);
    }
}

/// Cuts off what a crash tore at the end of the last segment; refuses damage. The zeros that the writer put
/// there for later frames stay.
fn mend_end(state: &State, segment: &Segment, length: u64, tail: bool) -> Result<()> {
    let at = segment.bytes;
    if is_room(segment, length)? {
        // Where a segment has a successor, that one says where it ends.
        return Ok(());
    }
    let damage = || corrupt(&segment.path, format!("the record at {at} cannot be read"));
    if !tail || synced_later(segment, length)? {
        return Err(damage());
    }
    tracing::warn!(
        path = %segment.path.display(),
        at,
        bytes = length - at,
        last = state.facts.last.map(|last| last.index),
        "cut off a write that a crash left unfinished"
    );
    let io = |error| explain(&segment.path, error);
    segment.file.set_len(at).map_err(io)?;
    segment.file.sync_all().map_err(io)
}

/// Whether nothing but zeros stands behind the last frame.
fn is_room(segment: &Segment, length: u64) -> Result<bool> {
    let io = |error| explain(&segment.path, error);
    let mut at = segment.bytes;
    let mut window = vec![0; SEARCH_BYTES];
    while at < length {
        let bytes = usize::try_from(length - at).unwrap_or(usize::MAX);
        let window = match window.get_mut(..bytes) {
            Some(rest) => rest,
            None => &mut window,
        };
        segment.file.read_at(at, window).map_err(io)?;
        if window.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += window.len() as u64;
    }
    Ok(true)
}

/// Whether a frame behind the end says that more than what was read had been synced.
fn synced_later(segment: &Segment, length: u64) -> Result<bool> {
    let io = |error| explain(&segment.path, error);
    let mut at = segment.bytes + 1;
    let mut window = Vec::new();
    let mut frame = Vec::new();
    while at + (FRAME_HEAD_BYTES as u64) <= length {
        let room = usize::try_from(length - at).unwrap_or(usize::MAX);
        window.resize(room.min(SEARCH_BYTES), 0);
        segment.file.read_at(at, &mut window).map_err(io)?;
        let Some(found) = find_frame(&window) else {
            // A frame may start in the last bytes of the window.
            at += window.len().saturating_sub(3).max(1) as u64;
            continue;
        };
        at += found as u64;
        let head = read_frame(&*segment.file, segment.number, (at, length), &mut frame);
        if head
            .map_err(io)?
            .is_some_and(|head| head.synced > segment.bytes)
        {
            return Ok(true);
        }
        at += 1;
    }
    Ok(false)
}

/// Refuses a log whose first segments are gone although they were not purged.
fn check_start(config: &LogConfig, state: &State) -> Result<()> {
    let Some(first) = state.segments.front() else {
        return Ok(());
    };
    let Facts { purged, last, .. } = state.facts;
    let start = state
        .segments
        .iter()
        .find_map(|segment| segment.runs.first())
        .map(|run| run.first);
    let wanted = purged.map_or(0, |purged| purged.index + 1);
    let gap = match start {
        Some(start) => start > wanted,
        None => last.map_or(0, |last| last.index + 1) > wanted,
    };
    if gap && first.number > 1 {
        let missing = config.segment_path(first.number - 1);
        return Err(corrupt(&missing, "a segment of the log is missing"));
    }
    if gap {
        return Err(corrupt(&first.path, "its first entries are missing"));
    }
    Ok(())
}
