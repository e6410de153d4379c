//! The real servers.

use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::kmip::pairs;
use crate::test_peers::{Program, free_port, peer_of_all};
use crate::ttlv::{Node, Tag};
use crate::{KeyManagementService, ProviderKms};
use std::process::Command;
use std::time::Instant;

/// A running server.
struct Peer {
    process: Program,
    certificates: Certificates,
    port: u16,
    version: Option<&'static str>,
}

fn pykmip(certificates: &Certificates, port: u16) -> Option<Program> {
    Program::pykmip(certificates.folder.path(), port)
}

fn cosmian(certificates: &Certificates, port: u16) -> Option<Program> {
    let binary = peer_of_all("SECRETUM_COSMIAN")?;
    let home = certificates.folder.path();
    let path = |name: &str| home.join(name).display().to_string();
    let mut command = Command::new(binary);
    command
        .args(["--database-type", "sqlite", "--sqlite-path", &path("db")])
        .args([
            "--hostname",
            "127.0.0.1",
            "--port",
            &free_port().to_string(),
        ])
        .args(["--root-data-path", &path("data")])
        .args([
            "--socket-server-start",
            "--socket-server-hostname",
            "127.0.0.1",
        ])
        .args(["--socket-server-port", &port.to_string()])
        .args([
            "--tls-cert-file",
            &path("server.pem"),
            "--tls-key-file",
            &path("server-key.pem"),
        ])
        .args(["--clients-ca-cert-file", &path("ca.pem")])
        .env("HOME", home)
        .current_dir(home);
    Some(Program::start(&mut command))
}

impl Peer {
    async fn start(run: impl Fn(&Certificates, u16) -> Option<Program>) -> Option<Self> {
        let certificates = Certificates::new();
        let port = free_port();
        let peer = Self {
            process: run(&certificates, port)?,
            certificates,
            port,
            version: None,
        };
        peer.wait().await;
        for key in ["k", "other"] {
            peer.provider().create(&id(key)).await.unwrap();
        }
        Some(peer)
    }

    async fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.provider().health().await {
            assert!(
                Instant::now() < deadline,
                "the server does not answer: {error}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn server(&self) -> KmipServer {
        let mut server = server_at(&self.certificates, self.port);
        server.version = self.version.map(str::to_owned);
        server.timeout = Duration::from_secs(60);
        server
    }

    fn provider(&self) -> KmipProvider {
        provider(self.server())
    }

    fn kms(&self) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider()))
    }
}

#[async_trait]
impl Harness for Peer {
    async fn open(&self) -> Subject {
        Subject {
            kms: Arc::new(self.kms()),
            key: id("k"),
            other_key: Some(id("other")),
        }
    }
}

#[tokio::test]
async fn pykmip_conforms() {
    let Some(mut peer) = Peer::start(pykmip).await else {
        return;
    };
    let health = peer.provider().health().await.unwrap();
    assert!(health.notes.contains(&"KMIP 2.0".to_owned()), "{health:?}");
    conformance::run(&peer).await.unwrap();
    peer.version = Some("1.4");
    conforms(&peer, "1.4").await;
    a_tag_that_is_missing_is_told(&mut peer).await;
    a_rotation_adds_a_numbered_version(&peer).await;
    a_rotation_that_was_cut_short_is_finished(&peer).await;
    the_name_of_a_key_is_bound(&peer).await;
    what_is_out_of_use_is_told(&peer).await;
    clients_are_told_what_is_wrong_with_them(&peer).await;
    a_restart_is_survived(peer).await;
}

#[tokio::test]
async fn cosmian_conforms_over_a_connection() {
    let Some(mut peer) = Peer::start(cosmian).await else {
        return;
    };
    peer.version = Some("2.1");
    pairs::make(&Connections::new(peer.server()).unwrap(), "pair").await;
    for version in ["1.2", "1.3", "1.4", "2.0", "2.1"] {
        peer.version = Some(version);
        conforms(&peer, version).await;
        pairs::conforms(&peer.kms(), &peer.provider(), &id("pair")).await;
        a_re_key_that_was_cut_short_blocks_nothing(&peer, version).await;
    }
    the_name_of_a_key_is_bound(&peer).await;
    a_rotation_that_was_cut_short_is_finished(&peer).await;
}

