//! [`Client`]: sends requests, and reads the answers.

use crate::http::retry_after;
use crate::request::Outline;
use crate::transport::Transport;
use crate::{ApiError, ClientConfig, ClientError, Json, Request, Secret, TlsConfig};
use crate::{kv, path, retry, sys, token};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secretum_crypto::{SecretBuffer, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// The largest answer that is taken.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The most requests that an outline tells of as sent before it.
const REMEMBERED_MAX: usize = 1_000;

/// How long a wrapped value lives where its request does not say.
const WRAP_TTL: &str = "5m";

/// A client of one server. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    config: Arc<ClientConfig>,
    token: Option<Arc<SecretString>>,
    namespace: Option<String>,
    wrap_ttl: Option<String>,
    dry_run: bool,
    /// What was sent, for the outline of a request that is not: kept where one is asked for.
    sent: Option<Arc<Sent>>,
}

/// Method and URL of what was sent.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<(String, String)>>);

/// An answer as it came, whatever its status.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to wait, where it says so in seconds.
    pub retry_after: Option<Duration>,
    /// The body, zeroed once nobody needs it any more.
    pub body: Zeroizing<Vec<u8>>,
}

impl Client {
    /// A client with this configuration; nothing is sent yet.
    ///
    /// **Errors**: where a certificate, a key or a setting cannot be used.
    pub fn new(mut config: ClientConfig) -> Result<Self, ClientError> {
        Ok(Self {
            transport: Transport::new(&config)?,
            token: config.token.take().map(Arc::new),
            namespace: config.namespace.clone(),
            wrap_ttl: config.wrap_ttl.clone(),
            dry_run: config.dry_run,
            sent: config.dry_run.then(Arc::default),
            config: Arc::new(config),
        })
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: Option<SecretString>) -> Self {
        Self {
            token: token.map(Arc::new),
            ..self.clone()
        }
    }

    /// The same client in another namespace.
    #[must_use]
    pub fn with_namespace(&self, namespace: Option<String>) -> Self {
        Self {
            namespace,
            ..self.clone()
        }
    }

    /// The same client, its answers wrapped for this long, or not at all.
    #[must_use]
    pub fn with_wrap_ttl(&self, wrap_ttl: Option<String>) -> Self {
        Self {
            wrap_ttl,
            ..self.clone()
        }
    }

    /// The same client, handing its requests back instead of sending them, or not. One that was made to
    /// send nothing remembers what it sends all the same ([`Outline::before`]).
    #[must_use]
    pub fn with_dry_run(&self, dry_run: bool) -> Self {
        Self {
            dry_run,
            sent: self.sent.clone().or_else(|| dry_run.then(Arc::default)),
            ..self.clone()
        }
    }

    /// The token of its requests.
    pub fn token_value(&self) -> Option<&SecretString> {
        self.token.as_deref()
    }

