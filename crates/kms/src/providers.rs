//! The key services, a folder each. A new one is its folder, its cargo feature, and its line in the
//! registry below.

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

#[cfg(feature = "config")]
use crate::config::backend::{Named, Table};

macro_rules! registry {
    ($($name:literal $module:ident,)*) => {
        /// The names of every provider that is compiled in, as they stand in ciphertexts and in
        /// configurations.
        pub const ALL: &[&str] = &[$(#[cfg(feature = $name)] $module::NAME,)*];

        /// Every provider that there is, also those that this program was built without.
        #[cfg(feature = "config")]
        pub(crate) const EVERY: &[Named] = &[$(Named {
            name: $name,
            table: concat!("kms.", $name),
            header: concat!("[kms.", $name, "]"),
        },)*];

        /// How the tables of those that are compiled in are read.
        #[cfg(feature = "config")]
        pub(crate) const TABLES: &[(&str, Table)] =
            &[$(#[cfg(feature = $name)] ($module::NAME, $module::config::TABLE),)*];
    };
}

// Each is its cargo feature and its module, in the order in which they are told.
registry! {
    "age" age,
    "aws" aws,
    "azure" azure,
    "cosmian" cosmian,
    "gcp" gcp,
    "kmip" kmip,
    "local" local,
    "rustyvault" rustyvault,
    "vault" vault,
}
