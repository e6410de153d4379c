//! The key services, a folder each. A new one is its folder, its cargo feature, and its line in
//! [`ALL`].

#[cfg(feature = "age")]
pub mod age;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod cloud;
#[cfg(feature = "cosmian")]
pub mod cosmian;
#[cfg_attr(
    not(any(feature = "age", feature = "local")),
    allow(dead_code, reason = "only keys that stand in files are written")
)]
pub(crate) mod files;
#[cfg(feature = "gcp")]
pub mod gcp;
#[cfg(feature = "kmip")]
pub mod kmip;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "rustyvault")]
pub mod rustyvault;
#[cfg(any(feature = "local", feature = "rustyvault"))]
mod sealing;
#[cfg(feature = "vault")]
pub mod vault;

/// The names of every provider that is compiled in, as they stand in ciphertexts and in
/// configurations.
pub const ALL: &[&str] = &[
    #[cfg(feature = "age")]
    age::NAME,
    #[cfg(feature = "aws")]
    aws::NAME,
    #[cfg(feature = "azure")]
    azure::NAME,
    #[cfg(feature = "cosmian")]
    cosmian::NAME,
    #[cfg(feature = "gcp")]
    gcp::NAME,
    #[cfg(feature = "kmip")]
    kmip::NAME,
    #[cfg(feature = "local")]
    local::NAME,
    #[cfg(feature = "rustyvault")]
    rustyvault::NAME,
    #[cfg(feature = "vault")]
    vault::NAME,
];
