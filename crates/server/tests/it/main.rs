//! The TLS offer, as a client of rustls sees it: the hybrid key agreement that older tools do not
//! know.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use secretum_server::tls::{self, Clients, TlsFiles, Versions};
use secretum_server::{Limits, ListenerConfig, Server, floor};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server with a certificate of its own, and the client side of it.
struct Peer {
    server: Server,
    roots: RootCertStore,
    _folder: tempfile::TempDir,
}

impl Peer {
    async fn start(versions: Versions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::development_certificate().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
            versions,
            clients: Clients::NotAsked,
        };
        std::fs::write(&files.certificate, &certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
            .unwrap();
        let listener = ListenerConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            tls: Some(tls::server_config(&files).unwrap()),
            limits: Limits::default(),
        };
        let server = floor::start(listener).await.unwrap();
        Self {
            server,
            roots,
            _folder: folder,
        }
    }

    async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.server.addresses().first().unwrap()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

#[tokio::test]
async fn the_hybrid_key_agreement_is_preferred() {
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
