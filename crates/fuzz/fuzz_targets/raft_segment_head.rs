//! Searches for what breaks `raft_segment_head`.

#![no_main]

secretum_fuzz::fuzz_target!("raft_segment_head");
