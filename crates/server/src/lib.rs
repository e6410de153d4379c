//! The front of the vault: listeners, TLS, HTTP, configuration, signals.
//!
//! [`http`] turns bytes into a [`secretum_core::Request`] and an answer into bytes; nothing above or
//! below it knows status codes. [`listener`] accepts connections and ends them, [`tls`] makes the
//! handshake.
//!
//! Must not know: the insides of an engine.

pub mod config;
mod error;
pub mod floor;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod listener;
pub mod logging;
mod serve;
pub mod tls;
pub mod traces;

pub use error::ServerError;
pub use http::ForwardedFor;
pub use listener::{
    Endpoint, Limits, ListenerConfig, Networks, ProxyProtocol, SocketFile, Untrusted,
};
pub use serve::{Server, Signals};
