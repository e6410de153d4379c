//! Searches for what breaks `cedar`.

#![no_main]

secretum_fuzz::fuzz_target!("cedar");
