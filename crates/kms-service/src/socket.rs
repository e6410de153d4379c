//! [`Socket`]: where connections come in, by TCP or by a socket of the file system.

use crate::ServiceError;
use crate::config::GrpcAddress;
use rustix::fs::Mode;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A place that is listened at.
#[derive(Debug)]
pub(crate) enum Socket {
    /// An address of the network.
    Tcp(TcpListener),
    /// A file, which is taken away at the end.
    Unix(UnixListener, SocketFile),
}

/// A connection.
pub(crate) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The file of a socket.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    pub(crate) async fn bind_tcp(address: SocketAddr) -> Result<Self, ServiceError> {
        let bound = TcpListener::bind(address).await;
        bound
            .map(Self::Tcp)
            .map_err(|source| ServiceError::Listen { address, source })
    }

    pub(crate) async fn bind(address: &GrpcAddress) -> Result<Self, ServiceError> {
        match address {
            GrpcAddress::Tcp(address) => Self::bind_tcp(*address).await,
            GrpcAddress::Unix(path) => bind_unix(path).map_err(|source| ServiceError::Socket {
                path: path.clone(),
                source,
            }),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(to, _)| Connection::Tcp(to)),
            Self::Unix(listener, _) => listener.accept().await.map(|(to, _)| Connection::Unix(to)),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(_) => f.write_str("an address"),
            },
            Self::Unix(_, SocketFile(path)) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Takes the place of a socket that nobody listens at any more, as a service leaves it that was killed.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    use std::os::unix::fs::FileTypeExt;
    let left = std::fs::symlink_metadata(path);
    if left.is_ok_and(|found| found.file_type().is_socket()) {
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
            }
            _ => return Err(io::Error::from(io::ErrorKind::AddrInUse)),
        }
    }
    // From its first moment it is for its owner alone.
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    Ok(Socket::Unix(bound?, SocketFile(path.to_owned())))
}
