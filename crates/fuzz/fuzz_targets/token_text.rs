//! Searches for what breaks `token_text`.

#![no_main]

secretum_fuzz::fuzz_target!("token_text");