async fn conforms(peer: &Peer, version: &str) {
    if let Err(failure) = conformance::run(peer).await {
        panic!("KMIP {version}: {failure}");
    }
}

/// Before 1.4 PyKMIP keeps the tag to itself, without which nothing could be decrypted any more.
async fn a_tag_that_is_missing_is_told(peer: &mut Peer) {
    for version in ["1.2", "1.3"] {
        peer.version = Some(version);
        let refused = peer.provider().wrap(&id("k"), b"x", &context("")).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, KmsError::BadAnswer { .. }), "{refused}");
        assert!(refused.to_string().contains("KMIP 1.4"), "{refused}");
    }
    peer.version = Some("1.4");
}

async fn a_rotation_adds_a_numbered_version(peer: &Peer) {
    let provider = peer.provider();
    let first = provider.create(&id("turning")).await.unwrap();
    let again = provider.create(&id("turning")).await;
    assert!(matches!(again, Err(KmsError::KeyExists { .. })));
    let kms = peer.kms();
    let old = kms
        .encrypt(&id("turning"), b"x", &context("a=1"))
        .await
        .unwrap();
    for _ in 0..10 {
        provider.rotate(&id("turning")).await.unwrap();
    }
    // The tenth stands behind the ninth, also where the two are of one second.
    let newest = provider.describe(&id("turning")).await.unwrap();
    let number = |info: &KeyInfo| info.version.as_str().parse::<u32>().unwrap();
    assert_eq!(number(&newest), number(&first) + 10);
    assert!(newest.rotated_at.is_some());
    assert_eq!(
        kms.decrypt(&old, &context("a=1")).await.unwrap().expose(),
        b"x"
    );
    // It is a version of the key, and no key of its own.
    let listed = kms.list_keys(None, 1000).await.unwrap().keys;
    assert!(listed.contains(&id("turning")) && !listed.contains(&id("turning@2")));
    // By its identifier a version is a key too.
    let by_id = id(first.version.as_str());
    assert_eq!(
        provider.describe(&by_id).await.unwrap().version,
        first.version
    );
}

/// What the next rotation makes of what this one left, under this key with a ciphertext and its first
/// version; gives the version that encrypts now.
async fn rotated_again(peer: &Peer, key: &KeyId, old: &crate::Ciphertext) -> KeyVersion {
    let (kms, none) = (peer.kms(), context(""));
    let rotated = kms.rotate_key(key).await.unwrap();
    assert_ne!(rotated.version, *old.key_version());
    let made = kms.encrypt(key, b"x", &none).await.unwrap();
    assert_eq!(*made.key_version(), rotated.version);
    for ciphertext in [&made, old] {
        let opened = kms.decrypt(ciphertext, &none).await.unwrap();
        assert_eq!(opened.expose(), b"x");
    }
    rotated.version
}

/// By hand: between the object's making and its activation.
async fn a_rotation_that_was_cut_short_is_finished(peer: &Peer) {
    let (kms, key) = (peer.kms(), id("cut"));
    peer.provider().create(&key).await.unwrap();
    let old = kms.encrypt(&key, b"x", &context("")).await.unwrap();
    for number in [2, 3] {
        let provider = peer.provider();
        let begun = provider.keys.make_version(&key, number).await.unwrap();
        // Till then the old one encrypts.
        let still = provider.describe(&key).await.unwrap();
        assert_ne!(still.version.as_str(), begun);
        let finished = rotated_again(peer, &key, &old).await;
        assert_eq!(finished.as_str(), begun);
    }
    // The name went to an object that is not active, as by ReKey.
    let begun = peer.provider().keys.make_version(&id("moved"), 1).await;
    let refused = kms.encrypt(&id("moved"), b"x", &context("")).await;
    assert!(matches!(refused, Err(KmsError::KeyDisabled { .. })));
    let rotated = kms.rotate_key(&id("moved")).await.unwrap();
    assert_eq!(rotated.version.as_str(), begun.unwrap());
}

