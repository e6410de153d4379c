//! [`Http`]: a message of KMIP in JSON, by a POST.

use super::{CosmianServer, NAME};
use crate::error::shown;
use crate::kmip::{Exchange, Version};
use crate::providers::files;
use crate::tls::https_fault;
use crate::ttlv::{MESSAGE_BYTES_MAX, Node, from_json, wipe};
use crate::{Cause, KmsError, Result};
use async_trait::async_trait;
use hyper::body::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, StatusCode, Url};
use secretum_crypto::{SecretBuffer, written};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// The most bytes of an answer: of a message, each of whose bytes is two digits, and what stands around.
const ANSWER_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// A way to the server.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    url: Url,
    timeout: Duration,
    has_certificate: bool,
}

impl Http {
    pub(super) fn new(server: &CosmianServer) -> Result<Self> {
        let no_url = || unusable("its address is not one of a server; write https://host:9998");
        let base: Url = server.url.parse().map_err(|_| no_url())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(no_url());
        }
        let path = format!("{}/kmip/2_1", base.path().trim_end_matches('/'));
        let mut url = base;
        url.set_path(&path);
        let mut builder = Client::builder()
            .user_agent(concat!("secretum-kms/", env!("CARGO_PKG_VERSION")))
            // A redirect would take the token elsewhere.
            .redirect(Policy::none())
            .default_headers(headers(server)?)
            .timeout(server.timeout);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let client = tls(builder, server, &url)?.build();
        let client = client.map_err(|error| unusable(root_cause(&error)))?;
        Ok(Self {
            client,
            url,
            timeout: server.timeout,
            has_certificate: server.client_cert.is_some(),
        })
    }

    fn failed(&self, error: reqwest::Error) -> KmsError {
        let error = error.without_url();
        if error.is_timeout() {
            return KmsError::Timeout {
                provider: NAME,
                after: self.timeout,
            };
        }
        if let Some(fault) = https_fault(NAME, &error) {
            return fault;
        }
        let mut reason = root_cause(&error);
        if self.has_certificate && !error.is_connect() {
            // With TLS 1.3 a server refuses a client after the handshake, and its reason may be lost.
            reason.push_str(", as it is where the client's certificate is refused or has expired");
        }
        KmsError::Unavailable {
            provider: NAME,
            reason,
            source: Some(Cause::new(error)),
        }
    }

    /// The body, up to a limit.
    async fn body(&self, mut answer: Response) -> Result<Zeroizing<Vec<u8>>> {
        let mut body = SecretBuffer::new(answer.content_length(), ANSWER_BYTES_MAX);
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(error))? {
            body.push(&chunk).map_err(|error| bad(error.to_string()))?;
        }
        Ok(body.into_bytes())
    }
}

#[async_trait]
impl Exchange for Http {
    fn provider(&self) -> &'static str {
        NAME
    }

    async fn version(&self) -> Result<Version> {
        Ok(Version::V2_1)
    }

    async fn exchange(&self, message: &Node, _: bool) -> Result<Node> {
        let body = written(|to| serde_json::to_writer(to, message));
        let body = body.map_err(|_| unusable("the request cannot be written as JSON"))?;
        let request = self.client.post(self.url.clone());
        let request = request.body(Bytes::from_owner(body));
        let answer = request.send().await.map_err(|error| self.failed(error))?;
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let body = self.body(answer).await?;
        if status.is_success() {
            // The place only: the text of the error may repeat what is secret.
            let mut json = serde_json::from_slice(&body)
                .map_err(|error| bad(format!("it is no JSON at column {}", error.column())))?;
            let read = from_json(&json);
            wipe(&mut json);
            return read.map_err(|error| bad(error.to_string()));
        }
        Err(refused(status, &body, retry_after))
    }
}

/// What a status means. What KMIP refuses comes with the status of a success.
fn refused(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> KmsError {
    let provider = NAME;
    let reason = format!("status {}: {}", status.as_u16(), said(body));
    match status.as_u16() {
        401 => KmsError::Credentials { provider, reason },
        403 => KmsError::AccessDenied { provider, reason },
        429 => KmsError::Throttled {
            provider,
            retry_after,
        },
        500..=599 => KmsError::Unavailable {
            provider,
            reason,
            source: None,
        },
        400 | 413 | 422 => KmsError::Refused { provider, reason },
        _ => bad(reason),
    }
}

/// The words of a refusal, which are a line of text; a page of another server is none.
fn said(body: &[u8]) -> String {
    match std::str::from_utf8(body).map(str::trim) {
        Ok("") | Err(_) => "it says no more".to_owned(),
        Ok(text) if text.starts_with(['<', '{']) => "it says no more".to_owned(),
        Ok(text) => shown(text),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn headers(server: &CosmianServer) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &server.api_key {
        let text = Zeroizing::new(format!("Bearer {}", key.expose()));
        let value = HeaderValue::from_str(&text);
        let mut value = value.map_err(|_| unusable("its API key is not text in one line"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn tls(mut builder: ClientBuilder, server: &CosmianServer, url: &Url) -> Result<ClientBuilder> {
    if url.scheme() != "https" {
        // Without TLS no authority is needed, and a machine without any must not fail.
        return Ok(builder.tls_certs_only([]));
    }
    if let Some(path) = &server.ca {
        let pem = files::read_public(path)?;
        let found = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
        if found.is_empty() {
            return Err(content(path, "it holds no certificate in PEM"));
        }
        builder = builder.tls_certs_only(found);
    }
    match (&server.client_cert, &server.client_key) {
        (None, None) => {}
        (Some(cert), Some(key)) => {
            let key = files::read_private(key)?;
            let cert_pem = files::read_public(cert)?;
            let pem = Zeroizing::new(format!("{}\n{cert_pem}", key.expose()));
            let identity = Identity::from_pem(pem.as_bytes());
            let no_pair = "it and its key are no certificate and key in PEM";
            builder = builder.identity(identity.map_err(|_| content(cert, no_pair))?);
        }
        _ => {
            return Err(unusable(
                "a client certificate and its key go together; name both",
            ));
        }
    }
    Ok(builder.tls_danger_accept_invalid_certs(!server.tls_verify))
}

/// Whether the server is on this machine, where no proxy could reach it.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || literal.is_ok_and(|address| address.is_loopback())
}

/// The innermost of an error's causes: what the system said.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn content(path: &Path, reason: &str) -> KmsError {
    KmsError::FileContent {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn unusable(reason: impl Into<String>) -> KmsError {
    KmsError::Refused {
        provider: NAME,
        reason: reason.into(),
    }
}

fn bad(reason: String) -> KmsError {
    KmsError::BadAnswer {
        provider: NAME,
        reason,
    }
}
