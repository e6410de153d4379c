//! HTTP: from bytes to a request, from an answer to bytes.

mod answer;
mod ask;
mod body;
mod cross_origin;
mod health;
#[cfg(test)]
mod tests;

pub(crate) use answer::{HttpResponse, timed_out, too_many};
#[cfg(feature = "fuzzing")]
pub(crate) use ask::fuzzing;
pub(crate) use body::BodyMemory;

use crate::listener::{Answers, Limits};
use hyper::body::Incoming;
use secretum_core::Core;
use std::net::IpAddr;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Serves the vault to a listener.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) core: Arc<Core>,
    pub(crate) limits: Limits,
    /// What bodies may take up, of all listeners together.
    pub(crate) bodies: Arc<BodyMemory>,
    pub(crate) tasks: TaskTracker,
}

impl Answers for Vault {
    fn answer(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: IpAddr,
    ) -> impl Future<Output = HttpResponse> + Send + 'static {
        let vault = Arc::clone(self);
        async move {
            let visitor = match cross_origin::visitor(&vault.core, request.headers()) {
                Ok(visitor) => visitor,
                Err(refusal) => return answer::refused(&refusal),
            };
            if let Some(visitor) = &visitor
                && let Some(answer) = visitor.preflight(request.method(), request.headers())
            {
                return answer;
            }
            let head_only = request.method() == hyper::Method::HEAD;
            let mut response = match ask::read(&vault, request, peer).await {
                Err(refusal) => answer::turned_away(&refusal),
                Ok(asked) => vault.handle(asked).await,
            };
            if let Some(visitor) = visitor {
                visitor.admit(&mut response);
            }
            if head_only {
                answer::drop_body(&mut response);
            }
            response
        }
    }
}

impl Vault {
    async fn handle(&self, asked: ask::Asked) -> HttpResponse {
        if asked.is_health() {
            return health::answer(&self.core, asked.request).await;
        }
        // What the body takes up is given back when the request is done with it.
        let _held = asked.held;
        answer::of(self.core.handle(asked.request).await)
    }
}
