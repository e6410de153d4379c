//! Searches for what breaks `kms_ttlv`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_ttlv");
