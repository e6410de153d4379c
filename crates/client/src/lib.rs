//! The Rust client library of SecretumVault.
