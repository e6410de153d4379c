//! Searches for what breaks `wrapped_answer`.

#![no_main]

secretum_fuzz::fuzz_target!("wrapped_answer");
