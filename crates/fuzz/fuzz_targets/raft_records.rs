//! Searches for what breaks `raft_records`.

#![no_main]

secretum_fuzz::fuzz_target!("raft_records");
