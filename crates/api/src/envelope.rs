//! The envelope around every answer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What surrounds the data of an answer. Every key is always present, null when empty.
#[derive(Serialize)]
pub struct Envelope<'a> {
    /// Id of the request, a UUID; empty when wrapped.
    pub request_id: &'a str,
    /// Id of the lease; empty without one.
    pub lease_id: &'a str,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// How long the lease lasts, in seconds.
    pub lease_duration: u64,
    /// The answer itself, as JSON text.
    pub data: Option<&'a RawValue>,
    /// Where the answer was wrapped: the wrapping token.
    pub wrap_info: Option<&'a WrapInfo>,
    /// What the caller should know.
    pub warnings: Option<&'a [Cow<'static, str>]>,
    /// The token that a login or a token creation issued.
    pub auth: Option<&'a Auth>,
}

/// The token that a login or a token creation issued.
#[derive(Clone, Serialize, Deserialize)]
pub struct Auth {
    /// The token.
    pub client_token: String,
    /// Its accessor.
    pub accessor: String,
    /// Names of all its policies, sorted.
    pub policies: Vec<String>,
    /// Those it carries itself.
    pub token_policies: Vec<String>,
    /// Those its entity brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_policies: Vec<String>,
    /// Metadata of the login.
    pub metadata: Option<BTreeMap<String, String>>,
    /// How long it lives, in seconds.
    pub lease_duration: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Its entity; empty without one.
    pub entity_id: String,
    /// `service` or `batch`.
    pub token_type: String,
    /// Whether it has no parent.
    pub orphan: bool,
    /// What a second factor must still prove.
    pub mfa_requirement: Option<Box<RawValue>>,
    /// How many uses remain; 0 for any number.
    pub num_uses: u64,
}

/// A wrapping token.
#[derive(Clone, Serialize, Deserialize)]
pub struct WrapInfo {
    /// The token.
    pub token: String,
    /// Its accessor.
    pub accessor: String,
    /// How long it lives, in seconds.
    pub ttl: u64,
    /// When it was made, RFC 3339 with nanoseconds.
    pub creation_time: String,
    /// The path whose answer it holds.
    pub creation_path: String,
    /// Accessor of the token it holds; empty where it holds none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wrapped_accessor: String,
}

/// The answer may hold a secret, and is not shown.
impl std::fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The token and its accessor are not shown.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("policies", &self.policies)
            .field("token_type", &self.token_type)
            .finish_non_exhaustive()
    }
}

/// The token and its accessor are not shown.
impl std::fmt::Debug for WrapInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WrapInfo")
            .field("creation_path", &self.creation_path)
            .finish_non_exhaustive()
    }
}
