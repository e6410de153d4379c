//! Engines as the core runs them: found by path and verb, their writes committed for them.

mod kv2;
mod mount;
