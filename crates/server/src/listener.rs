//! Listeners: accepting connections, within limits of time and number, and ending them.
//!
//! A listener accepts while it has a place for one more connection. Each connection is a task: the
//! handshake of TLS, then HTTP by [`protocol`]. [`socket`] and [`request`] note on the
//! [`connection::Connection`] what goes on, and [`watch`] ends a connection on which nothing does.

mod body;
mod capacity;
mod connection;
mod protocol;
mod request;
mod socket;
mod watch;

pub(crate) use request::Answers;

use crate::ServerError;
use crate::tls::Offer;
use connection::Connection;
use protocol::{Negotiated, Protocols};
use socket::ObservedStream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
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
    /// The address; port 0 for any.
    pub address: SocketAddr,
    /// The offer of TLS; `None` for plain HTTP.
    pub tls: Option<Arc<Offer>>,
    /// Its limits.
    pub limits: Limits,
}

/// A listener with its socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    places: Arc<Semaphore>,
    pub(crate) config: ListenerConfig,
}

impl Listener {
    /// Binds the socket of one of so many listeners.
    pub(crate) async fn bind(
        mut config: ListenerConfig,
        listeners: usize,
    ) -> Result<Self, ServerError> {
        let address = config.address;
        let failed = |source| ServerError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        config.address = socket.local_addr().map_err(failed)?;
        let places = capacity::connections(config.limits.connections, listeners);
        Ok(Self {
            socket,
            places: Arc::new(Semaphore::new(places)),
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
            protocols: Protocols::new(&limits, &tasks),
            ending: ending.clone(),
            tasks,
            limits,
        });
        loop {
            let (stream, peer, place) = tokio::select! {
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
            host.tasks
                .spawn(Arc::clone(&host).serve(stream, peer, place));
        }
    }

    /// Waits for a place, then for a connection: who finds none waits in the system's queue.
    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(std::io::Error::other)?;
        let (stream, peer) = self.socket.accept().await?;
        Ok((stream, peer, place))
    }
}

/// What the connections of a listener share.
struct Host<A> {
    answers: Arc<A>,
    tls: Option<Arc<Offer>>,
    protocols: Protocols,
    ending: CancellationToken,
    tasks: TaskTracker,
    limits: Limits,
}

impl<A: Answers> Host<A> {
    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
    ) {
        // Answers are small and whole: waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(self.limits, self.tasks.clone(), place);
        let service = request::Service::new(&self.answers, &connection, peer.ip());
        let stream = ObservedStream::new(stream, Arc::clone(&connection));
        let run = protocol::Run {
            protocols: &self.protocols,
            connection: &connection,
            ending: &self.ending,
        };
        let Some(offer) = &self.tls else {
            return run.serve(stream, service, Negotiated::Nothing).await;
        };
        let handshake = TlsAcceptor::from(offer.current()).accept(stream);
        match tokio::time::timeout(self.limits.head_time, handshake).await {
            Ok(Ok(stream)) => {
                let negotiated = Negotiated::of(stream.get_ref().1.alpn_protocol());
                run.serve(stream, service, negotiated).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }
}
