//! From an answer to an HTTP response: the only place that knows status codes.

use super::body::Refusal;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use secretum_api::Envelope;
use secretum_core::{Outcome, Report, Response};
use secretum_engine::{Fault, RateFacts, RawReply, ReplyLease, Shape, Standing};
use secretum_storage::StorageError;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// An HTTP response with its whole body.
pub(crate) type HttpResponse = hyper::Response<Bytes>;

/// The response of an answer.
pub(super) fn of(response: Response) -> HttpResponse {
    let rate_limit = match &response.outcome {
        Err(Fault::TooMany { facts, .. }) => Some(*facts),
        _ => response.rate_limit,
    };
    let mut answer = match response.outcome {
        Err(fault) => refused_as(&fault, Some(&response.request_id)),
        Ok(Outcome { reply, shape, .. }) => match success(&response.request_id, &reply, shape) {
            Ok(response) => response,
            Err(error) => refused(&Fault::internal(error)),
        },
    };
    if let Some(facts) = rate_limit {
        tell_of_limit(&facts, answer.headers_mut());
    }
    answer
}

/// Tells of a rate limit, and when to come again.
fn tell_of_limit(facts: &RateFacts, headers: &mut HeaderMap) {
    if facts.wait_seconds > 0 {
        headers.insert(RETRY_AFTER, facts.wait_seconds.into());
    }
    if facts.shows {
        headers.insert("x-ratelimit-limit", facts.limit.into());
        headers.insert("x-ratelimit-remaining", facts.remaining.into());
        headers.insert("x-ratelimit-reset", facts.wait_seconds.into());
    }
}

/// The response of a request that was refused before it had an id.
pub(super) fn refused(fault: &Fault) -> HttpResponse {
    refused_as(fault, None)
}

/// The response of a request that did not become one.
pub(super) fn turned_away(refusal: &Refusal) -> HttpResponse {
    match refusal {
        Refusal::Fault(fault) => refused(fault),
        Refusal::Slow => errors(
            StatusCode::REQUEST_TIMEOUT,
            &["the body of the request took too long"],
        ),
    }
}

/// The response of a request that too many others of its connection were begun before.
pub(crate) fn too_many() -> HttpResponse {
    errors(
        StatusCode::SERVICE_UNAVAILABLE,
        &["too many requests of this connection are under way"],
    )
}

/// The response of a request that took too long.
pub(crate) fn timed_out() -> HttpResponse {
    errors(StatusCode::GATEWAY_TIMEOUT, &["the request took too long"])
}

/// Takes the body away, for HEAD.
pub(super) fn drop_body(response: &mut HttpResponse) {
    *response.body_mut() = Bytes::new();
}

/// A JSON body under a status.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    let mut response = hyper::Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn success(id: &str, reply: &RawReply, shape: Shape) -> serde_json::Result<HttpResponse> {
    if !reply.has_content() && reply.warnings.is_empty() {
        let status = match reply.standing {
            Standing::Accepted => StatusCode::ACCEPTED,
            _ => StatusCode::NO_CONTENT,
        };
        return Ok(json(status, Vec::new()));
    }
    let status = match reply.standing {
        Standing::Done => StatusCode::OK,
        Standing::Accepted => StatusCode::ACCEPTED,
        Standing::Gone => StatusCode::NOT_FOUND,
        Standing::RefusedInPart => StatusCode::BAD_REQUEST,
    };
    let body = match (shape, &reply.data) {
        (Shape::Plain, Some(data)) => return plain(data),
        (Shape::Bare, Some(data)) => data.get().as_bytes().to_vec(),
        (Shape::Lifted, Some(data)) => lifted(&envelope(id, reply), data)?,
        _ => {
            let room = reply.data.as_ref().map_or(0, |data| data.get().len());
            let mut body = Vec::with_capacity(room + 512);
            serde_json::to_writer(&mut body, &envelope(id, reply))?;
            body.push(b'\n');
            body
        }
    };
    Ok(json(status, body))
}

/// What is a text as that text, of which there is one kind: metrics; all else as JSON.
fn plain(data: &RawValue) -> serde_json::Result<HttpResponse> {
    if !data.get().starts_with('"') {
        return Ok(json(StatusCode::OK, data.get().as_bytes().to_vec()));
    }
    serde_json::from_str(data.get()).map(metrics_text)
}

