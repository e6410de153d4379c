//! The Rust client library of SecretumVault. It speaks Vault's HTTP API, so it serves for Vault and
//! OpenBao too.
//!
//! ```no_run
//! # async fn example() -> Result<(), secretum_client::ClientError> {
//! use secretum_client::{Client, ClientConfig};
//!
//! let client = Client::new(ClientConfig::from_env()?)?;
//! let data = std::collections::BTreeMap::from([("user", "app"), ("password", "…")]);
//! client.kv2("secret").put("app/database", &data, None).await?;
//! let secret = client.kv2("secret").get("app/database", None).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Owns: where the server is and how it is trusted ([`ClientConfig`]), sending and trying again
//! ([`Client`]), the answer ([`Secret`]), and typed calls for the system, tokens and key-value
//! engines. Whatever has no typed call is reached by [`Client::read`], [`Client::write`] and their
//! like.
//!
//! Must not know: the server.
//!
//! Tokens and unseal keys live in [`SecretString`]; nothing here prints them, in `Debug` neither.
//! A number in an answer keeps the text it was sent with ([`Json`]).

mod address;
mod client;
mod config;
mod error;
pub mod http;
mod json;
pub mod kv;
mod path;
mod request;
mod retry;
mod secret;
pub mod sys;
pub mod token;
mod transport;

pub use address::Address;
pub use client::{ANSWER_BYTES_MAX, Answer, Client};
pub use config::{ClientConfig, Environment, TlsConfig};
pub use error::{ApiError, ClientError};
pub use json::{Json, Number, Object};
pub use request::{Outline, Request};
pub use secret::{Auth, Secret, WrapInfo};
pub use secretum_crypto::SecretString;
