//! Searches for what breaks `request_input`.

#![no_main]

secretum_fuzz::fuzz_target!("request_input");
