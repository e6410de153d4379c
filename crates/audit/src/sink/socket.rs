//! [`Socket`]: records to a peer over TCP, UDP or a unix socket.
//!
//! A record of a stream is taken when the system has it. A peer that ended its side is noticed before
//! each batch; one that died without a word has lost what was on its way. A datagram may be lost unseen.

use super::{Opened, Sink, Unwritten};
use crate::AuditError;
use crate::queue::Lines;
use rustix::net::RecvFlags;
use std::io::{ErrorKind, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a write may take unless configured.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest that a write may be given.
pub(crate) const WRITE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How much of what a peer says is thrown away before a batch, in bytes.
const IGNORED_BYTES_MAX: usize = 64 << 10;

/// Where a socket device sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketOptions {
    /// `host:port`, or the path of a unix socket.
    pub(crate) address: String,
    pub(crate) kind: SocketKind,
    /// For a write, and for connecting over TCP.
    pub(crate) write_timeout: Duration,
}

/// What a socket device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketKind {
    Tcp,
    Udp,
    Unix,
}

impl SocketOptions {
    /// The sink; it connects when it has something to send.
    pub(crate) fn open(&self) -> Opened {
        Opened::elsewhere(Socket {
            options: self.clone(),
            connection: None,
        })
    }

    /// Whether somebody is there.
    ///
    /// **Errors**: [`AuditError::Unreachable`].
    pub(crate) fn try_connect(&self) -> Result<(), AuditError> {
        self.connect().map(drop)
    }

    fn connect(&self) -> Result<Connection, AuditError> {
        let connected = match self.kind {
            SocketKind::Tcp => self.connect_tcp().map(Connection::Tcp),
            SocketKind::Udp => self.connect_udp().map(Connection::Udp),
            SocketKind::Unix => self.connect_unix().map(Connection::Unix),
        };
        connected.map_err(|error| self.failed(&error))
    }

    fn connect_tcp(&self) -> std::io::Result<TcpStream> {
        let mut last = ErrorKind::AddrNotAvailable.into();
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.write_timeout) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(self.write_timeout))?;
                    stream.set_nodelay(true)?;
                    // A machine that is gone acknowledges nothing: then the connection is lost.
                    let unanswered = u32::try_from(self.write_timeout.as_millis());
                    let unanswered = unanswered.unwrap_or(u32::MAX);
                    rustix::net::sockopt::set_tcp_user_timeout(&stream, unanswered)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_udp(&self) -> std::io::Result<UdpSocket> {
        let mut last = ErrorKind::AddrNotAvailable.into();
        for address in self.address.to_socket_addrs()? {
            let own = if address.is_ipv4() {
                "0.0.0.0:0"
            } else {
                "[::]:0"
            };
            let socket = UdpSocket::bind(own)?;
            match socket.connect(address) {
                Ok(()) => {
                    socket.set_write_timeout(Some(self.write_timeout))?;
                    return Ok(socket);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_unix(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.address)?;
        stream.set_write_timeout(Some(self.write_timeout))?;
        Ok(stream)
    }

    fn failed(&self, error: &std::io::Error) -> AuditError {
        let reason = match error.kind() {
            // The system says "resource temporarily unavailable" instead.
            ErrorKind::WouldBlock => "it takes nothing within `write_timeout`".to_owned(),
            _ => error.to_string(),
        };
        AuditError::Unreachable {
            place: self.address.clone(),
            reason,
        }
    }
}

/// A socket that is connected when something is sent, and again when it was lost.
pub(crate) struct Socket {
    options: SocketOptions,
    connection: Option<Connection>,
}

enum Connection {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Unix(UnixStream),
}

/// Why lines were not sent, and whether it is sure that none arrived.
struct Unsent {
    error: std::io::Error,
    nothing: bool,
}

impl Unsent {
    /// Whether the peer is gone, and another may be in its place. One that is busy would be so again,
    /// and be waited for twice.
    fn is_loss(&self) -> bool {
        self.nothing
            && !matches!(
                self.error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut
            )
    }
}

impl Connection {
    /// Whether the peer of a stream ended it. What it says is thrown away.
    fn is_lost(&self) -> bool {
        match self {
            Self::Tcp(stream) => has_ended(stream),
            Self::Unix(stream) => has_ended(stream),
            Self::Udp(_) => false,
        }
    }

    fn send(&mut self, lines: &Lines) -> Result<(), Unsent> {
        match self {
            Self::Tcp(stream) => send_stream(stream, lines.text()),
            Self::Unix(stream) => send_stream(stream, lines.text()),
            Self::Udp(socket) => {
                for (number, line) in lines.iter().enumerate() {
                    // INVARIANT: a datagram goes whole or not at all.
                    let nothing = number == 0;
                    socket
                        .send(line)
                        .map_err(|error| Unsent { error, nothing })?;
                }
                Ok(())
            }
        }
    }
}

fn send_stream(stream: &mut impl Write, mut bytes: &[u8]) -> Result<(), Unsent> {
    let all = bytes.len();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            refused => {
                return Err(Unsent {
                    error: refused.err().unwrap_or_else(|| ErrorKind::WriteZero.into()),
                    nothing: bytes.len() == all,
                });
            }
        }
    }
    Ok(())
}

fn has_ended(stream: &impl AsFd) -> bool {
    let mut scratch = [0_u8; 4_096];
    for _ in 0..IGNORED_BYTES_MAX / scratch.len() {
        match rustix::net::recv(stream, &mut scratch[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return true,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return error != rustix::io::Errno::AGAIN,
        }
    }
    // It talks without end, and is there.
    false
}

impl Socket {
    /// Sends over the connection, which is kept where that went well.
    fn send(&mut self, mut connection: Connection, lines: &Lines) -> Result<(), Unsent> {
        connection.send(lines)?;
        self.connection = Some(connection);
        Ok(())
    }
}

impl Sink for Socket {
    fn write(&mut self, lines: &Lines) -> Result<(), Unwritten> {
        let known = self.connection.take().filter(|own| !own.is_lost());
        let was_known = known.is_some();
        let connection = match known {
            Some(connection) => connection,
            None => self.options.connect().map_err(Unwritten::Nothing)?,
        };
        let mut sent = self.send(connection, lines);
        if was_known && sent.as_ref().is_err_and(Unsent::is_loss) {
            let connection = self.options.connect().map_err(Unwritten::Nothing)?;
            sent = self.send(connection, lines);
        }
        sent.map_err(|unsent| {
            let error = self.options.failed(&unsent.error);
            if unsent.nothing {
                Unwritten::Nothing(error)
            } else {
                Unwritten::Perhaps(error)
            }
        })
    }

    fn reopen(&mut self) -> Result<(), AuditError> {
        self.connection = Some(self.options.connect()?);
        Ok(())
    }
}

#[cfg(test)]
impl Socket {
    /// A sink on a stream that is connected already.
    pub(crate) fn on(options: SocketOptions, stream: UnixStream) -> Self {
        Self {
            options,
            connection: Some(Connection::Unix(stream)),
        }
    }
}
