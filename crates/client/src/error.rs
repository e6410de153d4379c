//! [`ClientError`]: what can go wrong between a caller and the server.

use crate::http::{cause, root_cause};
use crate::{Json, Outline};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What went wrong. No message holds a token, a key or a secret's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's address cannot be read.
    #[error("`{address}` is not the address of a server: {reason}")]
    Address {
        /// The text that was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting of the environment cannot be read.
    #[error("`{value}` is not a value for {name}: {reason}")]
    Setting {
        /// Name of the environment variable.
        name: String,
        /// The text that was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path holds the segment `.` or `..`.
    #[error("the path `{path}` holds `.` or `..`, which name no secret")]
    Path {
        /// The path that was given.
        path: String,
    },
    /// A header cannot be sent.
    #[error("`{name}` cannot be sent as an HTTP header: {reason}")]
    Header {
        /// Name of the header.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {what} `{}`: {reason}", path.display())]
    TlsFile {
        /// What the file is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A client certificate was given without its key, or a key without its certificate.
    #[error("a client certificate and its key go together; only one of them is set")]
    HalfIdentity,
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {}", root_cause(source))]
    Setup {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server was not reached, or the connection broke.
    #[error("{method} {url}: {reason}")]
    Transport {
        /// The HTTP method.
        method: String,
        /// Where it went.
        url: String,
        /// What happened, in words a user can act on.
        reason: String,
        /// The error below.
        #[source]
        source: Box<reqwest::Error>,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// The answer is larger than a client takes.
    #[error("{url}: the answer is larger than {limit_bytes} bytes")]
    AnswerTooLarge {
        /// Where it came from.
        url: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The answer is not what the API promises.
    #[error("{url}: cannot read the answer: {source}")]
    Decode {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The answer holds nothing where there must be something.
    #[error("{url}: the server gave no data")]
    Empty {
        /// Where it came from.
        url: String,
    },
    /// The body of a request cannot be written as JSON.
    #[error("cannot write the request as JSON: {source}")]
    Encode {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The client was told to send nothing ([`crate::ClientConfig::dry_run`]); here is what it
    /// would have sent.
    #[error("the request was not sent, as asked")]
    DryRun(Box<Outline>),
}

impl ClientError {
    /// The status of the server's answer, where it answered with an error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            _ => None,
        }
    }

    /// Whether no server was found at its address: nothing listens there, or nobody knows its name.
    pub fn is_nobody_there(&self) -> bool {
        match self {
            Self::Transport { source, .. } => source.is_connect() && tls_fault(source).is_none(),
            _ => false,
        }
    }

    /// Whether no answer came within the time limit.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Transport { source, .. } if source.is_timeout())
    }

    pub(crate) fn transport(method: &str, url: &str, source: reqwest::Error) -> Self {
        let source = source.without_url();
        Self::Transport {
            method: method.to_owned(),
            url: url.to_owned(),
            reason: transport_reason(&source),
            source: Box::new(source),
        }
    }
}

/// An error that the server answered with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP method.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// The namespace, where one was named.
    pub namespace: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to wait, where it says so in seconds.
    pub retry_after: Option<Duration>,
    /// The server's messages; `None` where the answer was none of Vault's API.
    pub errors: Option<Vec<String>>,
    /// Whether a token was sent with the request.
    pub token_sent: bool,
    /// What the server warns of.
    pub warnings: Vec<String>,
    /// Data that came with the error.
    pub data: Json,
    /// The answer as text, where it was none of Vault's API.
    pub raw: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} answered {}", self.method, self.url, self.status)?;
        match self.errors.as_deref() {
            Some([]) => Ok(()),
            Some(errors) => write!(f, ": {}", errors.join("; ")),
            None => Ok(()),
        }
    }
}

/// What happened on the way, in words a user can act on.
fn transport_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the time limit".to_owned();
    }
    match tls_fault(error) {
        Some(rustls::Error::InvalidMessage(_)) => {
            "the server does not speak TLS here; an address without TLS begins with http://"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(fault)) => certificate_reason(fault),
        Some(fault) => fault.to_string(),
        None if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) => {
            "the server does not speak plain HTTP here; an address with TLS begins with https://"
                .to_owned()
        }
        None => root_cause(error),
    }
}

/// Why a server's certificate is not trusted.
fn certificate_reason(fault: &rustls::CertificateError) -> String {
    match fault {
        rustls::CertificateError::UnknownIssuer => {
            "no trusted authority signed the server's certificate; name the authority's certificate \
             in VAULT_CACERT"
                .to_owned()
        }
        rustls::CertificateError::Other(other) if is_authority(other) => {
            "the server shows the certificate of an authority, which is none for a server; make one \
             with basicConstraints=critical,CA:FALSE"
                .to_owned()
        }
        fault => format!("the server's certificate cannot be trusted: {fault}"),
    }
}

/// Whether a certificate was refused because it may sign others.
fn is_authority(fault: &rustls::OtherError) -> bool {
    matches!(
        fault.0.downcast_ref(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

fn tls_fault(error: &reqwest::Error) -> Option<&rustls::Error> {
    cause(error)
}
