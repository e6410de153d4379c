//! The wire types of Vault's API: the envelope, the field types that parse what clients send, and
//! the paths of requests.
//!
//! Owns: what stands on the wire. Must not know: how anything is done, HTTP, storage.

mod envelope;
pub mod fields;
mod path;

pub use envelope::{Auth, Envelope, WrapInfo};
pub use path::{PATH_BYTES_MAX, PathError, RequestPath};

/// The version of Vault's API that this server speaks; clients switch features on by it.
pub const VAULT_API_VERSION: &str = "1.18.0";
