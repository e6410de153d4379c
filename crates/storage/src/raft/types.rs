//! What goes through Raft: batches and their outcomes, and who the nodes are.

use crate::{Batch, Key, Revision};
use std::fmt;
use std::sync::Arc;

/// What the cluster knows of a node, besides its id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeRecord {
    /// Where clients reach it: a URL.
    pub api_address: String,
    /// Where other nodes reach it: host and port.
    pub cluster_address: String,
    /// The version of the software it runs.
    pub version: String,
}

/// A batch on its way through the log.
#[derive(Debug, Clone)]
pub(crate) struct Proposal(pub(crate) Arc<Batch>);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} steps", self.0.steps().len())
    }
}

/// What applying an entry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The batch was applied.
    Committed(Revision),
    /// A precondition did not hold; nothing was applied.
    Conflict(Key),
    /// The entry carried no batch.
    Nothing,
}

mod config {
    use super::{NodeRecord, Outcome, Proposal};

    openraft::declare_raft_types!(
        /// The types that Raft is used with.
        pub(crate) TypeConfig:
            D = Proposal,
            R = Outcome,
            NodeId = u64,
            Node = NodeRecord,
    );
}

pub(crate) use config::TypeConfig;

pub(crate) type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
pub(crate) type LogId = openraft::LogId<LeaderId>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type Membership = openraft::Membership<u64, NodeRecord>;
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId, u64, NodeRecord>;
pub(crate) type Payload = openraft::EntryPayload<Proposal, u64, NodeRecord>;
pub(crate) type LogEntry = openraft::Entry<LeaderId, Payload>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<LeaderId, u64, NodeRecord>;
