//! The bare floor: the same stack answering a constant, to measure everything else against.

use crate::http::HttpResponse;
use crate::listener::{Answers, ListenerConfig, Peer};
use crate::{Server, ServerError};
use bytes::Bytes;
use hyper::body::Incoming;
use std::future::ready;
use std::sync::Arc;

/// About as long as the answer to a KV read of a secret of 1 KiB.
const BODY_BYTES: usize = 1_400;

/// Serves a constant.
///
/// **Errors**: [`ServerError::Listen`].
pub async fn start(listener: ListenerConfig) -> Result<Server, ServerError> {
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    let constant = Arc::new(Constant(body));
    Server::start_with(vec![listener], |_, _| Arc::clone(&constant)).await
}

#[derive(Debug)]
struct Constant(Bytes);

impl Answers for Constant {
    fn answer(
        self: &Arc<Self>,
        _: hyper::Request<Incoming>,
        _: Peer,
    ) -> impl Future<Output = HttpResponse> + Send + 'static {
        ready(hyper::Response::new(self.0.clone()))
    }
}
