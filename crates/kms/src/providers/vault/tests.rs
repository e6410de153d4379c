//! Against a real OpenBao, whose binary `SECRETUM_BAO` names, and our own server, which `SECRETUM_SERVER`
//! names; `./test` sets them. And against what answers nonsense, or not at all.

mod away;
mod logins;

use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::test_peers::{Program, free_port, peer};
use crate::{DataKeySpec, KeyManagementService, ProviderKms};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ROOT: &str = "root-token";

fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

fn context(text: &str) -> EncryptionContext {
    text.parse().unwrap()
}

fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new(address.parse().unwrap());
    config.timeout = Duration::from_secs(5);
    config
}

fn token(text: &str) -> VaultAuth {
    VaultAuth::Token(Arc::new(SecretString::new(text.to_owned())))
}

fn app_role(role_id: &str, secret_id: &str) -> VaultAuth {
    VaultAuth::AppRole {
        mount: "approle".to_owned(),
        role_id: role_id.to_owned(),
        secret_id: Arc::new(SecretString::new(secret_id.to_owned())),
    }
}

/// A development server of OpenBao with a transit engine.
struct Bao {
    process: Program,
    address: String,
    home: TempDir,
}

impl Bao {
    async fn start() -> Option<Self> {
        Self::start_with(false).await
    }

    /// Our own server.
    async fn start_own() -> Option<Self> {
        Some(Self::start_of(&peer("SECRETUM_SERVER")?, false).await)
    }

    /// With TLS its certificate is of an authority of its own. `None` where no binary is named.
    async fn start_with(tls: bool) -> Option<Self> {
        Some(Self::start_of(&peer("SECRETUM_BAO")?, tls).await)
    }

    async fn start_of(binary: &Path, tls: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let own_certificate = format!("-dev-tls-cert-dir={}", home.path().display());
        let own: &[String] = if tls {
            &["-dev-tls".to_owned(), own_certificate]
        } else {
            &[]
        };
        let port = free_port();
        let process = Program::vault(binary, home.path(), port, (ROOT, own));
        let bao = Self {
            process,
            address: format!("{}://127.0.0.1:{port}", if tls { "https" } else { "http" }),
            home,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !bao.is_there().await {
            assert!(Instant::now() < deadline, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bao.write("sys/mounts/transit", json!({ "type": "transit" }))
            .await;
        for key in ["k", "other"] {
            bao.write(&format!("transit/keys/{key}"), json!({})).await;
        }
        bao
    }

    async fn is_there(&self) -> bool {
        // It writes the certificate of its authority first.
        let has_authority = self.authority().is_none_or(|file| file.exists());
        has_authority && self.root().send(Request::get("sys/health")).await.is_ok()
    }

    fn authority(&self) -> Option<PathBuf> {
        let file = self.home.path().join("vault-ca.pem");
        self.address.starts_with("https").then_some(file)
    }

    fn config(&self) -> ClientConfig {
        let mut config = config(&self.address);
        config.tls.ca_cert = self.authority();
        config
    }

    fn root(&self) -> Client {
        let mut config = self.config();
        config.token = Some(SecretString::new(ROOT.to_owned()));
        Client::new(config).unwrap()
    }

    async fn write(&self, path: &str, body: Value) -> Value {
        let request = Request::post(path).json(&body).unwrap();
        let answer = self.root().send(request).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    async fn policy(&self, name: &str, rules: &str) {
        let path = format!("sys/policies/acl/{name}");
        self.write(&path, json!({ "policy": rules })).await;
    }

    /// Lets roles log in, which may use the engine.
    async fn allow_roles(&self) {
        self.write("sys/auth/approle", json!({ "type": "approle" }))
            .await;
        self.allow_app().await;
    }

    /// Lets who has the policy `app` use the engine.
    async fn allow_app(&self) {
        self.policy(
            "app",
            "path \"transit/*\" { capabilities = [\"create\", \"read\", \"update\"] }",
        )
        .await;
    }

    /// A role whose tokens live for so long, and its secret.
    async fn role(&self, name: &str, ttl: &str) -> (String, String) {
        let path = format!("auth/approle/role/{name}");
        let role = json!({ "token_policies": "app", "token_ttl": ttl });
        self.write(&path, role).await;
        let role_id = self.root().read(&format!("{path}/role-id")).await;
        let role_id = role_id.unwrap().unwrap();
        let role_id = role_id.data.get("role_id").unwrap().as_str().unwrap();
        let made = self.write(&format!("{path}/secret-id"), json!({})).await;
        let secret_id = made["data"]["secret_id"].as_str().unwrap();
        (role_id.to_owned(), secret_id.to_owned())
    }

    fn provider(&self, auth: VaultAuth) -> VaultProvider {
        VaultProvider::new(self.config(), auth, "transit").unwrap()
    }

    fn kms(&self, auth: VaultAuth) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider(auth)))
    }
}

#[async_trait]
impl Harness for Bao {
    async fn open(&self) -> Subject {
        Subject {
            kms: Arc::new(self.kms(token(ROOT))),
            key: id("k"),
            other_key: Some(id("other")),
        }
    }
}

#[tokio::test]
async fn conforms() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    conformance::run(&bao).await.unwrap();
    native_texts_are_exchanged(&bao).await;
    an_old_version_is_told(&bao).await;
    a_missing_right_is_told_from_a_token_that_ended(&bao).await;
    a_mistyped_key_is_not_made(&bao).await;
    a_deleted_key_is_not_made_anew(&bao).await;
    an_app_role_logs_in_and_again(&bao).await;
    a_token_is_renewed(&bao).await;
}

