//! Searches for what breaks `kms_service_config`.

#![no_main]

secretum_fuzz::fuzz_target!("kms_service_config");
