//! Searches for what breaks `audit_verify`.

#![no_main]

secretum_fuzz::fuzz_target!("audit_verify");