    /// Reads a path; `None` where nothing is there.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn read(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.find(Request::get(path)).await
    }

    /// Lists the names below a path; `None` where nothing is there.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn list(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.find(Request::list(path)).await
    }

    /// Lists the names below a path and all its folders; `None` where nothing is there.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn scan(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.find(Request::scan(path)).await
    }

    /// Writes to a path; `None` where the server has nothing to say.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn write(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Option<Secret>, ClientError> {
        self.act(Request::put(path).json(body)?).await
    }

    /// Merges into what is at a path (JSON merge patch).
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn patch(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Option<Secret>, ClientError> {
        self.act(Request::patch(path).json(body)?).await
    }

    /// Deletes what is at a path; that nothing is there is no error.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn delete(&self, path: &str) -> Result<Option<Secret>, ClientError> {
        self.act(Request::delete(path)).await
    }

    /// The help text of a path.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn help(&self, path: &str) -> Result<String, ClientError> {
        #[derive(serde::Deserialize)]
        struct Help {
            help: String,
        }
        let help: Help = self.bare(Request::get(path).query("help", "1")).await?;
        Ok(help.help)
    }

    /// The system's own calls.
    pub fn sys(&self) -> sys::Sys<'_> {
        sys::Sys::new(self)
    }

    /// Calls about tokens.
    pub fn token(&self) -> token::Tokens<'_> {
        token::Tokens::new(self)
    }

    /// Calls of a key-value engine of version 1, by its mount.
    pub fn kv1<'a>(&'a self, mount: &'a str) -> kv::V1<'a> {
        kv::V1::new(self, mount)
    }

    /// Calls of a key-value engine of version 2, by its mount.
    pub fn kv2<'a>(&'a self, mount: &'a str) -> kv::V2<'a> {
        kv::V2::new(self, mount)
    }

    /// Sends a request whose answer may say that nothing is there.
    ///
    /// **Errors**: as [`Self::send`]; a 404 that carries data or warnings is an answer, another one
    /// is `None`.
    pub async fn find(&self, request: Request) -> Result<Option<Secret>, ClientError> {
        let answer = self.exchange(&request).await?;
        if answer.status == 404 {
            return Ok(told(Secret::parse(&answer.body).ok()));
        }
        self.secret(&request, answer)
    }

    /// Sends a request that does something; `None` where the server has nothing to say.
    ///
    /// **Errors**: as [`Self::send`].
    pub async fn act(&self, request: Request) -> Result<Option<Secret>, ClientError> {
        let answer = self.exchange(&request).await?;
        self.secret(&request, answer)
    }

    /// Sends a request and hands out the answer of a success as it came.
    ///
    /// **Errors**: [`ClientError::Api`] for an error of the server, [`ClientError::Transport`] where
    /// it was not reached, [`ClientError::Path`] for a path that cannot be sent.
    pub async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        let answer = self.exchange(&request).await?;
        self.check(&request, answer)
    }

    /// Sends a request whose answer has no envelope.
    pub(crate) async fn bare<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<T, ClientError> {
        let answer = self.exchange(&request).await?;
        let answer = self.check(&request, answer)?;
        serde_json::from_slice(&answer.body).map_err(|source| self.unreadable(&request, source))
    }

    /// Sends a request and reads the data of its answer.
    pub(crate) async fn data<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<T, ClientError> {
        let answer = self.exchange(&request).await?;
        let secret = self.secret(&request, answer)?.unwrap_or_default();
        if secret.data.is_null() {
            return Err(ClientError::Empty {
                url: self.shown_url(&request),
            });
        }
        secret
            .data
            .decode()
            .map_err(|source| self.unreadable(&request, source))
    }

    /// Sends a request whose answer does not matter.
    pub(crate) async fn done(&self, request: Request) -> Result<(), ClientError> {
        self.send(request).await.map(drop)
    }

    fn secret(&self, request: &Request, answer: Answer) -> Result<Option<Secret>, ClientError> {
        let answer = self.check(request, answer)?;
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        Secret::parse(&answer.body)
            .map(Some)
            .map_err(|source| self.unreadable(request, source))
    }

    fn unreadable(&self, request: &Request, source: serde_json::Error) -> ClientError {
        ClientError::Decode {
            url: self.shown_url(request),
            source,
        }
    }

    fn check(&self, request: &Request, answer: Answer) -> Result<Answer, ClientError> {
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let body = Json::parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
        let texts = |key: &str| {
            body.get(key)
                .and_then(|list| list.decode::<Vec<String>>().ok())
        };
        let errors = texts("errors");
        let raw = match &errors {
            Some(_) => String::new(),
            None => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        Err(ClientError::Api(Box::new(ApiError {
            method: request.method.to_string(),
            url: self.shown_url(request),
            namespace: self.namespace.clone(),
            status: answer.status,
            retry_after: answer.retry_after,
            token_sent: self.token.is_some(),
            errors,
            warnings: texts("warnings").unwrap_or_default(),
            data: body.get("data").cloned().unwrap_or_default(),
            raw,
        })))
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, ClientError> {
        let url = self.url(self.transport.base.as_str(), request)?;
        let headers = self.headers(request)?;
        if self.dry_run {
            return Err(ClientError::DryRun(Box::new(
                self.outline(request, &headers)?,
            )));
        }
        self.remember(request);
        retry::send(request, self.config.retries_max, || {
            self.attempt(request, &url, &headers)
        })
        .await
    }

    /// Keeps what is sent, where the outline of a later request is to tell.
    fn remember(&self, request: &Request) {
        if let Some(sent) = &self.sent {
            let mut sent = sent.0.lock().unwrap_or_else(PoisonError::into_inner);
            if sent.len() < REMEMBERED_MAX {
                sent.push((request.method.to_string(), self.shown_url(request)));
            }
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        url: &str,
        headers: &HeaderMap,
    ) -> Result<Answer, ClientError> {
        let failed = |error| {
            ClientError::transport(request.method.as_str(), &self.shown_url(request), error)
        };
        let mut sending = self
            .transport
            .http
            .request(request.method.clone(), url)
            .headers(headers.clone());
        if let Some(body) = &request.body {
            sending = sending.body(body.text.clone());
        }
        let mut answer = sending.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers());
        let mut body = SecretBuffer::new(answer.content_length(), ANSWER_BYTES_MAX);
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            body.push(&chunk).map_err(|_| ClientError::AnswerTooLarge {
                url: self.shown_url(request),
                limit_bytes: ANSWER_BYTES_MAX,
            })?;
        }
        Ok(Answer {
            status,
            retry_after,
            body: body.into_bytes(),
        })
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, ClientError> {
        let mut headers = self.config.headers.clone();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(token) = &self.token {
            let mut value = header("X-Vault-Token", token.expose())?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if let Some(namespace) = self.namespace.as_deref().filter(|text| !text.is_empty()) {
            headers.insert("x-vault-namespace", header("X-Vault-Namespace", namespace)?);
        }
        if let Some(ttl) = self.wrap_ttl_for(request) {
            headers.insert("x-vault-wrap-ttl", header("X-Vault-Wrap-TTL", ttl)?);
        }
        for factor in &self.config.mfa {
            let mut value = header("X-Vault-MFA", factor)?;
            value.set_sensitive(true);
            headers.append(HeaderName::from_static("x-vault-mfa"), value);
        }
        if let Some(body) = &request.body {
            headers.insert("content-type", HeaderValue::from_static(body.content_type));
        }
        if let Some(host) = &self.transport.host {
            headers.insert("host", host.clone());
        }
        Ok(headers)
    }

    fn wrap_ttl_for(&self, request: &Request) -> Option<&str> {
        let path = request.path.trim_start_matches('/');
        self.wrap_ttl
            .as_deref()
            .or((path == "sys/wrapping/wrap").then_some(WRAP_TTL))
    }

    fn url(&self, base: &str, request: &Request) -> Result<String, ClientError> {
        let path = path::encode(&request.path)?;
        let query = path::query(&request.query);
        Ok(format!("{}/v1/{path}{query}", base.trim_end_matches('/')))
    }

    /// The URL as the user knows it.
    fn shown_url(&self, request: &Request) -> String {
        self.url(self.config.address.url().as_str(), request)
            .unwrap_or_default()
    }

    fn outline(&self, request: &Request, headers: &HeaderMap) -> Result<Outline, ClientError> {
        let mut shown = Vec::new();
        for (name, value) in headers {
            if name != "x-vault-token" && name != "host" {
                shown.push((
                    title_case(name.as_str()),
                    value.to_str().unwrap_or("").to_owned(),
                ));
            }
        }
        shown.sort();
        Ok(Outline {
            method: request.method.to_string(),
            url: self.url(self.config.address.url().as_str(), request)?,
            headers: shown,
            has_token: self.token.is_some(),
            socket: self.config.address.socket().map(Into::into),
            tls: match self.config.address.url().scheme() {
                "https" => self.config.tls.clone(),
                _ => TlsConfig::default(),
            },
            body: request
                .body
                .as_ref()
                .map(|body| String::from_utf8_lossy(&body.text).into_owned()),
            before: self.sent.as_ref().map_or_else(Vec::new, |sent| {
                let sent = sent.0.lock().unwrap_or_else(PoisonError::into_inner);
                sent.clone()
            }),
        })
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What a 404 tells, if anything.
fn told(secret: Option<Secret>) -> Option<Secret> {
    secret.filter(|secret| {
        let bare_error = secret.request_id.is_empty() && secret.data.get("errors").is_some();
        !bare_error && (!secret.data.is_null() || !secret.warnings.is_empty())
    })
}

fn header(name: &str, text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(text).map_err(|_| ClientError::Header {
        name: name.to_owned(),
        reason: "its value holds characters that no header may hold".to_owned(),
    })
}

/// `x-vault-wrap-ttl` as `X-Vault-Wrap-Ttl`.
fn title_case(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let shown = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '-';
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests;
