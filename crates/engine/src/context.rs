//! [`Context`]: what surrounds a request.

use crate::Operation;
use secretum_crypto::{ClockRef, RngRef};
use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Accessor of the token.
    pub accessor: String,
    /// Display name of the token.
    pub display_name: String,
    /// Names of all policies in force for it.
    pub policies: Vec<String>,
    /// Its entity; empty without one.
    pub entity_id: String,
}

/// What surrounds a request.
#[derive(Debug, Clone)]
pub struct Context {
    /// Id of the request, a UUID.
    pub request_id: String,
    /// What it asks for.
    pub operation: Operation,
    /// The path of the engine's mount, with its trailing slash.
    pub mount_path: Arc<str>,
    /// Who asks; `None` on public routes.
    pub caller: Option<Arc<Caller>>,
    /// Whether the caller has `sudo` on the path, for rows that ask; `false` for every other.
    pub has_sudo: bool,
    /// Where the request came from.
    pub remote_address: Option<IpAddr>,
    /// The time.
    pub clock: ClockRef,
    /// Randomness.
    pub rng: RngRef,
    /// What core hands to its own engines; `None` for every other.
    pub system: Option<Arc<dyn Any + Send + Sync>>,
}
