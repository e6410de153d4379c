//! The listener: accepts connections, makes handshakes, ends connections in order.
//!
//! A connection takes one of a bounded number of places, and a bounded time for its handshake and for
//! each head of a request.

use crate::callers::PeerNames;
use crate::socket::{Connection, Socket};
use crate::tls::Offer;
use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a handshake may take, and the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long requests under way have when the service ends: longer than an operation may take where
/// nothing else is configured, shorter than systemd and Kubernetes wait (`deploy`).
pub(crate) const DRAIN: Duration = Duration::from_secs(65);

/// The wait after the system refused a connection, for want of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Streams of an HTTP/2 connection at once.
const STREAMS_MAX: u32 = 100;

/// How often an HTTP/2 connection without requests is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts connections until it is stopped, and waits for requests under way.
pub(crate) async fn serve(
    listener: Socket,
    offer: Option<Arc<Offer>>,
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (offer, router, stop) = (offer.clone(), router.clone(), stop.clone());
        tasks.spawn(async move {
            let _place = place;
            connection(stream, offer, router, stop).await;
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("requests did not end in time and are cut off");
    }
}

async fn accept(
    listener: &Socket,
    places: &Arc<Semaphore>,
) -> Option<(Connection, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(stream) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            None
        }
    }
}

async fn connection(
    stream: Connection,
    offer: Option<Arc<Offer>>,
    router: Router,
    stop: CancellationToken,
) {
    let stream = match stream {
        Connection::Tcp(stream) => stream,
        Connection::Unix(stream) => return exchange(stream, None, router, stop).await,
    };
    // Answers are written in one piece.
    let _ = stream.set_nodelay(true);
    let Some(offer) = offer else {
        return exchange(stream, None, router, stop).await;
    };
    let handshakes = offer.current();
    let handshake = handshakes.accept(stream);
    match tokio::time::timeout(HEAD_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let own = certificates.and_then(|chain| chain.first());
            let peer = own.map(|certificate| PeerNames::of_certificate(certificate));
            exchange(stream, peer, router, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
        Err(_) => tracing::debug!("a handshake took too long"),
    }
}

async fn exchange<S>(stream: S, peer: Option<PeerNames>, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        router.call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
