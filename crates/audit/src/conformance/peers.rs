//! Devices that send to a peer: TCP, UDP, a unix socket, a syslog daemon.

use super::{Harness, run, run_without_acknowledgement};
use crate::sink::socket::{Socket, SocketKind, SocketOptions};
use crate::sink::syslog::Syslog;
use crate::{Device, DeviceConfig, DeviceOptions};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// What a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Speech {
    Tcp,
    Udp,
    Unix,
    Syslog,
}

/// What a peer listens on.
enum Ear {
    Tcp(TcpListener),
    Unix(UnixListener),
    Udp(UdpSocket),
    Datagrams(UnixDatagram),
}

/// What a peer heard.
#[derive(Default)]
struct Hearing {
    ear: Option<Ear>,
    connections: Vec<Heard>,
}

/// What came over one connection, or in one datagram.
struct Heard {
    /// `None` when it has ended.
    stream: Option<Box<dyn Read + Send>>,
    text: Vec<u8>,
}

impl Heard {
    fn over(stream: impl Read + Send + 'static) -> Self {
        Self {
            stream: Some(Box::new(stream)),
            text: Vec::new(),
        }
    }

    fn datagram(text: Vec<u8>) -> Self {
        Self { stream: None, text }
    }
}

impl Hearing {
    fn listen(&mut self) {
        let mut block = vec![0; 1 << 16];
        match &self.ear {
            Some(Ear::Tcp(ear)) => {
                while let Ok((stream, _)) = ear.accept() {
                    stream.set_nonblocking(true).unwrap();
                    self.connections.push(Heard::over(stream));
                }
            }
            Some(Ear::Unix(ear)) => {
                while let Ok((stream, _)) = ear.accept() {
                    stream.set_nonblocking(true).unwrap();
                    self.connections.push(Heard::over(stream));
                }
            }
            Some(Ear::Udp(ear)) => {
                while let Ok(read) = ear.recv(&mut block) {
                    (self.connections).push(Heard::datagram(block[..read].to_vec()));
                }
            }
            Some(Ear::Datagrams(ear)) => {
                while let Ok(read) = ear.recv(&mut block) {
                    let mut text = block[..read].to_vec();
                    let head = text.windows(3).position(|at| at == b"]: ").unwrap();
                    assert!(
                        text.starts_with(b"<38>vault["),
                        "authorization, informational"
                    );
                    text.drain(..head + 3);
                    text.push(b'\n');
                    self.connections.push(Heard::datagram(text));
                }
            }
            None => {}
        }
        for Heard { stream, text } in &mut self.connections {
            while let Some(open) = stream {
                match open.read(&mut block) {
                    Ok(0) => *stream = None,
                    Ok(read) => text.extend_from_slice(&block[..read]),
                    Err(_) => break,
                }
            }
        }
    }
}

/// A peer that listens at an address of its own.
struct Peer {
    speech: Speech,
    address: String,
    hearing: Arc<Mutex<Hearing>>,
    _folder: TempDir,
}

impl Peer {
    fn new(speech: Speech) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket").display().to_string();
        let (address, ear) = match speech {
            Speech::Tcp => {
                let ear = TcpListener::bind("127.0.0.1:0").unwrap();
                (ear.local_addr().unwrap().to_string(), Ear::Tcp(ear))
            }
            Speech::Udp => {
                let ear = UdpSocket::bind("127.0.0.1:0").unwrap();
                // All that a case sends at once finds room.
                rustix::net::sockopt::set_socket_recv_buffer_size(&ear, 1 << 20).unwrap();
                (ear.local_addr().unwrap().to_string(), Ear::Udp(ear))
            }
            Speech::Unix | Speech::Syslog => (path.clone(), bind(speech, &path)),
        };
        let hearing = Arc::new(Mutex::new(Hearing {
            ear: Some(unwaiting(ear)),
            ..Hearing::default()
        }));
        let weak = Arc::downgrade(&hearing);
        std::thread::spawn(move || listen(&weak));
        Self {
            speech,
            address,
            hearing,
            _folder: folder,
        }
    }
}

fn bind(speech: Speech, address: &str) -> Ear {
    match speech {
        Speech::Tcp => Ear::Tcp(TcpListener::bind(address).unwrap()),
        Speech::Udp => Ear::Udp(UdpSocket::bind(address).unwrap()),
        Speech::Unix => Ear::Unix(UnixListener::bind(address).unwrap()),
        Speech::Syslog => Ear::Datagrams(UnixDatagram::bind(address).unwrap()),
    }
}

