//! [`Connections`]: the connections to a server, and one message over one of them.

use super::{KmipServer, NAME, negotiation, trust, unusable};
use crate::kmip::{Exchange, Version};
use crate::tls::fault_of;
use crate::ttlv::{self, HEADER_BYTES, MESSAGE_BYTES_MAX, Node, TtlvError};
use crate::{Cause, KmsError, Result};
use async_trait::async_trait;
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

type Stream = TlsStream<TcpStream>;

/// Connections to one server: as many as are used at one time, up to a limit, kept for the next use.
#[derive(Debug)]
pub(super) struct Connections {
    server: KmipServer,
    name: ServerName<'static>,
    version: OnceCell<Version>,
    idle: Mutex<Vec<Stream>>,
    permits: Semaphore,
}

/// Why a message had no answer.
enum Broken {
    /// The connection was closed before a byte of the answer came.
    Unanswered(KmsError),
    Failed(KmsError),
}

impl Connections {
    pub(super) fn new(server: KmipServer) -> Result<Self> {
        // What is wrong with a file is told now, not with the first request.
        trust::client_config(&server)?;
        let name = server.server_name.clone().unwrap_or(server.host.clone());
        let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| unusable("its host is neither a name nor an address"))?;
        let version = match &server.version {
            None => OnceCell::new(),
            Some(text) => OnceCell::from(text.parse::<Version>().map_err(|()| {
                unusable("its version is none that is spoken; write 1.2, 1.3, 1.4, 2.0 or 2.1")
            })?),
        };
        let permits = usize::try_from(server.connections_max).unwrap_or(1).max(1);
        Ok(Self {
            server,
            name,
            version,
            idle: Mutex::default(),
            permits: Semaphore::new(permits),
        })
    }

    async fn connect(&self) -> Result<Stream> {
        let config = trust::client_config(&self.server)?;
        let address = (self.server.host.trim_matches(['[', ']']), self.server.port);
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        // Requests are small, and each waits for its answer.
        stream.set_nodelay(true).map_err(failed)?;
        let connected = TlsConnector::from(config).connect(self.name.clone(), stream);
        connected.await.map_err(failed)
    }

    async fn send(&self, message: &[u8], repeatable: bool) -> Result<Node> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| KmsError::Unavailable {
                provider: NAME,
                reason: "its connections are closed".to_owned(),
                source: Some(Cause::new(error)),
            })?;
        // A connection that nobody used for a while may be closed, which shows only when it is used: so
        // one message after the other is tried, and what must not be sent twice gets a new one.
        while let Some(mut stream) = self.kept(repeatable) {
            match talk(&mut stream, message).await {
                Ok(answer) => return Ok(self.keep(stream, answer)),
                Err(Broken::Unanswered(_)) => {}
                Err(Broken::Failed(error)) => return Err(error),
            }
        }
        let mut stream = self.connect().await?;
        match talk(&mut stream, message).await {
            Ok(answer) => Ok(self.keep(stream, answer)),
            Err(Broken::Unanswered(error) | Broken::Failed(error)) => Err(error),
        }
    }

    /// A connection that was kept, for a message that may be sent twice.
    fn kept(&self, repeatable: bool) -> Option<Stream> {
        if repeatable {
            self.idle.lock().pop()
        } else {
            None
        }
    }

    fn keep(&self, stream: Stream, answer: Node) -> Node {
        // INVARIANT: there are never more than the permits, since each was taken with one.
        self.idle.lock().push(stream);
        answer
    }
}

#[async_trait]
impl Exchange for Connections {
    fn provider(&self) -> &'static str {
        NAME
    }

    async fn version(&self) -> Result<Version> {
        let negotiated = || negotiation::agree(self);
        self.version.get_or_try_init(negotiated).await.copied()
    }

    async fn exchange(&self, message: &Node, repeatable: bool) -> Result<Node> {
        let bytes = ttlv::encode(message).map_err(|error| unusable(error.to_string()))?;
        let after = self.server.timeout;
        let sent = tokio::time::timeout(after, self.send(&bytes, repeatable));
        let timed_out = KmsError::Timeout {
            provider: NAME,
            after,
        };
        sent.await.unwrap_or(Err(timed_out))
    }
}

/// Sends a message and reads the answer.
async fn talk(stream: &mut Stream, message: &[u8]) -> std::result::Result<Node, Broken> {
    let unanswered = |error| Broken::Unanswered(failed(error));
    stream.write_all(message).await.map_err(unanswered)?;
    stream.flush().await.map_err(unanswered)?;
    let mut header = [0; HEADER_BYTES];
    let first = stream.read(&mut header).await.map_err(unanswered)?;
    if first == 0 {
        return Err(unanswered(io::ErrorKind::UnexpectedEof.into()));
    }
    let broken = |error| Broken::Failed(failed(error));
    let bad = |error: TtlvError| {
        Broken::Failed(KmsError::BadAnswer {
            provider: NAME,
            reason: error.to_string(),
        })
    };
    if let Some(rest) = header.get_mut(first..) {
        stream.read_exact(rest).await.map_err(broken)?;
    }
    let length = ttlv::message_bytes(header, MESSAGE_BYTES_MAX).map_err(bad)?;
    let mut answer = Zeroizing::new(vec![0; length]);
    let (head, body) = answer.split_at_mut(HEADER_BYTES);
    head.copy_from_slice(&header);
    stream.read_exact(body).await.map_err(broken)?;
    ttlv::decode(&answer).map_err(bad)
}

/// What an error of a connection means.
fn failed(error: io::Error) -> KmsError {
    if let Some(fault) = fault_of(NAME, &error) {
        return fault;
    }
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    };
    KmsError::Unavailable {
        provider: NAME,
        reason,
        source: Some(Cause::new(error)),
    }
}
