//! HTTP: from bytes to a request, from an answer to bytes.

mod answer;
mod ask;
#[cfg(feature = "fuzzing")]
pub(crate) use ask::fuzzing;
mod health;

pub(crate) use answer::HttpResponse;

use crate::listener::{Limits, MakeService};
use hyper::body::Incoming;
use hyper::service::Service;
use secretum_core::Core;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

/// Makes the service of each connection.
#[derive(Debug, Clone)]
pub(crate) struct VaultServices {
    core: Arc<Core>,
    limits: Limits,
}

/// Serves the vault to one connection.
#[derive(Debug, Clone)]
pub(crate) struct VaultService {
    core: Arc<Core>,
    limits: Limits,
    peer: IpAddr,
}

impl VaultServices {
    pub(crate) fn new(core: Arc<Core>, limits: Limits) -> Self {
        Self { core, limits }
    }
}

impl MakeService for VaultServices {
    type Service = VaultService;

    fn service(&self, peer: IpAddr) -> VaultService {
        VaultService {
            core: Arc::clone(&self.core),
            limits: self.limits,
            peer,
        }
    }
}

impl Service<hyper::Request<Incoming>> for VaultService {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

impl VaultService {
    async fn answer(self, request: hyper::Request<Incoming>) -> HttpResponse {
        let time = self.limits.time;
        tokio::time::timeout(time, self.answer_in_time(request))
            .await
            .unwrap_or_else(|_| answer::timed_out())
    }

    async fn answer_in_time(self, request: hyper::Request<Incoming>) -> HttpResponse {
        let head_only = request.method() == hyper::Method::HEAD;
        let asked = ask::read(request, self.peer, self.limits.body_bytes).await;
        let mut response = match asked {
            Err(refusal) => answer::refused(&refusal),
            Ok(asked) => self.handle(asked).await,
        };
        if head_only {
            answer::drop_body(&mut response);
        }
        response
    }

    async fn handle(self, asked: ask::Asked) -> HttpResponse {
        if asked.is_health() {
            return health::answer(&self.core, asked).await;
        }
        answer::of(self.core.handle(asked.request).await)
    }
}
