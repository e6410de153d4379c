//! Searches for what breaks `request_path`.

#![no_main]

secretum_fuzz::fuzz_target!("request_path");
