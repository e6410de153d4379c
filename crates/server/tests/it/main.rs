//! The TLS offer, as a client of rustls sees it: the hybrid key agreement that older tools do not
//! know, certificates that change, and handshakes after which nothing comes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both_shares;

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{
    ClientConfig, HandshakeKind as Handshake, NamedGroup, ProtocolVersion, RootCertStore,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use secretum_server::tls::{self, Clients, Offer, TlsFiles, Versions};
use secretum_server::{Limits, ListenerConfig, Server, floor};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Writes a new certificate and its key; gives the roots of who trusts it.
fn issue(files: &TlsFiles) -> RootCertStore {
    let (certificate, key) = tls::development_certificate().unwrap();
    std::fs::write(&files.certificate, &certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    roots
}

/// A server with a certificate of its own, and the client side of it.
struct Peer {
    server: Server,
    roots: RootCertStore,
    files: TlsFiles,
    _folder: tempfile::TempDir,
}

impl Peer {
    async fn start(versions: Versions) -> Self {
        Self::start_with(versions, Limits::default()).await
    }

    async fn start_with(versions: Versions, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
            versions,
            clients: Clients::NotAsked,
        };
        let roots = issue(&files);
        let offer = Offer::read(files.clone()).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = ListenerConfig::tcp(address, Some(offer), limits);
        let server = floor::start(listener).await.unwrap();
        Self {
            server,
            roots,
            files,
            _folder: folder,
        }
    }

    async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_for(versions, &[b"h2", b"http/1.1"]).await
    }

    async fn connect_for(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = aws_lc_rs::default_provider();
        self.connect_by(provider, versions, protocols).await
    }

    async fn connect_by(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.server.addresses().next().unwrap()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

/// What is agreed on with a client that lists these groups.
async fn agreed(peer: &Peer, groups: &[&'static dyn SupportedKxGroup]) -> (NamedGroup, Handshake) {
    let provider = CryptoProvider {
        kx_groups: groups.to_vec(),
        ..aws_lc_rs::default_provider()
    };
    let stream = peer.connect_by(provider, TLS13, &[]).await.unwrap();
    let session = stream.get_ref().1;
    let group = session.negotiated_key_exchange_group().unwrap().name();
    (group, session.handshake_kind().unwrap())
}

#[tokio::test]
async fn the_hybrid_key_agreement_is_taken_whatever_the_client_prefers() {
    let (hybrid, classic) = (kx_group::X25519MLKEM768, kx_group::X25519);
    let peer = Peer::start(Versions::Both).await;
    let one_trip = (NamedGroup::X25519MLKEM768, Handshake::Full);
    assert_eq!(agreed(&peer, &[hybrid, classic]).await, one_trip);
    // It sent shares for both, that of the other group first.
    let shares = &both_shares::X25519_FIRST;
    assert_eq!(agreed(&peer, &[shares, hybrid]).await, one_trip);
    // It sent none for the hybrid one.
    let asked_again = (
        NamedGroup::X25519MLKEM768,
        Handshake::FullWithHelloRetryRequest,
    );
    assert_eq!(agreed(&peer, &[classic, hybrid]).await, asked_again);
    let without = (NamedGroup::X25519, Handshake::Full);
    assert_eq!(agreed(&peer, &[classic]).await, without);
    let other = (NamedGroup::secp384r1, Handshake::Full);
    assert_eq!(agreed(&peer, &[kx_group::SECP384R1, classic]).await, other);
}

#[tokio::test]
async fn a_client_that_could_have_1_3_is_offered_it_with_the_hybrid_key_agreement() {
    let peer = Peer::start(Versions::Both).await;
    let stream = peer
        .connect(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .await
        .unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(
        session.negotiated_key_exchange_group().unwrap().name(),
        NamedGroup::X25519MLKEM768
    );
    assert_eq!(session.alpn_protocol(), Some(b"h2".as_slice()));
    drop(stream);
    peer.server.stop().await;
}

const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Whether the server answers one more request on this connection.
async fn answers(stream: &mut TlsStream<TcpStream>) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    // The constant is 1,400 times the same letter, which no header has.
    while answer.iter().filter(|byte| **byte == b'x').count() < 1_400 {
        if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    answer.starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn certificates_change_without_a_dropped_connection() {
    let mut peer = Peer::start(Versions::Both).await;
    let http1: &[&[u8]] = &[b"http/1.1"];
    let mut old = peer.connect_for(TLS13, http1).await.unwrap();
    assert!(answers(&mut old).await);
    let new_roots = issue(&peer.files);
    assert!(peer.connect(TLS13).await.is_ok(), "nothing was said yet");
    peer.server.reload_certificates();
    assert!(peer.connect(TLS13).await.is_err());
    peer.roots = new_roots;
    let mut new = peer.connect_for(TLS13, http1).await.unwrap();
    assert!(answers(&mut new).await && answers(&mut old).await);
}

#[tokio::test]
async fn a_broken_certificate_leaves_the_old_one_in_force() {
    let peer = Peer::start(Versions::Both).await;
    let (certificate, key) = (&peer.files.certificate, &peer.files.key);
    let (good, good_key) = (
        std::fs::read(certificate).unwrap(),
        std::fs::read(key).unwrap(),
    );
    let (_, other_key) = tls::development_certificate().unwrap();
    let read_anew = || Offer::read(peer.files.clone()).unwrap_err().to_string();
    for (file, text) in [
        (certificate, "no certificate"),
        (key, "no key"),
        (key, other_key.as_str()),
    ] {
        std::fs::write(file, text).unwrap();
        peer.server.reload_certificates();
        assert!(peer.connect(TLS13).await.is_ok());
        let named = if text == other_key { certificate } else { file };
        assert!(read_anew().contains(&named.display().to_string()));
        std::fs::write(certificate, &good).unwrap();
        std::fs::write(key, &good_key).unwrap();
    }
    std::fs::remove_file(key).unwrap();
    peer.server.reload_certificates();
    assert!(peer.connect(TLS13).await.is_ok());
    assert!(read_anew().contains(&key.display().to_string()));
}

#[tokio::test]
async fn who_sends_nothing_is_cut_off_before_and_after_the_handshake() {
    let limits = Limits {
        head_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let peer = Peer::start_with(Versions::Both, limits).await;
    let deadline = Duration::from_secs(20);
    let address = peer.server.addresses().next().unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let read = tokio::time::timeout(deadline, silent.read_u8()).await;
    assert!(read.unwrap().is_err());
    for protocols in [&[b"h2".as_slice()][..], &[b"http/1.1"], &[]] {
        let mut stream = peer.connect_for(TLS13, protocols).await.unwrap();
        let ended = async { while stream.read_u8().await.is_ok() {} };
        tokio::time::timeout(deadline, ended).await.unwrap();
    }
}

#[tokio::test]
async fn versions_are_those_of_the_configuration() {
    let both = [&rustls::version::TLS13, &rustls::version::TLS12];
    let only12 = Peer::start(Versions::Only12).await;
    let stream = only12.connect(&both).await.unwrap();
    assert_eq!(
        stream.get_ref().1.protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
    drop(stream);
    only12.server.stop().await;
    let only13 = Peer::start(Versions::Only13).await;
    assert!(only13.connect(&[&rustls::version::TLS12]).await.is_err());
    only13.server.stop().await;
}
