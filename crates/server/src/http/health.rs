//! `sys/health`, whose status code is its answer.

use super::answer::{self, HttpResponse};
use hyper::StatusCode;
use secretum_core::{Core, NodeState, Request};
use secretum_engine::Fault;

/// Answers with the code of the node's state, or the one that the query names for it.
pub(super) async fn answer(core: &Core, request: Request) -> HttpResponse {
    let query = request.query.clone();
    let response = core.handle(request).await;
    let state = match core.status().await {
        Ok(status) => status.state,
        Err(error) => return answer::refused(&Fault::internal(error)),
    };
    let (name, usual) = match state {
        NodeState::Active => ("activecode", 200),
        NodeState::Sealed => ("sealedcode", 503),
        NodeState::Uninitialized => ("uninitcode", 501),
    };
    let mut response = answer::of(response);
    if response.status() != StatusCode::OK {
        return response;
    }
    let wanted = query
        .iter()
        .find(|(own, _)| own == name)
        .map(|(_, code)| code.parse::<u16>());
    let code = match wanted {
        None => Ok(usual),
        Some(code) => code,
    };
    match code.ok().and_then(status) {
        Some(code) => *response.status_mut() = code,
        None => {
            let text = format!("`{name}` must be an HTTP status code from 200 to 599");
            return answer::refused(&Fault::invalid(text));
        }
    }
    response
}

/// A status that ends an answer, and that clients know: those below 200 announce another one.
fn status(code: u16) -> Option<StatusCode> {
    StatusCode::from_u16(code)
        .ok()
        .filter(|_| (200..=599).contains(&code))
}
