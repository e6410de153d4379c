//! The real server.

use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::kmip::pairs;
use crate::test_certificates::Certificates;
use crate::test_peers::{Program, free_port, peer_of_all};
use crate::ttlv::{Node, Tag, Value};
use crate::{KeyManagementService, ProviderKms};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::process::Command;
use std::time::Instant;

/// A running server with TLS, that wants a token or a client certificate where it was told to.
struct Cosmian {
    process: Program,
    certificates: Certificates,
    port: u16,
    api_key: Option<String>,
    client: bool,
}

fn spawn(certificates: &Certificates, port: u16, more: &[&str]) -> Option<Program> {
    let binary = peer_of_all("SECRETUM_COSMIAN")?;
    let path = |name: &str| certificates.path(name).display().to_string();
    let mut command = Command::new(binary);
    command
        .args(["--database-type", "sqlite", "--sqlite-path", &path("db")])
        .args(["--root-data-path", &path("data")])
        .args(["--hostname", "127.0.0.1", "--port", &port.to_string()])
        .args(["--tls-cert-file", &path("server.pem")])
        .args(["--tls-key-file", &path("server-key.pem")])
        .args(more)
        .env("HOME", certificates.folder.path())
        .current_dir(certificates.folder.path());
    Some(Program::start(&mut command))
}

impl Cosmian {
    async fn start() -> Option<Self> {
        let certificates = Certificates::new();
        let port = free_port();
        let server = Self {
            process: spawn(&certificates, port, &[])?,
            certificates,
            port,
            api_key: None,
            client: false,
        };
        server.wait().await;
        Some(server)
    }

    async fn restart(&mut self, more: &[&str]) {
        self.process.end();
        self.process = spawn(&self.certificates, self.port, more).unwrap();
        self.wait().await;
    }

    async fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.provider().health().await {
            let waiting = matches!(error, KmsError::Unavailable { .. });
            assert!(waiting && Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn server(&self) -> CosmianServer {
        let mut server = CosmianServer::new(format!("https://127.0.0.1:{}", self.port));
        server.ca = Some(self.certificates.path("ca.pem"));
        server.timeout = Duration::from_secs(60);
        let secret = |key: &String| Arc::new(SecretString::new(key.clone()));
        server.api_key = self.api_key.as_ref().map(secret);
        if self.client {
            server.client_cert = Some(self.certificates.path("client.pem"));
            server.client_key = Some(self.certificates.path("client-key.pem"));
        }
        server
    }

    fn provider(&self) -> CosmianProvider {
        provider(&self.server())
    }

    fn kms(&self) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider()))
    }

    /// For what has no function of its own.
    fn exchange(&self) -> Http {
        Http::new(&self.server()).unwrap()
    }
}

#[async_trait]
impl Harness for Cosmian {
    async fn open(&self) -> Subject {
        Subject {
            kms: Arc::new(self.kms()),
            key: id("k"),
            other_key: Some(id("other")),
        }
    }
}

#[tokio::test]
async fn conforms() {
    let Some(mut server) = Cosmian::start().await else {
        return;
    };
    for key in ["k", "other"] {
        server.provider().create(&id(key)).await.unwrap();
    }
    conformance::run(&server).await.unwrap();
    the_name_of_a_key_is_bound(&server).await;
    a_rotation_moves_the_name(&server).await;
    what_is_out_of_use_is_told(&server).await;
    a_tag_finds_its_key(&server).await;
    pairs::make(&server.exchange(), "pair").await;
    pairs::conforms(&server.kms(), &server.provider(), &id("pair")).await;
    a_server_that_is_not_trusted_is_told(&server).await;
    clients_prove_themselves(&mut server).await;
}

async fn the_name_of_a_key_is_bound(server: &Cosmian) {
    let provider = server.provider();
    let made = provider.wrap(&id("k"), b"x", &context("")).await.unwrap();
    let renamed = Wrapped {
        key: id("other"),
        ..made
    };
    let refused = provider.unwrap(&renamed, &context("")).await;
    assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
}

async fn a_rotation_moves_the_name(server: &Cosmian) {
    let provider = server.provider();
    let kms = server.kms();
    let first = provider.create(&id("turning")).await.unwrap();
    let old = kms
        .encrypt(&id("turning"), b"x", &context(""))
        .await
        .unwrap();
    let second = provider.rotate(&id("turning")).await.unwrap();
    let third = provider.rotate(&id("turning")).await.unwrap();
    assert!(first.version != second.version && second.version != third.version);
    let opened = kms.decrypt(&old, &context("")).await.unwrap();
    assert_eq!(opened.expose(), b"x");
    let listed = kms.list_keys(None, 1000).await.unwrap().keys;
    assert!(listed.contains(&id("turning")));
    // By its identifier a version is a key too.
    let by_id = id(third.version.as_str());
    assert_eq!(
        provider.describe(&by_id).await.unwrap().version,
        third.version
    );
}

