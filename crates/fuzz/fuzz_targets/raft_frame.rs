//! Searches for what breaks `raft_frame`.

#![no_main]

secretum_fuzz::fuzz_target!("raft_frame");
