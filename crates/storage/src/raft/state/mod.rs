//! The state machine: what the log comes to, and snapshots of it.
//!
//! The data stands in a redb database. Entries are applied in transactions that are visible at once
//! but not durable; every few MiB or tenths of a second one is made durable, a checkpoint. After a
//! crash the database stands at its last checkpoint, which says how far it was applied, and Raft
//! applies the rest of the log again.

mod applier;
mod blocks;
mod layout;
mod machine;
mod snapshot;
#[cfg(feature = "fuzzing")]
pub(crate) use snapshot::fuzzing;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use applier::Checkpoints;
pub(crate) use machine::{Machine, Snapshot, StateHandle, StateSetting};
pub(crate) use snapshot::SnapshotData;
#[cfg(test)]
pub(crate) use snapshot::SnapshotFile;
pub(crate) use store::{Position, StateConfig};
