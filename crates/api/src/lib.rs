//! The wire types of Vault's API.
