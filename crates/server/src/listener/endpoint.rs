//! [`Endpoint`]: what a listener binds, and [`Socket`]: what is bound.

mod socket_file;

pub use socket_file::SocketFile;

use socket_file::Bound;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

/// What a listener binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An address; port 0 for any.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(SocketFile),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(file) => file.path.display().fmt(formatter),
        }
    }
}

/// A connection that was accepted.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// Where a connection comes from; Unix sockets do not tell.
pub(super) type Source = Option<IpAddr>;

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    /// Its file goes when this does.
    Unix {
        socket: UnixListener,
        _file: Bound,
    },
}

impl Socket {
    /// Binds, and tells what was bound: a port of 0 is another one then.
    pub(super) async fn bind(endpoint: &Endpoint) -> std::io::Result<(Self, Endpoint)> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = TcpListener::bind(address).await?;
                let address = socket.local_addr()?;
                Ok((Self::Tcp(socket), Endpoint::Tcp(address)))
            }
            Endpoint::Unix(file) => {
                let (socket, _file) = file.bind()?;
                Ok((Self::Unix { socket, _file }, endpoint.clone()))
            }
        }
    }

    pub(super) async fn accept(&self) -> std::io::Result<(Stream, Source)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Answers are small and whole: waiting to fill a segment only delays them.
                let _ = stream.set_nodelay(true);
                // A socket for both families shows addresses of the older one inside of the newer.
                Ok((Either::Left(stream), Some(peer.ip().to_canonical())))
            }
            Self::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                Ok((Either::Right(stream), None))
            }
        }
    }
}
