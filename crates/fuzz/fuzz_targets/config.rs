//! Searches for what breaks `config`.

#![no_main]

secretum_fuzz::fuzz_target!("config");
