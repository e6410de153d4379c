//! Searches for what breaks `raft_snapshot`.

#![no_main]

secretum_fuzz::fuzz_target!("raft_snapshot");
