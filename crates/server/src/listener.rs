//! Listeners: accepting connections, within limits of time, and ending them.

use crate::ServerError;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a handshake, or the head of a request, may take.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How many requests of one connection are served at once, by HTTP/2.
const STREAMS_MAX: u32 = 256;

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// How long to rest when the system has no more file descriptors.
const EXHAUSTED_REST: Duration = Duration::from_millis(50);

/// Limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest body.
    pub body_bytes: usize,
    /// How long a request may take, its body and its answer.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            time: Duration::from_secs(90),
        }
    }
}

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// The address; port 0 for any.
    pub address: SocketAddr,
    /// The offer of TLS; `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Limits of a request.
    pub limits: Limits,
}

/// A listener with its socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) config: ListenerConfig,
}

/// What a service is made for each connection from.
pub(crate) trait MakeService: Clone + Send + Sync + 'static {
    type Service: Service<
            hyper::Request<Incoming>,
            Response = crate::http::HttpResponse,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send
        + 'static;

    fn service(&self, peer: IpAddr) -> Self::Service;
}

impl Listener {
    pub(crate) async fn bind(mut config: ListenerConfig) -> Result<Self, ServerError> {
        let address = config.address;
        let failed = |source| ServerError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        config.address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, config })
    }

    /// Accepts until `ending`; connections under way end after their requests, counted in `tasks`.
    pub(crate) async fn run(
        self,
        services: impl MakeService,
        ending: CancellationToken,
        tasks: TaskTracker,
    ) {
        let acceptor = self.config.tls.map(TlsAcceptor::from);
        loop {
            let (stream, peer) = tokio::select! {
                () = ending.cancelled() => return,
                accepted = self.socket.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(EXHAUSTED_REST).await;
                        continue;
                    }
                },
            };
            let service = services.service(peer.ip());
            let (acceptor, ending) = (acceptor.clone(), ending.clone());
            tasks.spawn(async move {
                // Answers are small and whole: waiting to fill a segment only delays them.
                let _ = stream.set_nodelay(true);
                match acceptor {
                    None => serve(stream, service, ending).await,
                    Some(acceptor) => secure(acceptor, stream, service, ending).await,
                }
            });
        }
    }
}

async fn secure<S>(acceptor: TlsAcceptor, stream: TcpStream, service: S, ending: CancellationToken)
where
    S: Service<
            hyper::Request<Incoming>,
            Response = crate::http::HttpResponse,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send
        + 'static,
{
    match tokio::time::timeout(HEAD_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, service, ending).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve<I, S>(stream: I, service: S, ending: CancellationToken)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    S: Service<
            hyper::Request<Incoming>,
            Response = crate::http::HttpResponse,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send
        + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}