fn unwaiting(ear: Ear) -> Ear {
    match &ear {
        Ear::Tcp(ear) => ear.set_nonblocking(true),
        Ear::Unix(ear) => ear.set_nonblocking(true),
        Ear::Udp(ear) => ear.set_nonblocking(true),
        Ear::Datagrams(ear) => ear.set_nonblocking(true),
    }
    .unwrap();
    ear
}

fn listen(hearing: &Weak<Mutex<Hearing>>) {
    while let Some(hearing) = hearing.upgrade() {
        hearing.lock().listen();
        std::thread::park_timeout(Duration::from_micros(100));
    }
}

impl Harness for Peer {
    const RESUMES: bool = false;

    async fn open(&self) -> Device {
        let kind = match self.speech {
            Speech::Syslog => "syslog",
            _ => "socket",
        };
        let mut options = BTreeMap::from([("address".to_owned(), self.address.clone())]);
        let socket_type = match self.speech {
            Speech::Tcp => Some("tcp"),
            Speech::Udp => Some("udp"),
            Speech::Unix => Some("unix"),
            Speech::Syslog => None,
        };
        options.extend(socket_type.map(|own| ("socket_type".to_owned(), own.to_owned())));
        let options = DeviceOptions::read(kind, &options, None).unwrap();
        Device::try_open(&options).await.unwrap();
        let config = DeviceConfig {
            path: "peer/",
            hmac_key: b"key",
            options,
            clock: std::sync::Arc::new(secretum_crypto::SystemClock),
        };
        Device::open(config).await.unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let hearing = self.hearing.lock();
        let texts = hearing.connections.iter().map(|own| own.text.as_slice());
        let text: Vec<u8> = texts.collect::<Vec<_>>().concat();
        let text = String::from_utf8_lossy(&text);
        // A line is there when its end is.
        let lines = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        lines.map(str::to_owned).collect()
    }

    fn set_full(&self, full: bool) {
        let mut hearing = self.hearing.lock();
        hearing.listen();
        if full {
            // The peer ends: it was stopped, or its machine was.
            hearing.ear = None;
            (hearing.connections.iter_mut()).for_each(|own| own.stream = None);
        } else {
            let _ = std::fs::remove_file(&self.address);
            hearing.ear = Some(unwaiting(bind(self.speech, &self.address)));
        }
    }

    fn move_away(&self) {}

    async fn hanging(&self) -> (Device, impl FnOnce()) {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let (datagrams, daemon) = UnixDatagram::pair().unwrap();
        let device = if self.speech == Speech::Syslog {
            daemon.set_nonblocking(true).unwrap();
            while daemon.send(b"x").is_ok() {}
            daemon.set_nonblocking(false).unwrap();
            Device::on_sink("syslog/", Syslog::on(daemon))
        } else {
            writer.set_nonblocking(true).unwrap();
            while (&writer).write(&[b'x'; 4_096]).is_ok() {}
            writer.set_nonblocking(false).unwrap();
            let options = SocketOptions {
                address: "/nowhere".to_owned(),
                kind: SocketKind::Unix,
                write_timeout: Duration::from_secs(60),
            };
            Device::on_sink("socket/", Socket::on(options, writer))
        };
        let answer = move || {
            std::thread::spawn(move || while datagrams.recv(&mut [0; 4_096]).is_ok() {});
            std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        };
        (device, answer)
    }
}

#[tokio::test]
async fn the_socket_device_conforms_over_tcp() {
    run(|| Peer::new(Speech::Tcp)).await;
}

#[tokio::test]
async fn the_socket_device_conforms_over_a_unix_socket() {
    run(|| Peer::new(Speech::Unix)).await;
}

#[tokio::test]
async fn the_syslog_device_conforms() {
    run(|| Peer::new(Speech::Syslog)).await;
}

#[tokio::test]
async fn the_socket_device_conforms_over_udp_as_far_as_it_can() {
    run_without_acknowledgement(&|| Peer::new(Speech::Udp)).await;
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_told_when_the_device_is_enabled() {
    let peer = Peer::new(Speech::Tcp);
    let read = |skip: &str| {
        let options = [("address", peer.address.as_str()), ("skip_test", skip)];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
        DeviceOptions::read("socket", &BTreeMap::from(options), None).unwrap()
    };
    assert!(Device::try_open(&read("false")).await.is_ok());
    peer.set_full(true);
    assert!(Device::try_open(&read("false")).await.is_err());
    assert!(Device::try_open(&read("true")).await.is_ok());
}
