//! Searches for what breaks `kms_envelope`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_envelope");
