//! Searches for what breaks `kms_config`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_config");
