//! Searches for what breaks `pgp_key`.

#![no_main]

secretum_fuzz::fuzz_target!("pgp_key");
