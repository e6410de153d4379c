//! What goes around every request: its id, its time limit, its line in the log, and its count.

use super::Api;
use super::error::{ApiError, Code};
use super::unread::Unread;
use crate::trail::Attended;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, EXPECT, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use opentelemetry::KeyValue;
use secretum_crypto::{SystemRng, random_uuid};
use secretum_kms::KeyManagementService as _;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Around a request. Of it, the log gets the method, and the path where it is one of ours: what was
/// asked for besides may be anything.
pub(super) async fn guard(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = random_uuid(&SystemRng).unwrap_or_default();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = %id);
    let traced = api.watch.traces.as_ref();
    let traced = traced.map(|traces| traces.begin(request.headers()));
    // Who waits for a word before sending the body does not send it.
    let sends = !request.headers().contains_key(EXPECT);
    let (unread, mut request) = Unread::of(request);
    let provider = api.kms.capabilities().provider;
    let attended = Attended::begin(request.extensions_mut(), &api.watch.recorder, provider);
    let run = tokio::time::timeout(api.limits.timeout, next.run(request));
    let run = run.instrument(span.clone());
    let outcome = match &traced {
        Some(traced) => traced.around(run).await,
        None => run.await,
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(_) => ApiError::timeout(api.limits.timeout).into_response(),
    };
    let refused = response.extensions().get::<Code>().map(|Code(code)| *code);
    let recording = attended.answered(refused);
    recording.instrument(span.clone()).await;
    let status = response.status();
    if sends && !status.is_success() {
        unread.clear_away().await;
    }
    let known = status != StatusCode::NOT_FOUND || path.starts_with("/api/v1/kms/");
    let shown = path.len() <= 64 && path.bytes().all(|byte| byte.is_ascii_graphic());
    let path = if known && shown {
        path.as_str()
    } else {
        "other"
    };
    span.in_scope(|| {
        tracing::info!(
            method = %method,
            path,
            status = status.as_u16(),
            microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    });
    if let Some(traced) = traced {
        let of_request = KeyValue::new("kms.request_id", id.clone());
        traced.describe(format!("{method} {path}"), [of_request]);
        let told = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
        traced.end(told, status.is_server_error());
    }
    *api.answers.lock().entry(status.as_u16()).or_default() += 1;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use crate::config::Limits;
    use crate::listener::DRAIN;
    use std::time::Duration;

    /// Seconds behind this key in a file of `deploy`.
    fn seconds(file: &str, key: &str) -> Duration {
        let line = file.lines().find_map(|line| line.trim().strip_prefix(key));
        Duration::from_secs(line.unwrap().trim().parse().unwrap())
    }

    #[test]
    fn what_was_begun_ends_before_the_service_is_ended() {
        let unit = include_str!("../../../../deploy/systemd/kms-service.service");
        let pod = include_str!("../../../../deploy/kubernetes/deployment.yaml");
        assert!(Limits::default().timeout < DRAIN);
        for until in [
            seconds(unit, "TimeoutStopSec="),
            seconds(pod, "terminationGracePeriodSeconds:"),
        ] {
            assert!(DRAIN < until);
        }
    }
}
