//! Searches for what breaks `barrier_keyring`.

#![no_main]

secretum_fuzz::fuzz_target!("barrier_keyring");
