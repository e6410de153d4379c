//! Where this node stands in its cluster, as far as its reads depend on it.

use super::types::{LogEntry, Membership, Payload, StoredMembership, Vote};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this node is known to be the only voter.
///
/// While it is, nothing is committed without it, and it answers a commit only when it has applied
/// it: its applied state is linearizable without asking anybody.
///
/// INVARIANT: it stops being known before a record that lets another node commit is in this
/// node's log: a membership with another voter, or a vote for another node.
#[derive(Debug)]
pub(crate) struct Standing {
    id: u64,
    alone: AtomicBool,
    /// The index of the newest membership in this node's log.
    newest: Mutex<u64>,
}

impl Standing {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            alone: AtomicBool::new(false),
            newest: Mutex::new(0),
        }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }

    /// A vote goes into the log.
    pub(crate) fn voted(&self, vote: &Vote) {
        if vote.leader_id.node_id != self.id {
            self.alone.store(false, Ordering::Release);
        }
    }

    /// An entry goes into the log.
    pub(crate) fn appended(&self, entry: &LogEntry) {
        let Payload::Membership(membership) = &entry.payload else {
            return;
        };
        let mut newest = self.newest.lock();
        *newest = (*newest).max(entry.log_id.index);
        if !self.votes_alone(membership) {
            self.alone.store(false, Ordering::Release);
        }
    }

    /// A membership is in effect, or was: a newer one in the log outdoes it.
    pub(crate) fn settled(&self, stored: &StoredMembership) {
        let index = stored.log_id().map_or(0, |id| id.index);
        let mut newest = self.newest.lock();
        if index >= *newest {
            *newest = index;
            let alone = self.votes_alone(stored.membership());
            self.alone.store(alone, Ordering::Release);
        }
    }

    fn votes_alone(&self, membership: &Membership) -> bool {
        let mut voters = membership.voter_ids().peekable();
        voters.peek().is_some() && voters.all(|voter| voter == self.id)
    }
}
