//! Searches for what breaks `client_answer`.

#![no_main]

secretum_fuzz::fuzz_target!("client_answer");
