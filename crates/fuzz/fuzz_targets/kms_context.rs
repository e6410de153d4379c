//! Searches for what breaks `kms_context`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_context");
