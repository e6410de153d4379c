//! Searches for what breaks `token_record`.

#![no_main]

secretum_fuzz::fuzz_target!("token_record");
