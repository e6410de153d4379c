//! With the transit engine of a real OpenBao behind it, whose binary `SECRETUM_BAO` names.

use crate::operations::everything;
use crate::peers::{Program, free_port};
use crate::running::{DEADLINE, Place};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Instant;

const ROOT: &str = "planted-root";

struct Bao {
    _program: Program,
    address: String,
    _home: tempfile::TempDir,
}

impl Bao {
    /// `None` where no binary is named.
    async fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let program = Program::bao(home.path(), port, ROOT, &[])?;
        let bao = Self {
            _program: program,
            address: format!("http://127.0.0.1:{port}"),
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
