//! Against a real RustyVault, whose `rvault` `SECRETUM_RUSTYVAULT` names (`./test --all` sets it), and in
//! every run against OpenBao, whose binary `SECRETUM_BAO` names, for both engines. And against what
//! answers nonsense, or not at all.

mod bao;
mod faults;
mod races;
mod records;
mod rusty;

use super::*;
use crate::conformance::{Harness, Subject};
use crate::test_peers::{Program, free_port};
use crate::{Ciphertext, KeyManagementService, KeyVersion, ProviderKms};
use secretum_client::{Client, Request};
use secretum_crypto::{SecretString, SystemClock, SystemRng};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;
use std::time::Instant as Moment;
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

fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// A running server.
struct Server {
    process: Program,
    address: String,
    root: String,
    home: TempDir,
}

impl Server {
    fn client(&self) -> Client {
        let mut config = config(&self.address);
        config.token = Some(SecretString::new(self.root.clone()));
        Client::new(config).unwrap()
    }

    async fn write(&self, path: &str, body: Value) -> Value {
        let request = Request::post(path).json(&body).unwrap();
        let answer = self.client().send(request).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.client().send(Request::get(path)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    async fn answers(&self, path: &str) {
        let deadline = Moment::now() + Duration::from_secs(30);
        loop {
            match self.client().send(Request::get(path)).await {
                // An error is an answer, too.
                Ok(_) | Err(secretum_client::ClientError::Api(_)) => return,
                Err(error) => assert!(Moment::now() < deadline, "no answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A provider of keys in this engine, with what else is said.
    fn with(
        &self,
        auth: VaultAuth,
        change: impl FnOnce(&mut RustyVaultKeys),
    ) -> RustyVaultProvider {
        let mut keys = RustyVaultKeys::new(id("k"));
        "kv1".clone_into(&mut keys.kv_mount);
        change(&mut keys);
        let (rng, clock) = (Arc::new(SystemRng), Arc::new(SystemClock));
        RustyVaultProvider::new(config(&self.address), auth, keys, rng, clock).unwrap()
    }

    fn provider(&self, engine: RustyVaultEngine) -> RustyVaultProvider {
        self.with(token(&self.root), |keys| keys.engine = engine)
    }

    fn kms(&self, engine: RustyVaultEngine) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider(engine)))
    }
}

/// A server and the engine that its keys are in.
struct In<'a>(&'a Server, RustyVaultEngine);

#[async_trait]
impl Harness for In<'_> {
    async fn open(&self) -> Subject {
        Subject {
            kms: Arc::new(self.0.kms(self.1)),
            key: id("k"),
            other_key: Some(id("other")),
        }
    }
}

async fn make(provider: &RustyVaultProvider, keys: &[&str]) {
    for key in keys {
        provider.create(&id(key)).await.unwrap();
    }
}

async fn encrypt(kms: &ProviderKms, key: &str) -> Ciphertext {
    let made = kms.encrypt(&id(key), b"plaintext", &context("a=1")).await;
    made.unwrap()
}

async fn opens(kms: &ProviderKms, ciphertext: &Ciphertext) {
    let opened = kms.decrypt(ciphertext, &context("a=1")).await.unwrap();
    assert_eq!(opened.expose(), b"plaintext");
}
