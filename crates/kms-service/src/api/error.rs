//! [`ApiError`]: why a request is refused, as the caller is told.

use crate::callers::{Caller, Stranger};
use crate::rights::Operation;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use secretum_kms::{FormatError, KmsError};
use serde_json::json;
use std::time::Duration;

/// The code of a refusal, beside its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code(pub(super) &'static str);

/// A refusal: a status, a code that never changes, and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn again_in(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(super) fn forbidden(caller: &Caller, operation: Operation, key: Option<&str>) -> Self {
        let on = key
            .map(|key| format!(" with the key `{key}`"))
            .unwrap_or_default();
        let message = format!(
            "`{}` may not {operation}{on}; give it the right in the configuration of the service",
            caller.name
        );
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn overloaded(what: &str) -> Self {
        let message = format!("there are too many {what}; try again in a second");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
            .again_in(Duration::from_secs(1))
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        let message = format!(
            "the body has more than {limit} bytes; encrypt large data under a data key, or raise \
             body_bytes_max"
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub(super) fn timeout(after: Duration) -> Self {
        let message = format!(
            "the request was not done within {} ms; send its body faster, try again, or raise timeout",
            after.as_millis()
        );
        Self::new(StatusCode::GATEWAY_TIMEOUT, "request_timeout", message)
    }

    pub(super) fn host() -> Self {
        let message = "without tokens and certificates this service answers to loopback names alone; \
                       ask for 127.0.0.1 or localhost, or configure who may ask";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host", message)
    }

    pub(super) fn no_such_path() -> Self {
        let message = "there is nothing at this path; /openapi.json lists what there is";
        Self::new(StatusCode::NOT_FOUND, "no_such_path", message)
    }

    pub(super) fn method() -> Self {
        let message = "this path does not take this method; operations take POST, the rest GET";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
    }
}

impl From<Stranger> for ApiError {
    fn from(stranger: Stranger) -> Self {
        let message = match stranger {
            Stranger::NothingShown => {
                "nobody in particular asks; send `Authorization: Bearer <token>`, or show a client \
                 certificate"
            }
            Stranger::NoBearer => {
                "the header Authorization holds no bearer token; send `Authorization: Bearer <token>`"
            }
            Stranger::UnknownToken => {
                "the token is none that this service knows; see that it is whole, or have its SHA-256 \
                 added to the configuration"
            }
            Stranger::UnknownCertificate => {
                "no name in the client certificate is one that this service knows; have it added to \
                 [[service.certificates]]"
            }
        };
        Self::new(StatusCode::UNAUTHORIZED, stranger.code(), message)
    }
}

impl From<FormatError> for ApiError {
    fn from(error: FormatError) -> Self {
        let (status, code) = match &error {
            FormatError::Foreign { .. } => (StatusCode::BAD_REQUEST, "ciphertext_foreign"),
            FormatError::Truncated { .. } => (StatusCode::BAD_REQUEST, "ciphertext_truncated"),
            FormatError::Newer { .. } => (StatusCode::BAD_REQUEST, "ciphertext_newer"),
            FormatError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "ciphertext_too_large"),
            _ => (StatusCode::BAD_REQUEST, "ciphertext_damaged"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// What the caller can mend is told in full. What only the operator can is logged in full.
impl From<KmsError> for ApiError {
    fn from(error: KmsError) -> Self {
        let code = error.kind();
        let status = match &error {
            KmsError::Format(format) => return format.clone().into(),
            KmsError::OtherProvider { .. }
            | KmsError::KeyId { .. }
            | KmsError::Context { .. }
            | KmsError::DataKeySpec { .. }
            | KmsError::NotAuthentic { .. } => StatusCode::BAD_REQUEST,
            KmsError::KeyNotFound { .. } | KmsError::KeyVersionNotFound { .. } => {
                StatusCode::NOT_FOUND
            }
            KmsError::KeyDisabled { .. }
            | KmsError::KeyExists { .. }
            | KmsError::OtherRegion { .. } => StatusCode::CONFLICT,
            KmsError::PlaintextTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            KmsError::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
            KmsError::Throttled { .. } | KmsError::RateLimited { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            KmsError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            KmsError::CircuitOpen { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => return operators(&error),
        };
        let wait = match &error {
            KmsError::RateLimited { retry_in } | KmsError::CircuitOpen { retry_in, .. } => {
                Some(*retry_in)
            }
            _ => error.retry_after(),
        };
        let refusal = Self::new(status, code, error.to_string());
        match wait {
            Some(wait) => refusal.again_in(wait),
            None => refusal,
        }
    }
}

/// A fault of the service or of what stands behind it: its text names files and addresses.
fn operators(error: &KmsError) -> ApiError {
    let (status, message) = match error {
        KmsError::Unavailable { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the key service behind this one cannot be reached; try again",
        ),
        KmsError::FileLocked { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "another process is changing the keys; nothing was done, try again",
        ),
        KmsError::NotConfigured { .. } => (
            StatusCode::NOT_IMPLEMENTED,
            "this service is not configured for it",
        ),
        KmsError::BadAnswer { .. }
        | KmsError::AccessDenied { .. }
        | KmsError::Credentials { .. }
        | KmsError::KeyRecord { .. }
        | KmsError::Untrusted { .. }
        | KmsError::Refused { .. } => (
            StatusCode::BAD_GATEWAY,
            "the key service behind this one did not do it",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "this service could not do it",
        ),
    };
    tracing::error!(code = error.kind(), %error, "an operation failed");
    let message = format!("{message}; its log says why, under the X-Request-Id of this answer");
    ApiError::new(status, error.kind(), message)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, body.to_string()).into_response();
        response.extensions_mut().insert(Code(self.code));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secretum_kms::KeyId;

    #[test]
    fn what_can_be_tried_again_is_told_from_what_cannot() {
        let provider = "local";
        let key = KeyId::new("k").unwrap();
        let locked = KmsError::FileLocked {
            path: "/planted".into(),
            after: Duration::from_secs(10),
        };
        let exists = KmsError::KeyExists { provider, key };
        let lacking = KmsError::NotConfigured {
            provider,
            what: "a private key",
            remedy: "name it",
        };
        for (error, status, code) in [
            (locked, 503, "file_locked"),
            (exists, 409, "key_exists"),
            (lacking, 501, "not_configured"),
        ] {
            let told = ApiError::from(error);
            assert_eq!((told.status.as_u16(), told.code), (status, code));
            assert!(!told.message.contains("planted"), "{}", told.message);
        }
    }
}
