//! Searches for what breaks `kms_service_body`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_service_body");
