//! [`Transport`]: requests to a `kms-service` and its answers.
//!
//! The buffers of the HTTP library and of TLS are not zeroed.

use super::NAME;
use super::access::{Access, authorization, base, tls};
use super::wire::{About, Answer, Fields, Refusal, no_json, parse};
use crate::failure::Failure;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use secretum_client::Json;
use secretum_client::http::{cause, is_loopback, retry_after, root_cause};
use secretum_crypto::SecretBuffer;
use secretum_kms::{Cause, KmsError, Result};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an operation may take, its answer read to the end: longer than the service itself lets it.
pub(in crate::commands::kms) const TIMEOUT: Duration = Duration::from_secs(70);

/// How long the service may take to tell of itself.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of an answer: the largest ciphertext in base64, and room for the rest.
const ANSWER_BYTES_MAX: usize = secretum_kms::CIPHERTEXT_BYTES_MAX / 3 * 4 + (1 << 20);

#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    /// What the names of operations go behind.
    base: Url,
    authorization: Option<HeaderValue>,
}

impl Transport {
    pub(super) fn new(address: &str, access: &Access) -> std::result::Result<Self, Failure> {
        let base = base(address)?;
        let mut builder = Client::builder()
            .user_agent(concat!("secretum/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would take token and plaintext elsewhere.
            .redirect(Policy::none());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let client = tls(builder, access, &base)?.build();
        Ok(Self {
            client: client.map_err(|error| Failure::local(root_cause(&error)))?,
            base,
            authorization: authorization(access)?,
        })
    }

    pub(super) fn address(&self) -> String {
        self.base.to_string()
    }

    pub(super) async fn get(&self, path: &str) -> Result<Json> {
        let request = self.client.get(self.url(path));
        let body = self.send(request, About::default(), LOOK_TIMEOUT).await?;
        let text = std::str::from_utf8(&body).map_err(|_| no_json())?;
        Json::parse(text).map_err(|_| no_json())
    }

    /// Sends an operation.
    pub(super) async fn post(
        &self,
        operation: &str,
        fields: Fields<'_>,
        about: About<'_>,
    ) -> Result<Answer> {
        let request = self.client.post(self.url(operation));
        let request = request.header("Content-Type", "application/json");
        let request = request.body(Bytes::from_owner(fields.to_json()));
        parse(&self.send(request, about, TIMEOUT).await?)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    async fn send(
        &self,
        mut request: RequestBuilder,
        about: About<'_>,
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>> {
        request = request.timeout(limit);
        let failed = |error| failed(error, limit);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let wait = retry_after(answer.headers());
        let body = body(answer, limit).await?;
        if status.is_success() {
            return Ok(body);
        }
        let refusal: Refusal = parse(&body).map_err(|_| KmsError::BadAnswer {
            provider: NAME,
            reason: format!("status {status}, and no word of a kms-service"),
        })?;
        Err(refusal.error(status.as_u16(), wait, about))
    }
}

/// The body, up to the limit.
async fn body(mut answer: Response, limit: Duration) -> Result<Zeroizing<Vec<u8>>> {
    let mut body = SecretBuffer::new(answer.content_length(), ANSWER_BYTES_MAX);
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(error, limit))? {
        body.push(&chunk).map_err(|error| KmsError::BadAnswer {
            provider: NAME,
            reason: error.to_string(),
        })?;
    }
    Ok(body.into_bytes())
}

fn failed(error: reqwest::Error, limit: Duration) -> KmsError {
    let error = error.without_url();
    if error.is_timeout() && !error.is_connect() {
        return KmsError::Timeout {
            provider: NAME,
            after: limit,
        };
    }
    if let Some(fault @ rustls::Error::InvalidCertificate(_)) = cause(&error) {
        return KmsError::Untrusted {
            provider: NAME,
            reason: format!("{fault}; -ca-cert names the authority that signed its certificate"),
        };
    }
    KmsError::Unavailable {
        provider: NAME,
        reason: root_cause(&error),
        source: Some(Cause::new(error)),
    }
}
