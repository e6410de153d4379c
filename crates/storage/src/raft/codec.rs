//! Our own bytes for what goes into the log, the state and snapshots.
//!
//! Numbers are little endian; a length stands before what it counts. The version of a layout
//! stands in the head of the file that uses it, not in each record; a record that may grow has its
//! length before it, and readers skip what they do not know at its end.

use super::types::{
    LeaderId, LogEntry, LogId, Membership, NodeRecord, Payload, Proposal, StoredMembership, Vote,
};
use crate::{Batch, Change, Key, Precondition, Revision, Step};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes that are no record of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record cannot be read")]
pub(crate) struct Malformed;

type Read<T> = Result<T, Malformed>;

/// Takes a record apart.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        let count = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.take(count)
    }

    fn text(&mut self) -> Read<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed)
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }
}

pub(crate) fn put_u32(out: &mut Vec<u8>, number: usize) {
    // INVARIANT: what is counted is bounded by the limits of keys, batches and memberships.
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

pub(crate) fn put_log_id(out: &mut Vec<u8>, id: LogId) {
    put_u64(out, id.leader_id.term);
    put_u64(out, id.leader_id.node_id);
    put_u64(out, id.index);
}

pub(crate) fn log_id(from: &mut Reader<'_>) -> Read<LogId> {
    let leader_id = LeaderId {
        term: from.u64()?,
        node_id: from.u64()?,
    };
    // INVARIANT: behind every entry there is room for one more, so that no index overflows.
    let index = from.u64()?;
    if index == u64::MAX {
        return Err(Malformed);
    }
    Ok(LogId { leader_id, index })
}

pub(crate) fn put_log_id_option(out: &mut Vec<u8>, id: Option<LogId>) {
    put_option(out, id, put_log_id);
}

pub(crate) fn log_id_option(from: &mut Reader<'_>) -> Read<Option<LogId>> {
    from.option(log_id)
}

pub(crate) fn put_vote(out: &mut Vec<u8>, vote: Vote) {
    put_u64(out, vote.leader_id.term);
    put_u64(out, vote.leader_id.node_id);
    out.push(u8::from(vote.committed));
}

pub(crate) fn vote(from: &mut Reader<'_>) -> Read<Vote> {
    let leader_id = LeaderId {
        term: from.u64()?,
        node_id: from.u64()?,
    };
    let committed = match from.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed),
    };
    Ok(Vote {
        leader_id,
        committed,
    })
}

pub(crate) fn put_vote_option(out: &mut Vec<u8>, it: Option<Vote>) {
    put_option(out, it, put_vote);
}

pub(crate) fn vote_option(from: &mut Reader<'_>) -> Read<Option<Vote>> {
    from.option(vote)
}

fn put_node(out: &mut Vec<u8>, node: &NodeRecord) {
    let mut record = Vec::new();
    put_bytes(&mut record, node.api_address.as_bytes());
    put_bytes(&mut record, node.cluster_address.as_bytes());
    put_bytes(&mut record, node.version.as_bytes());
    put_bytes(out, &record);
}

fn node(from: &mut Reader<'_>) -> Read<NodeRecord> {
    // What a later version wrote behind these fields is skipped.
    let mut record = Reader::new(from.bytes()?);
    Ok(NodeRecord {
        api_address: record.text()?,
        cluster_address: record.text()?,
        version: record.text()?,
    })
}

pub(crate) fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    let configs = membership.get_joint_config();
    put_u32(out, configs.len());
    for config in configs {
        put_u32(out, config.len());
        for id in config {
            put_u64(out, *id);
        }
    }
    put_u32(out, membership.nodes().count());
    for (id, record) in membership.nodes() {
        put_u64(out, *id);
        put_node(out, record);
    }
}

pub(crate) fn membership(from: &mut Reader<'_>) -> Read<Membership> {
    let mut configs = Vec::new();
    for _ in 0..from.u32()? {
        let mut config = BTreeSet::new();
        for _ in 0..from.u32()? {
            config.insert(from.u64()?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..from.u32()? {
        nodes.insert(from.u64()?, node(from)?);
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|_| Malformed)
}

pub(crate) fn put_stored_membership(out: &mut Vec<u8>, stored: &StoredMembership) {
    put_log_id_option(out, *stored.log_id());
    put_membership(out, stored.membership());
}

pub(crate) fn stored_membership(from: &mut Reader<'_>) -> Read<StoredMembership> {
    let id = log_id_option(from)?;
    Ok(StoredMembership::new(id, membership(from)?))
}

const BLANK: u8 = 0;
const BATCH: u8 = 1;
const MEMBERSHIP: u8 = 2;

pub(crate) fn put_entry(out: &mut Vec<u8>, entry: &LogEntry) {
    put_log_id(out, entry.log_id);
    match &entry.payload {
        Payload::Blank => out.push(BLANK),
        Payload::Normal(Proposal(batch)) => {
            out.push(BATCH);
            put_batch(out, batch);
        }
        Payload::Membership(membership) => {
            out.push(MEMBERSHIP);
            put_membership(out, membership);
        }
    }
}

pub(crate) fn entry(from: &mut Reader<'_>) -> Read<LogEntry> {
    let log_id = log_id(from)?;
    let payload = match from.u8()? {
        BLANK => Payload::Blank,
        BATCH => Payload::Normal(Proposal(Arc::new(batch(from)?))),
        MEMBERSHIP => Payload::Membership(membership(from)?),
        _ => return Err(Malformed),
    };
    Ok(LogEntry { log_id, payload })
}

const ANY: u8 = 0;
const ABSENT: u8 = 1;
const AT: u8 = 2;
const PRESENT: u8 = 3;

const KEEP: u8 = 0;
const DELETE: u8 = 1;
const PUT: u8 = 2;

fn put_batch(out: &mut Vec<u8>, batch: &Batch) {
    put_u32(out, batch.steps().len());
    for step in batch.steps() {
        match step.expect {
            None => out.push(ANY),
            Some(Precondition::Absent) => out.push(ABSENT),
            Some(Precondition::Present) => out.push(PRESENT),
            Some(Precondition::At(revision)) => {
                out.push(AT);
                put_u64(out, revision.0);
            }
        }
        put_bytes(out, step.key.as_bytes());
        match &step.change {
            Change::Keep => out.push(KEEP),
            Change::Delete => out.push(DELETE),
            Change::Put(value) => {
                out.push(PUT);
                put_bytes(out, value);
            }
        }
    }
}

fn batch(from: &mut Reader<'_>) -> Read<Batch> {
    let count = from.u32()?;
    let mut steps = Vec::new();
    for _ in 0..count {
        steps.push(step(from)?);
    }
    Batch::of_unique(steps).ok_or(Malformed)
}

fn step(from: &mut Reader<'_>) -> Read<Step> {
    let expect = match from.u8()? {
        ANY => None,
        ABSENT => Some(Precondition::Absent),
        PRESENT => Some(Precondition::Present),
        AT => Some(Precondition::At(Revision(from.u64()?))),
        _ => return Err(Malformed),
    };
    let key = Key::new(from.bytes()?).map_err(|_| Malformed)?;
    let change = match from.u8()? {
        KEEP => Change::Keep,
        DELETE => Change::Delete,
        PUT => Change::Put(Bytes::copy_from_slice(from.bytes()?)),
        _ => return Err(Malformed),
    };
    Ok(Step {
        key,
        expect,
        change,
    })
}

#[cfg(test)]
mod tests;
