//! The newest entries of the log, in memory.

use super::super::types::LogEntry;
use std::collections::VecDeque;

/// Consecutive entries up to the last one of the log.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: VecDeque<(LogEntry, usize)>,
    bytes: usize,
}

impl Cache {
    /// Adds the next entry, which takes about `bytes`.
    pub(super) fn push(&mut self, entry: LogEntry, bytes: usize) {
        self.bytes += bytes;
        self.entries.push_back((entry, bytes));
    }

    /// The index of the oldest entry it holds.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|(entry, _)| entry.log_id.index)
    }

    /// Drops entries from `index` on.
    pub(super) fn truncate(&mut self, index: u64) {
        while let Some((_, bytes)) = self
            .entries
            .pop_back_if(|(entry, _)| entry.log_id.index >= index)
        {
            self.bytes -= bytes;
        }
    }

    /// Drops entries up to `index`.
    pub(super) fn purge(&mut self, index: u64) {
        while let Some((_, bytes)) = self
            .entries
            .pop_front_if(|(entry, _)| entry.log_id.index <= index)
        {
            self.bytes -= bytes;
        }
    }

    /// Drops the oldest entries up to `written` while there are more than `bytes_max`.
    pub(super) fn evict(&mut self, bytes_max: usize, written: u64) {
        while self.bytes > bytes_max
            && let Some((_, bytes)) = self
                .entries
                .pop_front_if(|(entry, _)| entry.log_id.index <= written)
        {
            self.bytes -= bytes;
        }
    }

    /// The entries of a range that it holds.
    pub(super) fn range(&self, first: u64, end: u64) -> impl Iterator<Item = LogEntry> + '_ {
        let skip = self.first().map_or(0, |start| first.saturating_sub(start));
        self.entries
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .map(|(entry, _)| entry)
            .take_while(move |entry| entry.log_id.index < end)
            .cloned()
    }
}
