//! With the transit engine of a real OpenBao behind it, whose binary `SECRETUM_BAO` names.

use crate::operations::everything;
use crate::running::{DEADLINE, Place};
use reqwest::Client;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const ROOT: &str = "planted-root";

struct Bao {
    process: Child,
    address: String,
    _home: tempfile::TempDir,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Bao {
    /// `None` where no binary is named.
    async fn start() -> Option<Self> {
        let binary = crate::peers::peer("SECRETUM_BAO")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = port.local_addr().unwrap().to_string();
        drop(port);
        let home = tempfile::tempdir().unwrap();
        let process = Command::new(binary)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={listen}"))
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bao = Self {
            process,
            address: format!("http://{listen}"),
            _home: home,
        };
        let began = Instant::now();
        while !bao
            .write("sys/mounts/transit", json!({ "type": "transit" }))
            .await
        {
            assert!(began.elapsed() < DEADLINE, "OpenBao does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(bao.write("transit/keys/default", json!({})).await);
        Some(bao)
    }

    async fn write(&self, path: &str, body: Value) -> bool {
        let request = Client::new().post(format!("{}/v1/{path}", self.address));
        let request = request.header("x-vault-token", ROOT).body(body.to_string());
        let answer = request.send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

fn place(address: &str) -> Place {
    let place = Place::new();
    let kms = format!(
        "[kms.vault]\naddress = \"{address}\"\nauth = \"token\"\ntoken = \"{ROOT}\"\n\
         [kms.retry]\nretries_max = 1\n[kms.circuit_breaker]\nfailures_to_open = 2\n"
    );
    place.configure("vault", &kms, "");
    place
}

#[tokio::test]
async fn transit_does_everything_and_its_end_is_told() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    let service = place(&bao.address).start();
    everything(&service, "vault").await;
    let kept = service.hello(&json!("")).await;
    drop(bao);
    let body = json!({ "ciphertext": kept });
    let gone = service.refused("decrypt", body.clone()).await;
    assert_eq!(gone, (503, "unavailable".to_owned()));
    let mut code = gone.1;
    for _ in 0..5 {
        code = service.refused("decrypt", body.clone()).await.1;
    }
    assert_eq!(code, "circuit_open");
    let began = Instant::now();
    // What was found of the health before is told for a moment.
    while crate::running::answer(service.get("/api/v1/kms/health"))
        .await
        .0
        == 200
    {
        assert!(began.elapsed() < DEADLINE, "it stays in good health");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let health = crate::running::refusal(service.get("/api/v1/kms/health")).await;
    assert_eq!(health, (503, "unhealthy".to_owned()));
    let (_, status) = crate::running::answer(service.get("/api/v1/kms/status")).await;
    assert_eq!(status["circuit_breaker"], "open");
    assert!(!service.log().contains(ROOT), "{}", service.log());
}
