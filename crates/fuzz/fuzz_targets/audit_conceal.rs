//! Searches for what breaks `audit_conceal`.

#![no_main]

secretum_fuzz::fuzz_target!("audit_conceal");
