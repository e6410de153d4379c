//! [`Request`] and [`Response`]: what the server hands in, and what it gets back.

use crate::{Measured, system};
use bytes::Bytes;
use secretum_api::{RequestPath, fields::Seconds};
use secretum_audit::RecordedHeader;
use secretum_crypto::SecretString;
use secretum_engine::{Fault, RateFacts, RawReply, Recorded, Shape, Verb};
use serde_json::value::RawValue;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// What it showed of itself in the handshake of TLS.
    pub client_certificates: VerifiedCertificates,
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

/// The certificates of a client, that of itself first, then those that lead to one of the listener's
/// roots. Empty where it showed none, or where the listener asks for none.
///
/// **Shape**: each in DER. The first was verified against the roots, and the client holds its key; the
/// others are what it sent along.
#[derive(Debug, Clone, Default)]
pub struct VerifiedCertificates(Option<Arc<[Bytes]>>);

impl VerifiedCertificates {
    /// What a handshake that ended well has verified.
    pub fn new(chain: Vec<Bytes>) -> Self {
        Self((!chain.is_empty()).then(|| chain.into()))
    }

    /// The certificates.
    pub fn chain(&self) -> &[Bytes] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// An answer, free of HTTP.
#[derive(Debug)]
pub struct Response {
    /// Id of the request.
    pub request_id: String,
    /// The path of its mount, where there is one.
    pub mount: Option<Arc<str>>,
    /// What it counts as.
    pub measured: Measured,
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
