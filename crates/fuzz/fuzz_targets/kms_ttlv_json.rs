//! Searches for what breaks `kms_ttlv_json`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_ttlv_json");
