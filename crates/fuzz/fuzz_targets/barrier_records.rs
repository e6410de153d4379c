//! Searches for what breaks `barrier_records`.

#![no_main]

secretum_fuzz::fuzz_target!("barrier_records");
