//! Answers; those with a plaintext in memory that is zeroed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use secretum_crypto::SecretBytes;
use secretum_kms::Ciphertext;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Room for all of an answer but its texts in base64.
const REST_BYTES: usize = 8 << 10;

/// What it usually is.
const REST_BYTES_USUAL: usize = 256;

/// What an operation gives.
#[derive(Serialize, Default)]
pub(super) struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Answer {
    /// A plaintext.
    pub(super) fn plaintext(mut self, bytes: &SecretBytes) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
        STANDARD.encode_string(bytes.expose(), &mut text);
        self.plaintext = Some(text);
        self
    }

    /// A ciphertext, and what it says of itself.
    pub(super) fn ciphertext(mut self, ciphertext: &Ciphertext) -> Self {
        self.ciphertext = Some(ciphertext.to_base64());
        let self_ = self.with("key_id", ciphertext.key().as_str());
        let self_ = self_.with("key_version", ciphertext.key_version().as_str());
        self_.with("provider", ciphertext.provider())
    }

    /// Something that is no secret.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.rest.insert(name.to_owned(), value.into());
        self
    }
}

/// Bytes that are zeroed when the connection is done with them.
struct Zeroed(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Zeroed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let ciphertext = self.ciphertext.as_ref().map_or(0, String::len);
        let Some(plaintext) = &self.plaintext else {
            let mut bytes = Vec::with_capacity(ciphertext + REST_BYTES_USUAL);
            // Writing texts into memory cannot fail.
            let _ = serde_json::to_writer(&mut bytes, &self);
            return json_response(Body::from(bytes));
        };
        // All of it at once: a buffer that grows leaves copies behind.
        let texts = plaintext.len() + ciphertext;
        let mut bytes = Zeroizing::new(Vec::with_capacity(texts + REST_BYTES));
        let _ = serde_json::to_writer(&mut *bytes, &self);
        json_response(Body::from(Bytes::from_owner(Zeroed(bytes))))
    }
}

/// An answer that holds no secret.
pub(super) fn open_json(value: &Value) -> Response {
    json_response(Body::from(value.to_string()))
}

fn json_response(body: Body) -> Response {
    let mut response = Response::new(body);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// `null`, or the value.
pub(super) fn or_null<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(json!(null), Into::into)
}
