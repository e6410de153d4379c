//! The listener: accepts connections, makes handshakes, ends connections in order.
//!
//! A connection takes one of a bounded number of places, and a bounded time for its handshake, for its first
//! request, for each head of one, and without any.

use crate::callers::PeerNames;
use crate::socket::{Connection, Socket};
use crate::tls::Offer;
use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a handshake may take, what comes before the first request, and the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long requests under way have when the service ends: longer than an operation may take where
/// nothing else is configured, shorter than systemd and Kubernetes wait (`deploy`).
pub(crate) const DRAIN: Duration = Duration::from_secs(65);

/// The wait after the system refused a connection, for want of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Streams of an HTTP/2 connection at once.
const STREAMS_MAX: u32 = 100;

/// How long a connection stays without a request under way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

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

/// What goes on over a connection.
#[derive(Debug, Clone)]
struct Use(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    under_way: usize,
    /// When the last request ended, or the connection began.
    since: Instant,
    /// How long it may stay as it is.
    limit: Duration,
}

/// A request under way.
struct UnderWay(Use);

impl Use {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Seen {
            under_way: 0,
            since: Instant::now(),
            limit: HEAD_TIMEOUT,
        })))
    }

    fn begin(&self) -> UnderWay {
        self.0.lock().under_way += 1;
        UnderWay(self.clone())
    }

    /// Waits until nothing went on for too long.
    async fn ended(&self) {
        loop {
            let until = {
                let seen = self.0.lock();
                match seen.under_way {
                    0 => seen.since + seen.limit,
                    _ => Instant::now() + IDLE_TIMEOUT,
                }
            };
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut seen = self.0.0.lock();
        seen.under_way -= 1;
        seen.since = Instant::now();
        seen.limit = IDLE_TIMEOUT;
    }
}

async fn exchange<S>(stream: S, peer: Option<PeerNames>, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let used = Use::new();
    let own = used.clone();
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        let (under_way, answer) = (own.begin(), router.call(request));
        async move {
            let _under_way = under_way;
            answer.await
        }
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
        () = used.ended() => {
            connection.as_mut().graceful_shutdown();
            // Who does not even read has no more time than who does not even write.
            let ended = tokio::time::timeout(HEAD_TIMEOUT, connection).await;
            ended.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    async fn connect(address: &str) -> TcpStream {
        let address: SocketAddr = address.parse().unwrap();
        TcpStream::connect(address).await.unwrap()
    }

    /// The clock jumps to what is waited for, where nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_does_not_keep_its_place() {
        let listener = Socket::bind_tcp("127.0.0.1:0".parse().unwrap()).await;
        let listener = listener.unwrap();
        let (address, stop) = (listener.to_string(), CancellationToken::new());
        let router = Router::new().route("/", get(|| async { "served" }));
        let serving = tokio::spawn(serve(listener, None, router, 2, stop.clone()));
        for said in [&b""[..], b"G", PREFACE] {
            let mut silent = [connect(&address).await, connect(&address).await];
            for stream in &mut silent {
                stream.write_all(said).await.unwrap();
            }
            let since = Instant::now();
            let mut served = connect(&address).await;
            served.write_all(REQUEST).await.unwrap();
            let mut answer = String::new();
            served.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("served"), "{said:?}: {answer}");
            assert!(since.elapsed() >= HEAD_TIMEOUT, "{said:?}");
        }
        stop.cancel();
        serving.await.unwrap();
    }
}
