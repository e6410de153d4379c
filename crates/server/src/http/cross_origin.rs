//! Requests of pages of other origins, as browsers ask for them.
//!
//! **Source**: the Fetch standard, section 3.3 (CORS protocol).

use super::answer::HttpResponse;
use bytes::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};
use secretum_core::{Core, CrossOriginRules};
use secretum_engine::Fault;
use std::sync::Arc;

/// What a page may ask with.
const METHODS: &str = "DELETE,GET,OPTIONS,PATCH,POST,PUT,LIST,SCAN";

/// How long a browser may rely on what it was told, in seconds.
const MAX_AGE: &str = "300";

/// A page of another origin that may ask, and the rules that say so.
pub(super) struct Visitor {
    origin: HeaderValue,
    rules: Arc<CrossOriginRules>,
}

/// Who asks from another origin; `None` where nobody does, or no rules say who may.
///
/// **Errors**: [`Fault::DeniedBecause`] for a page that may not ask.
pub(super) fn visitor(core: &Core, headers: &HeaderMap) -> Result<Option<Visitor>, Fault> {
    // Only browsers send it: all others pay one look.
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(None);
    };
    let Some(rules) = core.cross_origin() else {
        return Ok(None);
    };
    if !origin.to_str().is_ok_and(|origin| rules.allows(origin)) {
        return Err(Fault::DeniedBecause("origin not allowed".into()));
    }
    Ok(Some(Visitor {
        origin: origin.clone(),
        rules,
    }))
}

impl Visitor {
    /// The answer to a browser that asks what a page may ask.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HttpResponse> {
        if *method != Method::OPTIONS {
            return None;
        }
        let mut response = HttpResponse::new(Bytes::new());
        let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let asked = asked.and_then(|method| method.to_str().ok()).unwrap_or("");
        if !METHODS.split(',').any(|method| method == asked) {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return Some(response);
        }
        *response.status_mut() = StatusCode::NO_CONTENT;
        self.admit(&mut response);
        let own = response.headers_mut();
        own.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
        own.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        let allowed = self.rules.allowed_headers.join(",");
        if let Ok(allowed) = HeaderValue::try_from(allowed) {
            own.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        Some(response)
    }

    /// Lets the page see an answer.
    pub(super) fn admit(&self, response: &mut HttpResponse) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if self.rules.allow_credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }
}
