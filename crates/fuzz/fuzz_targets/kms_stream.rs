//! Searches for what breaks `kms_stream`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_stream");
