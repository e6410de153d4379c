//! Searches for what breaks `policy_parameters`.

#![no_main]

secretum_fuzz::fuzz_target!("policy_parameters");
