//! [`Socket`]: where connections come in, by TCP or by a socket of the file system.

use crate::ServiceError;
use crate::config::GrpcAddress;
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// How many connections wait to be accepted.
const BACKLOG: i32 = 1024;

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
    // From its first moment it is for its owner alone: the file gets the rights of the socket. The umask
    // would be that of all threads, and of what they write.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile(path.to_owned());
    listen(&socket, BACKLOG)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok(Socket::Unix(listener, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_files_made_meanwhile_are_as_ever() {
        let folder = tempfile::tempdir().unwrap();
        let usual = folder.path().join("usual");
        std::fs::write(&usual, "").unwrap();
        let (usual, ended) = (mode(&usual), AtomicBool::new(false));
        let path = folder.path().join("socket");
        std::thread::scope(|scope| {
            let others = scope.spawn(|| {
                let mut others = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    let other = folder.path().join(format!("{}", others.len()));
                    std::fs::write(&other, "").unwrap();
                    others.push(mode(&other));
                }
                others
            });
            for _ in 0..2000 {
                let socket = bind_unix(&path).unwrap();
                assert_eq!(mode(&path), 0o600);
                drop(socket);
                assert!(!path.exists());
            }
            ended.store(true, Ordering::Relaxed);
            assert!(others.join().unwrap().iter().all(|mode| *mode == usual));
        });
    }

    #[tokio::test]
    async fn one_that_was_left_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = bind_unix(&path).unwrap();
        let in_use = bind_unix(&path).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"x").await.unwrap();
        // Who looked whether it is in use says nothing.
        for said in ["", "x"] {
            let Connection::Unix(mut server) = socket.accept().await.unwrap() else {
                panic!("no socket of the file system");
            };
            let mut heard = [0; 1];
            let length = server.read(&mut heard).await.unwrap();
            assert_eq!(&heard[..length], said.as_bytes());
        }
    }
}
