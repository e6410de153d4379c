//! Searches for what breaks `shamir`.

#![no_main]

secretum_fuzz::fuzz_target!("shamir");
