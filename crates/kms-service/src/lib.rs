//! `kms-service`: the key management service over HTTP and gRPC.
//!
//! [`config`] reads the table `[service]` of `kms.toml`; [`rights`] says who may do what with which
//! key, and [`callers`] who is asking; [`tls`] makes handshakes, [`listener`] accepts connections and
//! ends them; [`api`] turns a request into a call of [`secretum_kms::KeyManagementService`] and its
//! result into an answer, [`grpc`] does so for the key service of SOPS and for [`data_keys`], on a
//! [`socket`] of its own. [`rotation`] rotates keys by schedule, [`rewrapping`] wraps data keys anew
//! by hand. [`audit`] is where records of
//! operations go, [`trail`] what is recorded by the [`recorder`] of those that end before the key service is
//! asked. [`service`] wires them, [`command`] is the command line, [`log`] what is logged and traced.
//!
//! Must not know: how a provider does its work, and the vault.
//!
//! ```text
//!   listener ─▶ tls ─▶ api: who (callers), may they (rights), body ─▶ secretum-kms ─▶ the key service
//! ```

mod api;
mod audit;
pub mod callers;
mod command;
pub mod config;
mod data_keys;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grpc;
mod listener;
mod log;
mod recorder;
mod rewrapping;
pub mod rights;
mod rotation;
mod service;
mod socket;
mod tls;
mod trail;

pub use command::main;
pub use data_keys::storage::StorageError;
pub use error::ServiceError;
