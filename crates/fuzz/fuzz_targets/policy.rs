//! Searches for what breaks `policy`.

#![no_main]

secretum_fuzz::fuzz_target!("policy");
