//! [`Transport`]: requests to a `kms-service` and its answers, in memory that is zeroed.
//!
//! The buffers of the HTTP library and of TLS are not.

use super::{NAME, missing, plaintext};
use crate::failure::Failure;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, Response, Url};
use secretum_client::Json;
use secretum_crypto::SecretString;
use secretum_kms::{Cause, Ciphertext, EncryptionContext, KeyId, KmsError, Result, SecretBytes};
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of an answer: the largest ciphertext in base64, and room for the rest.
const ANSWER_BYTES_MAX: usize = secretum_kms::CIPHERTEXT_BYTES_MAX / 3 * 4 + (1 << 20);

/// The most bytes of a file with a token, a certificate or a key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Room for all of a body but its texts.
const REST_BYTES: usize = 512;

/// As whom the service is asked, and how it is trusted.
#[derive(Debug, Default)]
pub(in crate::commands::kms) struct Access {
    pub(in crate::commands::kms) token: Option<SecretString>,
    /// Where the token is, where it is not here.
    pub(in crate::commands::kms) token_file: Option<PathBuf>,
    pub(in crate::commands::kms) ca_cert: Option<PathBuf>,
    pub(in crate::commands::kms) client_cert: Option<PathBuf>,
    pub(in crate::commands::kms) client_key: Option<PathBuf>,
}

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
        let body = self.send(self.client.get(self.url(path)), None).await?;
        let text = std::str::from_utf8(&body).map_err(|_| no_json())?;
        Json::parse(text).map_err(|_| no_json())
    }

    /// Sends an operation. `key` is that of the ciphertext in it, for what is said of it.
    pub(super) async fn post(
        &self,
        operation: &str,
        fields: Fields<'_>,
        key: Option<&KeyId>,
    ) -> Result<Answer> {
        let request = self.client.post(self.url(operation));
        let request = request.header("Content-Type", "application/json");
        let mut body = fields.to_json();
        let request = request.body(std::mem::take(&mut *body));
        parse(&self.send(request, key).await?)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    async fn send(
        &self,
        mut request: RequestBuilder,
        key: Option<&KeyId>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = body(answer).await?;
        if status.is_success() {
            return Ok(body);
        }
        let refusal: Refusal = parse(&body).map_err(|_| KmsError::BadAnswer {
            provider: NAME,
            reason: format!("status {status}, and no word of a kms-service"),
        })?;
        let wait = retry_after.map(Duration::from_secs);
        Err(refusal.error(status.as_u16(), wait, key))
    }
}

/// A body of named fields.
#[derive(Default)]
pub(super) struct Fields<'a>(Vec<(&'static str, Value<'a>)>);

enum Value<'a> {
    Text(&'a str),
    Pairs(&'a EncryptionContext),
    True,
}

impl<'a> Fields<'a> {
    pub(super) fn text(self, name: &'static str, text: &'a str) -> Self {
        self.with(name, Value::Text(text))
    }

    pub(super) fn context(self, name: &'static str, context: &'a EncryptionContext) -> Self {
        self.with(name, Value::Pairs(context))
    }

    pub(super) fn switch(self, name: &'static str) -> Self {
        self.with(name, Value::True)
    }

    fn with(mut self, name: &'static str, value: Value<'a>) -> Self {
        self.0.push((name, value));
        self
    }

    /// All of it at once: a buffer that grows leaves copies behind.
    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let room = self.0.iter().map(|(_, value)| match value {
            Value::Text(text) => text.len() + REST_BYTES,
            Value::Pairs(_) | Value::True => REST_BYTES,
        });
        let mut json = Zeroizing::new(Vec::with_capacity(room.sum()));
        // Writing texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut *json, self);
        json
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            match value {
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Pairs(context) => {
                    let pairs: BTreeMap<_, _> = context.pairs().collect();
                    map.serialize_entry(name, &pairs)?;
                }
                Value::True => map.serialize_entry(name, &true)?,
            }
        }
        map.end()
    }
}

/// What an operation gave.
#[derive(serde::Deserialize)]
pub(super) struct Answer {
    plaintext: Option<Zeroizing<String>>,
    ciphertext: Option<String>,
    key_id: Option<String>,
    key_version: Option<String>,
    #[serde(default)]
    pub(super) enabled: bool,
}

impl Answer {
    pub(super) fn plaintext(&self) -> Result<SecretBytes> {
        let text = self.plaintext.as_ref();
        plaintext(text.ok_or_else(|| missing("plaintext"))?)
    }

    pub(super) fn ciphertext(&self) -> Result<Ciphertext> {
        let text = self.ciphertext.as_ref();
        let text = text.ok_or_else(|| missing("ciphertext"))?;
        Ciphertext::from_base64(text).map_err(|_| missing("ciphertext"))
    }

    pub(super) fn key_id(&self) -> Result<KeyId> {
        let text = self.key_id.clone();
        KeyId::new(text.ok_or_else(|| missing("key_id"))?)
    }

    pub(super) fn key_version(&self) -> Result<&str> {
        let text = self.key_version.as_deref();
        text.ok_or_else(|| missing("key_version"))
    }
}

