//! Searches for what breaks `proxy_header`.

#![no_main]

secretum_fuzz::fuzz_target!("proxy_header");
