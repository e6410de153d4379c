//! Searches for what breaks `kv_records`.

#![no_main]

secretum_fuzz::fuzz_target!("kv_records");
