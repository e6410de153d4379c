//! Searches for what breaks `request_body`.

#![no_main]

secretum_fuzz::fuzz_target!("request_body");
