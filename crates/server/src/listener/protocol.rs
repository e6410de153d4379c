//! [`Run`]: HTTP on a connection, from its first byte to its end.

use super::Limits;
use super::connection::{Connection, Phase};
use super::request::{Answers, Service};
use super::watch::Watch;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many requests of one connection are served at once, by HTTP/2.
pub(super) const STREAMS_MAX: u32 = 100;

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// How many streams a client may reset before they are looked at, and how many the server may reset
/// because of it, before the connection ends (CVE-2023-44487, CVE-2025-8671).
const RESETS_UNSEEN_MAX: usize = 20;
const RESETS_OF_OURS_MAX: usize = 1_024;

/// How often a connection of HTTP/2 is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What TLS settled about HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Negotiated {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// There is no TLS: the first bytes will tell.
    Nothing,
}

impl Negotiated {
    /// What the name of a protocol stands for; without one it is HTTP/1.1, as clients have it.
    pub(super) fn of(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            _ => Self::Http1,
        }
    }
}

/// How each protocol is spoken.
pub(super) struct Protocols {
    http1: Builder<StreamTasks>,
    http2: Builder<StreamTasks>,
    either: Builder<StreamTasks>,
}

impl Protocols {
    pub(super) fn new(limits: &Limits, tasks: &TaskTracker) -> Self {
        let mut either = Builder::new(StreamTasks {
            tasks: tasks.clone(),
            time: limits.time.saturating_add(limits.write_time),
        });
        either
            .http1()
            // It would count the rest between two requests as part of the second: `Watch` does not.
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES_MAX as usize);
        either
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_pending_accept_reset_streams(RESETS_UNSEEN_MAX)
            .max_local_error_reset_streams(RESETS_OF_OURS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX)
            .keep_alive_interval(Some(PING_INTERVAL));
        Self {
            http1: either.clone().http1_only(),
            http2: either.clone().http2_only(),
            either,
        }
    }

    fn of(&self, negotiated: Negotiated) -> &Builder<StreamTasks> {
        match negotiated {
            Negotiated::Http1 => &self.http1,
            Negotiated::Http2 => &self.http2,
            Negotiated::Nothing => &self.either,
        }
    }
}

/// Runs streams of HTTP/2 as tasks that are waited for at the end, none longer than its request and
/// the reading of its answer may take: a client can leave a stream without room, and take its pings
/// and the other streams.
#[derive(Debug, Clone)]
struct StreamTasks {
    tasks: TaskTracker,
    time: Duration,
}

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.tasks.spawn(tokio::time::timeout(self.time, stream));
    }
}

/// A connection that is ready for HTTP.
pub(super) struct Run<'h> {
    pub(super) protocols: &'h Protocols,
    pub(super) connection: &'h Arc<Connection>,
    pub(super) ending: &'h CancellationToken,
}

impl Run<'_> {
    /// Serves until the client or the server ends it.
    pub(super) async fn serve<I, A>(self, stream: I, service: Service<A>, negotiated: Negotiated)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Answers,
    {
        let builder = self.protocols.of(negotiated);
        let served = builder.serve_connection(TokioIo::new(stream), service);
        let mut served = std::pin::pin!(served);
        let mut watch = Watch::new(self.connection);
        // All connections wait for the same end, behind one lock. Wrapped like this it is asked for
        // once, not at each step of each of them.
        let mut ending = FuturesUnordered::from_iter([self.ending.cancelled()]);
        let ended = loop {
            tokio::select! {
                biased;
                ended = served.as_mut() => break ended,
                phase = std::future::poll_fn(|context| watch.poll(context)) => {
                    if !matches!(phase, Phase::Idle { .. }) {
                        tracing::debug!(?phase, "a connection was slow, and ended");
                        return;
                    }
                    served.as_mut().graceful_shutdown();
                    let goodbye = tokio::time::timeout(self.connection.limits.head_time, served);
                    break goodbye.await.unwrap_or(Ok(()));
                }
                Some(()) = ending.next() => served.as_mut().graceful_shutdown(),
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }
}
