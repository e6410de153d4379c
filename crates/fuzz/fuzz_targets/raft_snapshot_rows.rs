//! Searches for what breaks `raft_snapshot_rows`.

#![no_main]

secretum_fuzz::fuzz_target!("raft_snapshot_rows");
