//! Searches for what breaks `kv_requests`.

#![no_main]

secretum_fuzz::fuzz_target!("kv_requests");
