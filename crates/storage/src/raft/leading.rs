//! [`Leading`]: whether this node leads, and how often that changed.
//!
//! Raft tells of its state by a watch, which holds the newest value only: what comes and goes at once is
//! not seen there. But nobody begins to lead without a vote that says so, and nobody ceases without
//! another, save who leaves the cluster; and every vote goes through the log.

use super::types::Vote;
use crate::{Leadership, LeadershipState, LeadershipWatch};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Whether this node leads.
#[derive(Debug)]
pub(crate) struct Leading {
    id: u64,
    known: Mutex<Known>,
    state: watch::Sender<LeadershipState>,
}

#[derive(Debug, Default)]
struct Known {
    /// The newest vote that is durable, once there was one.
    vote: Option<Vote>,
    ended: bool,
}

impl Leading {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            known: Mutex::default(),
            state: watch::Sender::new(LeadershipState::follower()),
        }
    }

    pub(crate) fn watch(&self) -> LeadershipWatch {
        self.state.subscribe()
    }

    /// The node is open: what changed on the way there was nobody's.
    pub(crate) fn opened(&self) {
        let known = self.known.lock();
        self.state.send_modify(|state| {
            state.changes = u64::from(state.now == Leadership::Leader);
        });
        drop(known);
    }

    /// A vote is in the log.
    pub(crate) fn voted(&self, vote: &Vote) {
        let mut known = self.known.lock();
        known.vote = Some(*vote);
        let leads = vote.committed && vote.leader_id.node_id == self.id;
        self.set(leads && !known.ended);
    }

    /// What Raft told of itself, which may be of a moment before.
    pub(crate) fn seen(&self, vote: &Vote, leads: bool) {
        let known = self.known.lock();
        if known.vote.is_none_or(|known| known == *vote) {
            self.set(leads && !known.ended);
        }
    }

    /// Raft has ended.
    pub(crate) fn ended(&self) {
        let mut known = self.known.lock();
        known.ended = true;
        self.set(false);
    }

    fn set(&self, leads: bool) {
        let now = match leads {
            true => Leadership::Leader,
            false => Leadership::Follower,
        };
        self.state.send_if_modified(|known| known.change(now));
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::LeaderId;
    use super::*;

    fn vote(term: u64, node_id: u64, committed: bool) -> Vote {
        Vote {
            leader_id: LeaderId { term, node_id },
            committed,
        }
    }

    #[test]
    fn every_change_is_counted_whoever_looks() {
        let leading = Leading::new(1);
        let watch = leading.watch();
        let now = || {
            let LeadershipState { now, changes } = *watch.borrow();
            (now == Leadership::Leader, changes)
        };
        assert_eq!(now(), (false, 0));
        for (term, node, committed, expected) in [
            (1, 1, false, (false, 0)),
            (1, 1, true, (true, 1)),
            // It leads again before anybody looked.
            (2, 1, false, (false, 2)),
            (2, 1, true, (true, 3)),
            (3, 2, false, (false, 4)),
            (3, 2, true, (false, 4)),
        ] {
            leading.voted(&vote(term, node, committed));
            assert_eq!(now(), expected, "{term}");
        }
        // Old news change nothing; those of the newest vote do.
        leading.seen(&vote(2, 1, true), true);
        assert_eq!(now(), (false, 4));
        leading.voted(&vote(4, 1, true));
        leading.seen(&vote(3, 2, true), false);
        assert_eq!(now(), (true, 5));
        leading.seen(&vote(4, 1, true), false);
        assert_eq!(now(), (false, 6));
        leading.voted(&vote(5, 1, true));
        leading.ended();
        leading.seen(&vote(5, 1, true), true);
        assert_eq!(now(), (false, 8));
    }
}