/// Cosmian activates what ReKey makes.
async fn a_re_key_that_was_cut_short_blocks_nothing(peer: &Peer, version: &str) {
    const RE_KEY: u32 = 4;
    let (kms, key) = (peer.kms(), id(&format!("cut-{version}")));
    let made = peer.provider().create(&key).await.unwrap();
    let old = kms.encrypt(&key, b"x", &context("")).await.unwrap();
    let exchange = Connections::new(peer.server()).unwrap();
    let first = Node::text(Tag::UNIQUE_IDENTIFIER, made.version.as_str());
    let begun = pairs::ask(&exchange, RE_KEY, vec![first]).await;
    let begun = begun.text_of(Tag::UNIQUE_IDENTIFIER);
    let now = peer.provider().describe(&key).await.unwrap();
    assert_eq!(Some(now.version.as_str()), begun);
    rotated_again(peer, &key, &old).await;
}

/// Who may decrypt under one key must not open what is under another by giving it that one's name.
async fn the_name_of_a_key_is_bound(peer: &Peer) {
    let provider = peer.provider();
    let made = provider.wrap(&id("k"), b"x", &context("")).await.unwrap();
    let renamed = Wrapped {
        key: id("other"),
        ..made
    };
    let refused = provider.unwrap(&renamed, &context("")).await;
    assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
}

async fn what_is_out_of_use_is_told(peer: &Peer) {
    let provider = peer.provider();
    let made = provider.create(&id("leaving")).await.unwrap();
    let kms = peer.kms();
    let none = context("");
    let ciphertext = kms.encrypt(&id("leaving"), b"x", &none).await.unwrap();
    provider.revoke(&made.version).await.unwrap();
    // What is remembered is looked up again.
    let refused = kms.encrypt(&id("leaving"), b"x", &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyDisabled { .. })),
        "{refused:?}"
    );
    let refused = kms.decrypt(&ciphertext, &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyDisabled { .. })),
        "{refused:?}"
    );
    provider.destroy(&made.version).await.unwrap();
    let refused = kms.encrypt(&id("leaving"), b"x", &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyNotFound { .. })),
        "{refused:?}"
    );
    let refused = kms.decrypt(&ciphertext, &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyVersionNotFound { .. })),
        "{refused:?}"
    );
}

async fn clients_are_told_what_is_wrong_with_them(peer: &Peer) {
    let as_client = |name: &str| {
        let mut server = peer.server();
        server.client_cert = peer.certificates.path(&format!("{name}.pem"));
        server.client_key = peer.certificates.path(&format!("{name}-key.pem"));
        server
    };
    peer.certificates.issue_expired("old");
    let refused = provider(as_client("old")).health().await.unwrap_err();
    assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
    assert!(refused.to_string().contains("expired"), "{refused}");
    // PyKMIP wants a certificate that is made for clients.
    peer.certificates.issue("plain", |_| ());
    let refused = provider(as_client("plain")).health().await.unwrap_err();
    assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
    let stranger = Certificates::new();
    let mut server = as_client("client");
    server.client_cert = stranger.path("client.pem");
    server.client_key = stranger.path("client-key.pem");
    let refused = provider(server).health().await.unwrap_err();
    assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
    let mut server = as_client("client");
    server.ca = stranger.path("ca.pem");
    let refused = provider(server).health().await.unwrap_err();
    assert!(matches!(refused, KmsError::Untrusted { .. }), "{refused}");
    assert!(refused.to_string().contains("ca_path"), "{refused}");
}

/// The connections that were kept are gone, and nobody notices.
async fn a_restart_is_survived(mut peer: Peer) {
    let kms = peer.kms();
    let none = context("");
    let ciphertext = kms.encrypt(&id("k"), b"x", &none).await.unwrap();
    peer.process.end();
    let refused = kms.decrypt(&ciphertext, &none).await.unwrap_err();
    assert!(matches!(refused, KmsError::Unavailable { .. }), "{refused}");
    peer.process = pykmip(&peer.certificates, peer.port).unwrap();
    peer.wait().await;
    assert_eq!(
        kms.decrypt(&ciphertext, &none).await.unwrap().expose(),
        b"x"
    );
}
