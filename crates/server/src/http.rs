//! HTTP: from bytes to a request, from an answer to bytes.

mod answer;
mod ask;
mod body;
mod cross_origin;
mod forwarded;
mod health;
#[cfg(test)]
mod tests;

pub(crate) use answer::{HttpResponse, timed_out, too_many};
#[cfg(feature = "fuzzing")]
pub(crate) use ask::fuzzing;
pub(crate) use body::BodyMemory;
pub use forwarded::ForwardedFor;

use crate::listener::{Answers, Limits, Peer};
use crate::logging;
use crate::traces;
use hyper::body::Incoming;
use secretum_api::RequestPath;
use secretum_core::{Core, Request};
use secretum_crypto::{SystemRng, random_uuid};
use secretum_engine::Fault;
use secretum_process::{Traced, Traces};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Serves the vault to a listener.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) core: Arc<Core>,
    pub(crate) traces: Option<Arc<Traces>>,
    pub(crate) limits: Limits,
    pub(crate) forwarded_for: Option<ForwardedFor>,
    pub(crate) unauthenticated_metrics: bool,
    /// What bodies may take up, of all listeners together.
    pub(crate) bodies: Arc<BodyMemory>,
    pub(crate) tasks: TaskTracker,
}

impl Answers for Vault {
    fn answer(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        mut peer: Peer,
    ) -> impl Future<Output = HttpResponse> + Send + 'static {
        let vault = Arc::clone(self);
        let id = random_uuid(&SystemRng).map_err(Fault::internal);
        // Every line that is logged on the way tells which request it is about. At the highest level, so
        // that it is there for any line that is logged at all.
        let span = tracing::error_span!("request", request_id = id.as_deref().unwrap_or_default());
        let traced = vault.traces.as_ref();
        let traced = traced.map(|traces| traces.begin(request.headers()));
        let work = async move {
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
            let mut response = match vault.locate(&request, &mut peer) {
                Err(fault) => answer::refused(&fault),
                Ok(()) => match ask::read(&vault, id, request, peer).await {
                    Err(refusal) => answer::turned_away(&refusal),
                    Ok(asked) => vault.handle(asked, traced.as_ref()).await,
                },
            };
            if let Some(visitor) = visitor {
                visitor.admit(&mut response);
            }
            if let Some(traced) = traced {
                traces::end(traced, response.status().as_u16());
            }
            if head_only {
                answer::drop_body(&mut response);
            }
            response
        };
        work.instrument(span)
    }
}

/// What is logged of a request when it is done.
struct Logged {
    path: RequestPath,
    operation: &'static str,
    address: Option<IpAddr>,
}

impl Logged {
    fn of(request: &Request) -> Self {
        Self {
            path: request.path.clone(),
            operation: request.verb.operation().as_str(),
            address: request.remote_address,
        }
    }

    fn log(&self, status: u16, took: Duration) {
        let address = self.address.map(|address| address.to_string());
        logging::request_done(&logging::Done {
            path: self.path.as_str(),
            operation: self.operation,
            address: address.as_deref().unwrap_or_default(),
            status,
            took,
        });
    }
}

impl Vault {
    /// Puts the address of the client in the place of its proxy's.
    fn locate(&self, request: &hyper::Request<Incoming>, peer: &mut Peer) -> Result<(), Fault> {
        if let Some(forwarded_for) = &self.forwarded_for {
            peer.address = forwarded_for.client(request.headers(), peer.address)?;
        }
        Ok(())
    }

    async fn handle(&self, asked: ask::Asked, traced: Option<&Traced>) -> HttpResponse {
        if asked.is_health() {
            return health::answer(&self.core, asked.request).await;
        }
        if self.unauthenticated_metrics && asked.is_metrics() {
            let pairs = &asked.request.query;
            let form = pairs.iter().find(|(name, _)| name == "format");
            let form = form.map_or("", |(_, form)| form.as_str());
            return answer::report(self.core.report(form));
        }
        let began = Instant::now();
        // What the body takes up is given back when the request is done with it.
        let _held = asked.held;
        let logged = logging::logs_requests().then(|| Logged::of(&asked.request));
        let response = self.core.handle(asked.request).await;
        if let Some(traced) = traced {
            traces::describe(traced, &response, self.core.metrics());
        }
        let measured = response.measured;
        let answer = answer::of(response);
        let (status, took) = (answer.status().as_u16(), began.elapsed());
        self.core.metrics().answered(measured, status, took);
        if let Some(logged) = logged {
            logged.log(status, took);
        }
        answer
    }
}
