//! A request's body, in memory that is zeroed.

use super::error::ApiError;
use super::{Api, BODY_UNIT_BYTES};
use axum::extract::Request;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use zeroize::Zeroizing;

/// A body, and its share of the room for all of them.
pub(super) struct Body {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    _room: OwnedSemaphorePermit,
}

/// Reads a whole body within the limits.
pub(super) async fn read(api: &Api, request: Request) -> Result<Body, ApiError> {
    check_type(request.headers())?;
    let limit = api.limits.body_bytes_max;
    let declared = request.headers().get(CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let expected = declared.unwrap_or(limit);
    if expected > limit {
        return Err(ApiError::body_too_large(limit));
    }
    let units = u32::try_from(expected / BODY_UNIT_BYTES + 1).unwrap_or(u32::MAX);
    let room = Arc::clone(&api.body_room).try_acquire_many_owned(units);
    let _room = room.map_err(|_| ApiError::overloaded("large bodies at once"))?;
    let mut body = request.into_body();
    // All of it at once where its length is known: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(declared.unwrap_or(BODY_UNIT_BYTES)));
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| ApiError::bad("body_broken", "the body broke off; send it again"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > limit {
            return Err(ApiError::body_too_large(limit));
        }
        append(&mut bytes, &data);
    }
    Ok(Body { bytes, _room })
}

/// Grows by moving to a larger buffer, and zeroes the smaller one.
fn append(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let needed = bytes.len().saturating_add(data.len());
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data);
}

/// Bodies are JSON by name, too: without that, a page in a browser could send one from anywhere.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = given
        .and_then(|given| given.split(';').next())
        .unwrap_or_default()
        .trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content_type",
        "the body is to be JSON; send `Content-Type: application/json`",
    ))
}
