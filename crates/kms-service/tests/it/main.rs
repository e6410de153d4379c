//! The real binary on a free port, with real providers, driven over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod audit;
mod bad_input;
#[cfg(any(
    feature = "storage-aws",
    feature = "storage-azure",
    feature = "storage-gcp"
))]
mod cloud_storage;
mod data_keys;
mod grpc;
mod key_services;
#[cfg(any(
    feature = "storage-aws",
    all(feature = "aws", feature = "azure", feature = "gcp")
))]
mod moto;
mod operations;
#[cfg(feature = "storage-azure")]
mod peer_azurite;
mod peer_bao;
#[cfg(feature = "storage-gcp")]
mod peer_fake_gcs;
#[cfg(feature = "storage-aws")]
mod peer_s3;
#[cfg(feature = "storage-aws")]
mod peer_versitygw;
#[path = "../../../kms/src/test_peers.rs"]
#[allow(dead_code, reason = "each crate has its peers")]
mod peers;
mod process;
mod recorded;
mod refusals;
mod rotation;
mod running;
mod sops;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod sops_clouds;
mod tls;
