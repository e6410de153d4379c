//! [`Service`]: the requests of one connection, within their time, and to their end even if nobody
//! waits for it.

use super::Peer;
use super::body::AnswerBody;
use super::connection::{Connection, UnderWay};
use super::protocol::STREAMS_MAX;
use crate::http::{self, HttpResponse};
use futures::FutureExt;
use futures::future::{BoxFuture, Map};
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::time::Timeout;
use tokio::time::error::Elapsed;

/// How many requests of one connection may be under way, those included that their client gave up.
///
/// HTTP/2 counts only those that it did not: who begins and gives up without pause would have any
/// number of them worked on.
const UNDER_WAY_MAX: u64 = 2 * STREAMS_MAX as u64;

/// Who answers the requests of a listener.
pub(crate) trait Answers: Send + Sync + 'static {
    /// Answers one request. It is not cut off by a client that goes away.
    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = HttpResponse> + Send + 'static;
}

/// Answers the requests of one connection.
pub(super) struct Service<A> {
    answers: Arc<A>,
    connection: Arc<Connection>,
    peer: Peer,
}

impl<A> Service<A> {
    pub(super) fn new(answers: &Arc<A>, connection: &Arc<Connection>, peer: Peer) -> Self {
        Self {
            answers: Arc::clone(answers),
            connection: Arc::clone(connection),
            peer,
        }
    }
}

type Answer = Response<AnswerBody>;

impl<A: Answers> hyper::service::Service<Request<Incoming>> for Service<A> {
    type Response = Answer;
    type Error = Infallible;
    type Future = Map<Timeout<Work>, fn(Result<Answer, Elapsed>) -> Result<Answer, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_one_too_many = self.connection.under_way() >= UNDER_WAY_MAX;
        let under_way = UnderWay::begin(&self.connection, request.version());
        let work: BoxFuture<'static, HttpResponse> = if is_one_too_many {
            Box::pin(std::future::ready(http::too_many()))
        } else {
            Box::pin(self.answers.answer(request, self.peer.clone()))
        };
        let work = Work {
            work: Some(work),
            under_way: Some(under_way),
            has_started: false,
        };
        tokio::time::timeout(self.connection.limits.time, work).map(in_time)
    }
}

fn in_time(answer: Result<Answer, Elapsed>) -> Result<Answer, Infallible> {
    Ok(answer.unwrap_or_else(|_| http::timed_out().map(|bytes| AnswerBody::new(bytes, None))))
}

/// The work on a request. Where nobody waits for it any more it goes on in a task of its own, for as
/// long as a request may take: between a commit and the record of its answer there is no way back.
///
/// A task for each request would have the same effect and cost something for each.
pub(super) struct Work {
    /// Until it is done.
    work: Option<BoxFuture<'static, HttpResponse>>,
    under_way: Option<UnderWay>,
    has_started: bool,
}

impl Future for Work {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        self.has_started = true;
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let response = ready!(work.as_mut().poll(context));
        self.work = None;
        let under_way = self.under_way.take();
        Poll::Ready(response.map(|bytes| AnswerBody::new(bytes, under_way)))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let (Some(work), Some(under_way), true) =
            (self.work.take(), self.under_way.take(), self.has_started)
        else {
            return;
        };
        // Where the runtime is gone, so is everything that this could be finished with.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let connection = Arc::clone(&under_way.connection);
        let time = connection.limits.time;
        let rest = async move {
            if tokio::time::timeout(time, work).await.is_err() {
                tracing::error!("a request that nobody waits for did not end, and was cut off");
            }
            drop(under_way);
        };
        connection.tasks.spawn_on(rest, &runtime);
    }
}
