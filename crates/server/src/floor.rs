//! The bare floor: the same stack answering a constant, to measure everything else against.

use crate::http::HttpResponse;
use crate::listener::{ListenerConfig, MakeService};
use crate::{Server, ServerError};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::Service;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;

/// About as long as the answer to a KV read of a secret of 1 KiB.
const BODY_BYTES: usize = 1_400;

/// Serves a constant.
///
/// **Errors**: [`ServerError::Listen`].
pub async fn start(listener: ListenerConfig) -> Result<Server, ServerError> {
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    Server::start_with(vec![listener], |_| Constant(body.clone())).await
}

#[derive(Debug, Clone)]
struct Constant(Bytes);

impl MakeService for Constant {
    type Service = Self;

    fn service(&self, _: IpAddr) -> Self {
        self.clone()
    }
}

impl Service<hyper::Request<Incoming>> for Constant {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Ready<Result<HttpResponse, Infallible>>;

    fn call(&self, _: hyper::Request<Incoming>) -> Self::Future {
        ready(Ok(hyper::Response::new(Full::new(self.0.clone()))))
    }
}
