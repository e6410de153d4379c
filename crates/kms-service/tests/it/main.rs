//! The real binary on a free port, with real providers, driven over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod bad_input;
mod data_keys;
mod grpc;
mod operations;
mod peer_bao;
#[cfg(feature = "storage-aws")]
mod peer_s3;
mod process;
mod running;
mod sops;
mod tls;
