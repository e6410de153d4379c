//! Searches for what breaks `fields`.

#![no_main]

secretum_fuzz::fuzz_target!("fields");
