//! The log as Raft sees it.

use super::super::types::{LogEntry, LogId, TypeConfig, Vote};
use super::{Log, Record, Waiting};
use crate::raft::leading::Leading;
use crate::raft::node::Standing;
use crate::raft::state::StateHandle;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::{LogState, OptionalSend};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A handle of the log.
#[derive(Debug, Clone)]
pub(crate) struct LogStore {
    pub(crate) log: Arc<Log>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) leading: Arc<Leading>,
    pub(crate) state: Arc<StateHandle>,
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let first = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.log
            .read(first, end)
            .map_err(|error| self.log.failure.set(error))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.log.state.lock().facts.vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let facts = self.log.state.lock().facts;
        Ok(LogState {
            last_purged_log_id: facts.purged,
            last_log_id: facts.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.standing.voted(vote);
        let (sender, receiver) = oneshot::channel();
        self.log
            .write_and_wait([Record::Vote(*vote)], Waiting::Other(sender))?;
        receiver
            .await
            .map_err(|_| io::Error::other("the log is closed"))??;
        self.leading.voted(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        // Nobody waits for it: it is on disk with the next entries, or at the end.
        self.log.write([Record::Committed(committed)])
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.log.state.lock().facts.committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records = entries.into_iter().map(|entry| {
            self.standing.appended(&entry);
            Record::Entry(entry)
        });
        self.log.write_and_wait(records, Waiting::Entries(callback))
    }

    async fn truncate_after(&mut self, keep: Option<LogId>) -> Result<(), io::Error> {
        let (sender, receiver) = oneshot::channel();
        self.log
            .write_and_wait([Record::TruncateAfter(keep)], Waiting::Other(sender))?;
        receiver
            .await
            .map_err(|_| io::Error::other("the log is closed"))?
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        // INVARIANT: what the state would need after a power cut is never purged.
        self.state.checkpoint().await.map_err(io::Error::other)?;
        let (sender, receiver) = oneshot::channel();
        self.log
            .write_and_wait([Record::Purge(upto)], Waiting::Other(sender))?;
        receiver
            .await
            .map_err(|_| io::Error::other("the log is closed"))?
    }
}
