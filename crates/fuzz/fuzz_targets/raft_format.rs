//! Searches for what breaks `raft_format`.

#![no_main]

secretum_fuzz::fuzz_target!("raft_format");