#[tokio::test]
async fn our_own_server_conforms() {
    let Some(own) = Bao::start_own().await else {
        return;
    };
    own.allow_app().await;
    conformance::run(&own).await.unwrap();
    native_texts_are_exchanged(&own).await;
    an_old_version_is_told(&own).await;
    a_missing_right_is_told_from_a_token_that_ended(&own).await;
    a_mistyped_key_is_not_made(&own).await;
    a_deleted_key_is_not_made_anew(&own).await;
    a_token_is_renewed(&own).await;
}

/// What stands in files of others opens here, and what is made here opens there.
async fn native_texts_are_exchanged(bao: &Bao) {
    let kms = bao.kms(token(ROOT));
    let body = json!({ "plaintext": STANDARD.encode("theirs") });
    let made = bao.write("transit/encrypt/k", body).await;
    let text = made["data"]["ciphertext"].as_str().unwrap();
    let wrapped = Wrapped {
        key: id("k"),
        version: KeyVersion::default(),
        bytes: text.as_bytes().to_vec(),
    };
    let theirs = crate::Ciphertext::native(NAME, wrapped).unwrap();
    let opened = kms.decrypt(&theirs, &context("")).await.unwrap();
    assert_eq!(opened.expose(), b"theirs");

    let bound = context("env=prod");
    let ours = kms.encrypt(&id("k"), b"ours", &bound).await.unwrap();
    let text = String::from_utf8(ours.wrapped().bytes.clone()).unwrap();
    let body = json!({
        "ciphertext": text,
        "associated_data": STANDARD.encode(bound.canonical_bytes()),
    });
    let opened = bao.write("transit/decrypt/k", body).await;
    assert_eq!(opened["data"]["plaintext"], STANDARD.encode("ours"));
}

async fn an_old_version_is_told(bao: &Bao) {
    let kms = bao.kms(token(ROOT));
    let none = context("");
    bao.write("transit/keys/aging", json!({})).await;
    let made = kms.encrypt(&id("aging"), b"x", &none).await.unwrap();
    kms.rotate_key(&id("aging")).await.unwrap();
    let oldest = json!({ "min_decryption_version": 2 });
    bao.write("transit/keys/aging/config", oldest).await;
    let refused = kms.decrypt(&made, &none).await;
    assert!(matches!(refused, Err(KmsError::KeyVersionNotFound { .. })));
    let info = kms.key_info(&id("aging")).await.unwrap();
    assert!(info.rotated_at.is_some() && info.enabled);
}

async fn a_missing_right_is_told_from_a_token_that_ended(bao: &Bao) {
    bao.policy(
        "encrypts",
        "path \"transit/encrypt/k\" { capabilities = [\"update\"] }",
    )
    .await;
    let made = json!({ "policies": ["encrypts"], "ttl": "1h" });
    let made = bao.write("auth/token/create", made).await;
    let text = made["auth"]["client_token"].as_str().unwrap();
    let kms = bao.kms(token(text));
    let ciphertext = kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    let refused = kms.decrypt(&ciphertext, &context("")).await;
    assert!(matches!(refused, Err(KmsError::AccessDenied { .. })));
    bao.write("auth/token/revoke", json!({ "token": text }))
        .await;
    let refused = kms.encrypt(&id("k"), b"x", &context("")).await;
    assert!(matches!(refused, Err(KmsError::Credentials { .. })));
    let refused = bao.kms(token("no-such-token"));
    let refused = refused.health_check().await;
    assert!(matches!(refused, Err(KmsError::Credentials { .. })));
}

async fn a_mistyped_key_is_not_made(bao: &Bao) {
    let kms = bao.kms(token(ROOT));
    let spec = DataKeySpec::AES_256;
    for key in ["mistyped", "k/rotate", "k/../other"] {
        let refused = kms.encrypt(&id(key), b"x", &context("")).await;
        assert!(matches!(refused, Err(KmsError::KeyNotFound { .. })));
        let refused = kms.generate_data_key(&id(key), spec, &context("")).await;
        assert!(matches!(refused, Err(KmsError::KeyNotFound { .. })));
    }
    let listed = kms.list_keys(None, 100).await.unwrap();
    assert!(!listed.keys.contains(&id("mistyped")));
}

