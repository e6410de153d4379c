//! [`Request`]: one request, as yet without server and token.

use crate::{ClientError, TlsConfig};
use hyper::body::Bytes;
use reqwest::Method;
use serde::Serialize;

/// One request: verb, path, query and body. Server, token and namespace are the client's.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Body>,
}

#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) content_type: &'static str,
    /// Zeroed once nobody needs it any more.
    pub(crate) text: Bytes,
}

impl Request {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A listing: a GET with `list=true`, which every proxy lets through.
    pub fn list(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path).query("list", "true")
    }

    /// A listing by the method LIST, for servers that know no `list=true`.
    pub fn list_by_method(path: impl Into<String>) -> Self {
        // These four letters are a method; a GET would read what is to be listed.
        Self::new(Method::from_bytes(b"LIST").unwrap_or(Method::OPTIONS), path)
    }

    /// A recursive listing.
    pub fn scan(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path).query("scan", "true")
    }

    /// A PUT.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// A POST; servers take it as they take PUT.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A PATCH; the body is a JSON merge patch.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// A DELETE.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
        }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    ///
    /// **Errors**: [`ClientError::Encode`].
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let text = secretum_crypto::written(|to| serde_json::to_writer(to, body));
        let text = Bytes::from_owner(text.map_err(|source| ClientError::Encode { source })?);
        let content_type = if self.method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        self.body = Some(Body { content_type, text });
        Ok(self)
    }

    /// Whether a second one of it does nothing that the first did not.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.method != Method::PUT
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body(..)")
    }
}

/// What a request would have looked like on the wire, its token left out.
#[derive(Clone)]
pub struct Outline {
    /// The HTTP method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Names and values of the headers, but for the token.
    pub headers: Vec<(String, String)>,
    /// Whether it would have carried a token.
    pub has_token: bool,
    /// The Unix socket it would have gone to.
    pub socket: Option<std::path::PathBuf>,
    /// How the server's certificate would have been checked, and the client's own; all default without
    /// TLS.
    pub tls: TlsConfig,
    /// The body.
    pub body: Option<String>,
    /// What was sent before it, to look something up: method and URL of each.
    pub before: Vec<(String, String)>,
}

impl std::fmt::Debug for Outline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outline({} {})", self.method, self.url)
    }
}
