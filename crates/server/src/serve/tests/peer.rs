//! A client made of bytes.

use super::DEADLINE;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A frame of HTTP/2.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            received: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
    }

    /// Sends a request, and reads its answer, which has a body.
    pub(crate) async fn ask(&mut self, path: &str) -> String {
        self.get(path).await;
        self.answer().await
    }

    /// Reads one answer, head and body.
    pub(crate) async fn answer(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.received).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.to_ascii_lowercase();
                let length = length.split("content-length: ").nth(1).unwrap_or("0");
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if body.len() >= length {
                    self.received.drain(..head.len() + 4 + length);
                    return text;
                }
            }
            assert!(self.receive().await, "an answer, not {text:?}");
        }
    }

    /// Waits until the server ends the connection, whatever it says before.
    pub(crate) async fn ended(&mut self) {
        while self.receive().await {}
    }

    /// Reads what comes next; false at the end.
    async fn receive(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.received);
        match timeout(DEADLINE, read).await.unwrap() {
            Ok(bytes) => bytes > 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Begins HTTP/2, with these settings of the client.
    pub(crate) async fn begin_http2(&mut self, settings: &[u8]) {
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        self.send(frame(Frame::SETTINGS, 0, 0, settings)).await;
    }

    /// The next frame of a kind.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("a frame of this kind");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The next frame; none at the end of the connection.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((head, rest)) = self.received.split_first_chunk::<9>() {
                let [a, b, c, kind, _, e, f, g, h] = *head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                if rest.len() >= length {
                    let payload = rest[..length].to_vec();
                    self.received.drain(..9 + length);
                    let stream = u32::from_be_bytes([e, f, g, h]);
                    return Some(Frame {
                        kind,
                        stream,
                        payload,
                    });
                }
            }
            if !self.receive().await {
                return None;
            }
        }
    }
}

/// A frame of HTTP/2 in bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The request `GET <path>` on a stream of HTTP/2.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    // `GET`, `http` and the names of path and authority stand in HPACK's own table (RFC 7541,
    // appendix A).
    let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    head.extend(path.as_bytes());
    head.extend([0x01, 1, b'h']);
    let (end_stream, end_headers) = (0x1, 0x4);
    frame(Frame::HEADERS, end_stream | end_headers, stream, &head)
}

/// What gives up a stream of HTTP/2.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(Frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}
