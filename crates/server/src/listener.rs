//! Listeners: accepting connections, within limits of time and number, and ending them.
//!
//! A listener accepts while it has a place for one more connection. Each connection is a task: the
//! handshake of TLS, then HTTP by [`protocol`]. [`socket`] and [`request`] note on the
//! [`connection::Connection`] what goes on, and [`watch`] ends a connection on which nothing does.

mod body;
mod capacity;
mod connection;
mod endpoint;
mod peer;
mod protocol;
pub(crate) mod proxy;
mod request;
mod socket;
mod watch;

pub(crate) use capacity::Places;
pub use endpoint::{Endpoint, SocketFile};
pub(crate) use peer::Peer;
pub use proxy::{Networks, ProxyProtocol, Untrusted};
pub(crate) use request::Answers;

use crate::ServerError;
use crate::http::ForwardedFor;
use crate::tls::Offer;
use bytes::Bytes;
use connection::Connection;
use endpoint::{Socket, Source, Stream};
use protocol::{Negotiated, Protocols};
use socket::ObservedStream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to rest when the system has no more file descriptors.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);

/// Limits of a listener, its connections and their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest body.
    pub body_bytes: usize,
    /// How long a request may take, its body and its answer.
    pub time: Duration,
    /// How long a handshake, the first request of a connection, or the head of any may take.
    pub head_time: Duration,
    /// How long the body of a request may take.
    pub body_time: Duration,
    /// How long a client may take nothing of what waits for it.
    pub write_time: Duration,
    /// How long a connection may rest between two requests.
    pub idle_time: Duration,
    /// How many connections may be open at once; further ones wait. At least one is served, and
    /// no more than the process may open files.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            time: Duration::from_secs(90),
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(300),
            connections: 16_384,
        }
    }
}

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// What is bound.
    pub endpoint: Endpoint,
    /// The offer of TLS; `None` for plain HTTP.
    pub tls: Option<Arc<Offer>>,
    /// Its limits.
    pub limits: Limits,
    /// Whether connections tell where they come from, by the PROXY protocol.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whether requests tell where they come from, by X-Forwarded-For.
    pub forwarded_for: Option<ForwardedFor>,
    /// Whether metrics are given to who has no token.
    pub unauthenticated_metrics: bool,
}

impl ListenerConfig {
    /// Listens to an address, or to any free port of it where its port is 0, with nothing out of the
    /// ordinary.
    pub fn tcp(address: SocketAddr, tls: Option<Arc<Offer>>, limits: Limits) -> Self {
        Self {
            endpoint: Endpoint::Tcp(address),
            tls,
            limits,
            proxy_protocol: None,
            forwarded_for: None,
            unauthenticated_metrics: false,
        }
    }
}

/// A listener with its socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    pub(crate) places: Arc<Places>,
    pub(crate) config: ListenerConfig,
}

impl Listener {
    /// Binds the socket of one of so many listeners.
    pub(crate) async fn bind(
        mut config: ListenerConfig,
        listeners: usize,
    ) -> Result<Self, ServerError> {
        let failed = |endpoint: &Endpoint, source| ServerError::Listen {
            endpoint: endpoint.to_string(),
            source,
        };
        let bound = Socket::bind(&config.endpoint).await;
        let (socket, endpoint) = bound.map_err(|error| failed(&config.endpoint, error))?;
        config.endpoint = endpoint;
        let places = Arc::new(Places::new(config.limits.connections, listeners));
        Ok(Self {
            socket,
            places,
            config,
        })
    }

    /// Accepts until `ending`; connections under way end after their requests, counted in `tasks`.
    pub(crate) async fn run<A: Answers>(
        self,
        answers: Arc<A>,
        ending: CancellationToken,
        tasks: TaskTracker,
    ) {
        let limits = self.config.limits;
        let host = Arc::new(Host {
            answers,
            tls: self.config.tls.clone(),
            proxy_protocol: self.config.proxy_protocol.clone(),
            protocols: Protocols::new(&limits, &tasks),
            ending: ending.clone(),
            tasks,
            limits,
        });
        loop {
            let (accepted, place) = tokio::select! {
                () = ending.cancelled() => return,
                accepted = self.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(EXHAUSTED_REST).await;
                        continue;
                    }
                },
            };
            host.tasks.spawn(Arc::clone(&host).serve(accepted, place));
        }
    }

    /// Waits for a place, then for a connection: who finds none waits in the system's queue.
    async fn accept(&self) -> std::io::Result<((Stream, Source), OwnedSemaphorePermit)> {
        let place = self.places.take().await?;
        Ok((self.socket.accept().await?, place))
    }
}

/// What the connections of a listener share.
struct Host<A> {
    answers: Arc<A>,
    tls: Option<Arc<Offer>>,
    proxy_protocol: Option<ProxyProtocol>,
    protocols: Protocols,
    ending: CancellationToken,
    tasks: TaskTracker,
    limits: Limits,
}

impl<A: Answers> Host<A> {
    async fn serve(
        self: Arc<Self>,
        (stream, source): (Stream, Source),
        place: OwnedSemaphorePermit,
    ) {
        let connection = Connection::new(self.limits, self.tasks.clone(), place);
        let Some((stream, peer)) = self.identify(stream, source, &connection).await else {
            return;
        };
        let run = protocol::Run {
            protocols: &self.protocols,
            connection: &connection,
            ending: &self.ending,
        };
        let Some(offer) = &self.tls else {
            let service = request::Service::new(&self.answers, &connection, peer);
            return run.serve(stream, service, Negotiated::Nothing).await;
        };
        let handshakes = offer.current();
        let handshake = handshakes.accept(stream);
        match tokio::time::timeout(self.limits.head_time, handshake).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let negotiated = Negotiated::of(session.alpn_protocol());
                let peer = peer.with_certificates(session.peer_certificates());
                let service = request::Service::new(&self.answers, &connection, peer);
                run.serve(stream, service, negotiated).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Where a connection comes from, by its PROXY header where one is believed; `None` where it is
    /// refused.
    async fn identify(
        &self,
        mut stream: Stream,
        source: Source,
        connection: &Arc<Connection>,
    ) -> Option<(ObservedStream, Peer)> {
        let Some(proxy_protocol) = &self.proxy_protocol else {
            let stream = ObservedStream::new(stream, Bytes::new(), Arc::clone(connection));
            return Some((stream, Peer::at(source)));
        };
        let identified = proxy_protocol.identify(&mut stream, source);
        match tokio::time::timeout(self.limits.head_time, identified).await {
            Ok(Ok((source, read_ahead))) => {
                let stream = ObservedStream::new(stream, read_ahead, Arc::clone(connection));
                Some((stream, Peer::at(source)))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, ?source, "a connection is refused for its PROXY header");
                None
            }
            Err(_) => {
                tracing::debug!(?source, "a PROXY header took too long");
                None
            }
        }
    }
}