/// A refusal, as the service words it.
#[derive(serde::Deserialize)]
struct Refusal {
    error: Refused,
}

#[derive(serde::Deserialize)]
struct Refused {
    code: String,
    message: String,
}

impl Refusal {
    fn error(self, status: u16, retry_after: Option<Duration>, key: Option<&KeyId>) -> KmsError {
        let provider = NAME;
        let reason: String = (self.error.message.chars())
            .filter(|c| !c.is_control())
            .take(1000)
            .collect();
        match (status, self.error.code.as_str(), key) {
            (_, "not_authentic", Some(key)) => KmsError::NotAuthentic { key: key.clone() },
            (401, _, _) => KmsError::Credentials {
                provider,
                reason: format!(
                    "{reason}; a token goes into KMS_SERVICE_TOKEN or the file that -token-file names"
                ),
            },
            (403, _, _) => KmsError::AccessDenied { provider, reason },
            (429, _, _) => KmsError::Throttled {
                provider,
                retry_after,
            },
            (503 | 504, _, _) => KmsError::Unavailable {
                provider,
                reason,
                source: None,
            },
            _ => KmsError::Refused { provider, reason },
        }
    }
}

/// The body, up to the limit.
async fn body(mut answer: Response) -> Result<Zeroizing<Vec<u8>>> {
    let length = answer.content_length().unwrap_or_default();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut body = Zeroizing::new(Vec::with_capacity(length.min(ANSWER_BYTES_MAX)));
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(KmsError::BadAnswer {
                provider: NAME,
                reason: format!("it is larger than {ANSWER_BYTES_MAX} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads JSON. The parser's own words may show what is secret, and are left out.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| no_json())
}

fn no_json() -> KmsError {
    KmsError::BadAnswer {
        provider: NAME,
        reason: "it is not the JSON of a kms-service".to_owned(),
    }
}

/// The address that operations go behind. Plaintexts go over TLS, or stay on this machine.
fn base(address: &str) -> std::result::Result<Url, Failure> {
    let shown: String = address.chars().filter(|c| !c.is_control()).collect();
    let not_one = || Failure::local(format!("`{shown}` is no address; write https://host:8082"));
    let mut url: Url = address.trim().parse().map_err(|_| not_one())?;
    if !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(not_one());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(Failure::local(format!(
                "`{shown}` is not on this machine, and plaintexts would go there unprotected; write \
                 https://"
            )));
        }
        _ => return Err(not_one()),
    }
    let path = format!("{}/api/v1/kms/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

fn authorization(access: &Access) -> std::result::Result<Option<HeaderValue>, Failure> {
    let read;
    let token = match (&access.token, &access.token_file) {
        (Some(token), _) => token,
        (None, Some(file)) => {
            let bytes = self::read(file)?;
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            read = SecretString::new(text.trim().to_owned());
            &read
        }
        (None, None) => return Ok(None),
    };
    let text = Zeroizing::new(format!("Bearer {}", token.expose().trim()));
    let value = HeaderValue::from_str(&text).ok();
    let value = value.filter(|_| !token.expose().trim().is_empty());
    let mut value = value.ok_or_else(|| Failure::local("the token is not text in one line"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn tls(
    mut builder: ClientBuilder,
    access: &Access,
    url: &Url,
) -> std::result::Result<ClientBuilder, Failure> {
    if url.scheme() != "https" {
        // Without TLS no authority is needed, and a machine without any must not fail.
        return Ok(builder.tls_certs_only([]));
    }
    if let Some(path) = &access.ca_cert {
        let found = Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
        if found.is_empty() {
            return Err(content(path, "it holds no certificate in PEM").into());
        }
        builder = builder.tls_certs_only(found);
    }
    match (&access.client_cert, &access.client_key) {
        (None, None) => Ok(builder),
        (Some(cert), Some(key)) => {
            let mut pem = read(key)?;
            pem.push(b'\n');
            pem.extend_from_slice(&read(cert)?);
            let identity = Identity::from_pem(&pem);
            let no_pair = "it and its key are no certificate and key in PEM";
            Ok(builder.identity(identity.map_err(|_| content(cert, no_pair))?))
        }
        _ => Err(Failure::local(
            "a client certificate and its key go together; name both, -client-cert and -client-key",
        )),
    }
}

/// A file of settings, within the limit.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error| KmsError::File {
        action: "read",
        path: path.to_owned(),
        source: Cause::new(error),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(failed)?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > FILE_BYTES_MAX {
        return Err(content(path, "it is larger than any of its kind"));
    }
    Ok(bytes)
}

/// Whether the service is on this machine, where no proxy could reach it.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || literal.is_ok_and(|address| address.is_loopback())
}

fn failed(error: reqwest::Error) -> KmsError {
    let error = error.without_url();
    if let Some(fault @ rustls::Error::InvalidCertificate(_)) = tls_fault(&error) {
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

/// What TLS found wrong, where that is among an error's causes.
fn tls_fault(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(fault) = found.downcast_ref() {
            return Some(fault);
        }
        // An error of input and output hides the one that it was made of.
        let inner = found.downcast_ref::<std::io::Error>();
        let inner = inner.and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => found.source(),
        };
    }
    None
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