async fn what_is_out_of_use_is_told(server: &Cosmian) {
    let provider = server.provider();
    let kms = server.kms();
    let none = context("");
    let made = provider.create(&id("leaving")).await.unwrap();
    let ciphertext = kms.encrypt(&id("leaving"), b"x", &none).await.unwrap();
    provider.revoke(&made.version).await.unwrap();
    let refused = kms.encrypt(&id("leaving"), b"x", &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyDisabled { .. })),
        "{refused:?}"
    );
    // This server still opens what there is.
    assert_eq!(
        kms.decrypt(&ciphertext, &none).await.unwrap().expose(),
        b"x"
    );
    provider.destroy(&made.version).await.unwrap();
    let refused = kms.decrypt(&ciphertext, &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyVersionNotFound { .. })),
        "{refused:?}"
    );
    let refused = kms.encrypt(&id("leaving"), b"x", &none).await;
    assert!(
        matches!(refused, Err(KmsError::KeyNotFound { .. })),
        "{refused:?}"
    );
}

async fn a_tag_finds_its_key(server: &Cosmian) {
    let tag = Node::structure(
        Tag::ATTRIBUTE,
        [
            Node::text(Tag::VENDOR_IDENTIFICATION, "cosmian"),
            Node::text(Tag::ATTRIBUTE_NAME, "tag"),
            Node::text(Tag::ATTRIBUTE_VALUE, r#"["a \"tag\""]"#),
        ],
    );
    let attributes = [
        Node::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, 3),
        Node::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
        Node::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 12),
        tag,
    ];
    let payload = vec![
        Node::enumeration(Tag::OBJECT_TYPE, 2),
        Node::structure(Tag::ATTRIBUTES, attributes),
    ];
    let http = server.exchange();
    let made = pairs::ask(&http, 1, payload).await;
    let made = made.text_of(Tag::UNIQUE_IDENTIFIER).unwrap().to_owned();
    pairs::activate(&http, &made).await;
    let found = server.provider().describe(&id("a \"tag\"")).await.unwrap();
    assert_eq!(found.version.as_str(), made);
}

async fn a_server_that_is_not_trusted_is_told(server: &Cosmian) {
    let stranger = Certificates::new();
    let mut settings = server.server();
    settings.ca = Some(stranger.path("ca.pem"));
    let refused = provider(&settings).health().await.unwrap_err();
    assert!(matches!(refused, KmsError::Untrusted { .. }), "{refused}");
    settings.tls_verify = false;
    provider(&settings).health().await.unwrap();
    let plain = CosmianServer::new(format!("http://127.0.0.1:{}", server.port));
    let refused = provider(&plain).health().await.unwrap_err();
    assert!(refused.is_service_fault(), "{refused}");
}

/// The first bytes in a tree, which are the key's.
fn material(node: &Node) -> Option<&[u8]> {
    match &node.value {
        Value::ByteString(bytes) => Some(bytes.expose()),
        _ => node.nodes().iter().find_map(material),
    }
}

async fn clients_prove_themselves(server: &mut Cosmian) {
    let made = server.provider().create(&id("token")).await.unwrap();
    let token = Node::text(Tag::UNIQUE_IDENTIFIER, made.version.as_str());
    let got = pairs::ask(&server.exchange(), 0x0a, vec![token]).await;
    server.api_key = Some(STANDARD.encode(material(&got).unwrap()));
    server
        .restart(&["--api-token-id", made.version.as_str()])
        .await;
    let kms = server.kms();
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    for wrong in [None, Some(STANDARD.encode([0; 32]))] {
        let right = std::mem::replace(&mut server.api_key, wrong);
        let refused = server.provider().health().await.unwrap_err();
        assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
        server.api_key = right;
    }
    server.api_key = None;
    server.client = true;
    let ca = server.certificates.path("ca.pem").display().to_string();
    server.restart(&["--clients-ca-cert-file", &ca]).await;
    server.kms().list_keys(None, 10).await.unwrap();
    server.client = false;
    let refused = server.provider().health().await.unwrap_err();
    assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
    server.certificates.issue_expired("client");
    server.client = true;
    let refused = server.provider().health().await.unwrap_err();
    assert!(
        refused.to_string().contains("client's certificate"),
        "{refused}"
    );
}
