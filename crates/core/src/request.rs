//! [`Request`] and [`Response`]: what the server hands in, and what it gets back.

use crate::system;
use secretum_api::{RequestPath, fields::Seconds};
use secretum_audit::RecordedHeader;
use secretum_crypto::SecretString;
use secretum_engine::{Fault, RateFacts, RawReply, Recorded, Shape, Verb};
use serde_json::value::RawValue;
use std::net::IpAddr;

/// A request, free of HTTP.
pub struct Request {
    /// Its id, a UUID.
    pub id: String,
    /// Its verb.
    pub verb: Verb,
    /// Its path, without `/v1/`.
    pub path: RequestPath,
    /// The pairs of its query.
    pub query: Vec<(String, String)>,
    /// Its body, JSON text.
    pub body: Option<Box<RawValue>>,
    /// The token of its caller.
    pub token: Option<SecretString>,
    /// Where it came from.
    pub remote_address: Option<IpAddr>,
    /// The life of the wrapping token it asks for.
    pub wrap_ttl: Option<Seconds>,
    /// Those of its headers that are recorded.
    pub headers: Vec<RecordedHeader>,
}

impl Request {
    /// Whether it is one of those that a sealed vault answers, whoever asks.
    pub fn answers_while_sealed(&self) -> bool {
        system::answers_while_sealed(self)
    }
}

/// Its body may hold a secret, and is not shown.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("verb", &self.verb)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// An answer, free of HTTP.
#[derive(Debug)]
pub struct Response {
    /// Id of the request.
    pub request_id: String,
    /// What a rate limit allows the caller, where it is to be told.
    pub rate_limit: Option<RateFacts>,
    /// The answer, or why there is none.
    pub outcome: Result<Outcome, Fault>,
}

/// A successful answer.
#[derive(Debug)]
pub struct Outcome {
    /// What the handler said.
    pub reply: RawReply,
    /// How it stands on the wire.
    pub shape: Shape,
    /// How it stands in the audit log.
    pub recorded: Recorded,
}