/// By a token that may make keys, as the engine does of a name that it does not know.
async fn a_deleted_key_is_not_made_anew(bao: &Bao) {
    let provider = bao.provider(token(ROOT));
    let kms = ProviderKms::new(Arc::new(provider.clone()));
    let (key, none) = (id("passing"), context(""));
    let deleted = async || {
        let deletable = json!({ "deletion_allowed": true });
        bao.write("transit/keys/passing/config", deletable).await;
        let gone = Request::delete("transit/keys/passing");
        bao.root().send(gone).await.unwrap();
    };
    let refused = async || {
        let refused = kms.encrypt(&key, b"x", &none).await;
        assert!(matches!(refused, Err(KmsError::KeyNotFound { .. })));
    };
    for looks in [true, false] {
        bao.write("transit/keys/passing", json!({})).await;
        kms.encrypt(&key, b"x", &none).await.unwrap();
        deleted().await;
        if looks {
            // Whoever asks about it learns that it is gone.
            assert!(kms.key_info(&key).await.is_err());
        } else {
            // And without that, it is soon looked at again.
            let mut known = provider.known.lock();
            *known.get_mut(&key).unwrap() -= KNOWN_FOR;
        }
        refused().await;
    }
}

async fn an_app_role_logs_in_and_again(bao: &Bao) {
    bao.allow_roles().await;
    let (role_id, secret_id) = bao.role("app", "1h").await;
    let auth = |secret_id: &str| app_role(&role_id, secret_id);
    let provider = bao.provider(auth(&secret_id));
    let kms = ProviderKms::new(Arc::new(provider.clone()));
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    let first = provider.session.held_token().unwrap();
    // Somebody ends the token: the next call logs in anew.
    let ended = json!({ "token": first.expose() });
    bao.write("auth/token/revoke", ended).await;
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    let second = provider.session.held_token().unwrap();
    assert!(first != second);
    let refused = bao.kms(auth("wrong")).health_check().await;
    assert!(matches!(refused, Err(KmsError::Credentials { .. })));
}

/// A token that lives for two seconds serves for longer, also where nobody asks in between.
async fn a_token_is_renewed(bao: &Bao) {
    let made = json!({ "policies": ["app"], "ttl": "2s", "explicit_max_ttl": "60s" });
    let made = bao.write("auth/token/create", made).await;
    let text = made["auth"]["client_token"].as_str().unwrap();
    let kms = bao.kms(token(text));
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3500)).await;
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let provider = VaultProvider::new(config(&address), token(ROOT), "transit").unwrap();
    let refused = provider.describe(&id("k")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Unavailable { .. }), "{refused}");
    assert!(refused.is_transient() && refused.is_service_fault());
}

/// Answers every request with these bytes, then closes the connection.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(8) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[tokio::test]
async fn what_a_server_sets_in_lines_is_told_in_one() {
    const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 63\r\n\r\n\
                          {\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\",\"b\"]}";
    let address = answering(DENIED);
    let provider = VaultProvider::new(config(&address), token(ROOT), "transit").unwrap();
    let refused = provider.describe(&id("k")).await.unwrap_err();
    let told = refused.to_string();
    assert!(
        told.contains("error occurred: * permission denied"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[tokio::test]
async fn garbage_is_told_and_shows_nothing() {
    const PLANTED: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 24\r\n\r\n\
                           {\"data\":\"planted-secret\"}";
    const HTML: &str =
        "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 6\r\n\r\n<html>";
    const BUSY: &str = "HTTP/1.1 429 Too Many\r\nretry-after: 2\r\nconnection: close\r\n\
                        content-length: 13\r\n\r\n{\"errors\":[]}";
    const SEALED: &str = "HTTP/1.1 503 Sealed\r\nconnection: close\r\ncontent-length: 13\r\n\r\n\
                          {\"errors\":[]}";
    for (answer, kind) in [
        (PLANTED, "bad_answer"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", "bad_answer"),
        (HTML, "bad_answer"),
        ("nonsense", "bad_answer"),
        ("", "unavailable"),
        (BUSY, "throttled"),
        (SEALED, "unavailable"),
    ] {
        let address = answering(answer);
        let provider = VaultProvider::new(config(&address), token(ROOT), "transit").unwrap();
        let refused = provider.describe(&id("k")).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{answer}: {refused}");
        let wait = (kind == "throttled").then_some(Duration::from_secs(2));
        assert_eq!(refused.retry_after(), wait);
        let shown = format!("{refused} {refused:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[test]
fn versions_are_read() {
    assert_eq!(version(b"vault:v3:abc"), Some(3));
    for text in [
        &b"vault:vx:abc"[..],
        b"vault:v3",
        b"",
        b"\xff",
        b"vault:v-1:x",
    ] {
        assert_eq!(version(text), None);
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("client-key.pem");
    std::fs::write(&key, "a key").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut config = config("https://127.0.0.1:1");
    config.tls.client_key = Some(key.clone());
    config.tls.client_cert = Some(key);
    let refused = VaultProvider::new(config, token("t"), "transit").unwrap_err();
    assert!(matches!(refused, KmsError::FileRights { .. }), "{refused}");
}

#[test]
fn debug_shows_no_token() {
    let provider = VaultProvider::new(config("http://127.0.0.1:1"), token("planted"), "transit");
    assert!(!format!("{:?}", provider.unwrap()).contains("planted"));
}
