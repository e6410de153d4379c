//! The state machine: what the log comes to, and snapshots of it.
//!
//! The data stands in a redb database. Entries are applied in memory, above it; every few MiB or
//! tenths of a second what gathered there is written into the database in one durable transaction, a
//! checkpoint, while applying goes on. After a crash the database stands at its last checkpoint, which
//! says how far it was applied, and Raft applies the rest of the log again.

mod applier;
mod blocks;
mod generation;
mod layers;
mod layout;
mod machine;
mod snapshot;
#[cfg(feature = "fuzzing")]
pub(crate) use snapshot::fuzzing;
mod store;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use layers::Checkpoints;
pub(crate) use machine::{Machine, Snapshot, StateHandle, StateSetting};
pub(crate) use snapshot::SnapshotData;
#[cfg(test)]
pub(crate) use snapshot::SnapshotFile;
pub(crate) use store::{Position, StateConfig};
