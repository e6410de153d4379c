//! The network between nodes, as long as there is none: every other node is unreachable.

use super::state::{Snapshot, SnapshotData};
use super::types::{NodeRecord, TypeConfig, Vote};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend};
use std::future::Future;

/// Reaches nobody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoNetwork;

/// A node that cannot be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoNode(u64);

impl NoNode {
    fn unreachable(self) -> Unreachable<TypeConfig> {
        Unreachable::new(&AnyError::error(format!(
            "node {} cannot be reached",
            self.0
        )))
    }
}

impl RaftNetworkFactory<TypeConfig> for NoNetwork {
    type Network = NoNode;

    async fn new_client(&mut self, target: u64, _: &NodeRecord) -> NoNode {
        NoNode(target)
    }
}

impl RaftNetworkV2<TypeConfig> for NoNode {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: Snapshot,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