/// Metrics, in the text format of Prometheus.
fn metrics_text(text: String) -> HttpResponse {
    let mut response = json(StatusCode::OK, text.into_bytes());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Metrics, for who needs no token.
pub(super) fn report(report: Result<Report, Fault>) -> HttpResponse {
    match report {
        Ok(Report::Text(text)) => metrics_text(text),
        Ok(Report::Json(data)) => json(StatusCode::OK, data.get().as_bytes().to_vec()),
        Err(fault) => refused(&fault),
    }
}

fn envelope<'a>(id: &'a str, reply: &'a RawReply) -> Envelope<'a> {
    let lease = match reply.lease.as_deref() {
        Some(ReplyLease::Granted(grant)) => Some(grant),
        Some(ReplyLease::Wanted(_)) | None => None,
    };
    Envelope {
        // What a wrapping token stands for is found by its own request.
        request_id: if reply.wrap_info.is_some() { "" } else { id },
        lease_id: lease.map_or("", |lease| &lease.id),
        renewable: lease.is_some_and(|lease| lease.renewable),
        lease_duration: lease.map_or(reply.refresh_seconds, |lease| lease.duration_seconds),
        data: reply.data.as_deref(),
        wrap_info: reply.wrap_info.as_deref(),
        warnings: Some(reply.warnings.as_slice()).filter(|warnings| !warnings.is_empty()),
        auth: reply.auth.as_deref(),
    }
}

/// The envelope with the keys of its data at the top level, too; its own keys win.
fn lifted(envelope: &Envelope<'_>, data: &RawValue) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Lifted<'a> {
        #[serde(flatten)]
        data: HashMap<String, &'a RawValue>,
        #[serde(flatten)]
        envelope: &'a Envelope<'a>,
    }
    let own = [
        "request_id",
        "lease_id",
        "renewable",
        "lease_duration",
        "data",
        "wrap_info",
        "warnings",
        "auth",
    ];
    let mut keys: HashMap<String, &RawValue> = serde_json::from_str(data.get())?;
    keys.retain(|key, _| !own.contains(&key.as_str()));
    let mut body = serde_json::to_vec(&Lifted {
        data: keys,
        envelope,
    })?;
    body.push(b'\n');
    Ok(body)
}

fn refused_as(fault: &Fault, id: Option<&str>) -> HttpResponse {
    let status = status(fault);
    match fault {
        Fault::NotFound => errors(status, &[]),
        Fault::Storage(error) if error.is_for_callers() => errors(status, &[&error.to_string()]),
        Fault::Storage(StorageError::Full { .. }) => errors(
            status,
            &[&format!("the server has no space left{}", named(id))],
        ),
        Fault::Internal(_) | Fault::Storage(_) => {
            errors(status, &[&format!("internal error{}", named(id))])
        }
        told => errors(status, &[&told.to_string()]),
    }
}

/// The request that the log tells more of.
fn named(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

fn status(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Invalid(_) => StatusCode::BAD_REQUEST,
        Fault::Denied | Fault::DeniedBecause(_) | Fault::BadToken => StatusCode::FORBIDDEN,
        Fault::NotFound | Fault::NotFoundBecause(_) => StatusCode::NOT_FOUND,
        Fault::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
        Fault::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Fault::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Fault::TooMany { .. } | Fault::TooManyLeases => StatusCode::TOO_MANY_REQUESTS,
        Fault::Sealed | Fault::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Storage(error) => storage_status(error),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn storage_status(error: &StorageError) -> StatusCode {
    match error {
        StorageError::KeyTooLong { .. } => StatusCode::BAD_REQUEST,
        StorageError::BatchTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        StorageError::Sealed
        | StorageError::Closed
        | StorageError::NotLeader
        | StorageError::Conflict { .. } => StatusCode::SERVICE_UNAVAILABLE,
        StorageError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn errors(status: StatusCode, errors: &[&str]) -> HttpResponse {
    #[derive(Serialize)]
    struct Errors<'a> {
        errors: &'a [&'a str],
    }
    let mut body = serde_json::to_vec(&Errors { errors }).unwrap_or_default();
    body.push(b'\n');
    json(status, body)
}
