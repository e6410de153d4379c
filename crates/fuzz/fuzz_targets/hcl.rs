//! Searches for what breaks `hcl`.

#![no_main]

secretum_fuzz::fuzz_target!("hcl");
