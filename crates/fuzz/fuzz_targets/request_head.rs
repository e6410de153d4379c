//! Searches for what breaks `request_head`.

#![no_main]

secretum_fuzz::fuzz_target!("request_head");
