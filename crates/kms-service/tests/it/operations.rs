use crate::running::{Place, Running, write_age_keys};
use serde_json::{Value, json};

fn age() -> Running {
    let place = Place::new();
    write_age_keys(place.0.path());
    let kms = "[kms.age]\npublic_key_path = \"public.txt\"\nprivate_key_path = \"private.txt\"\n";
    place.configure("age", kms, "");
    place.start()
}

#[tokio::test]
async fn local_does_everything() {
    let mut service = Place::local("").start();
    service.wait_for_log("the key provider `local` is for development");
    everything(&service, "local").await;
}

#[tokio::test]
async fn age_does_everything() {
    everything(&age(), "age").await;
}

/// What holds of every backend.
pub(crate) async fn everything(service: &Running, backend: &str) {
    round_trip(service, backend).await;
    contexts_bind(service).await;
    data_keys(service).await;
    rotation(service).await;
    told(service, backend).await;
    assert_eq!(
        service.ok("encrypt", json!({ "plaintext": "" })).await["provider"],
        backend
    );
}

async fn round_trip(service: &Running, backend: &str) {
    let made = service
        .ok(
            "encrypt",
            json!({ "plaintext": "aGVsbG8=", "context": "env=prod,service=api" }),
        )
        .await;
    assert_eq!(
        (&made["provider"], &made["key_id"]),
        (&json!(backend), &json!("default"))
    );
    assert_eq!(made.get("plaintext"), None);
    let context = json!({ "service": "api", "env": "prod" });
    let body = json!({ "ciphertext": made["ciphertext"], "context": context, "key_id": "default" });
    let opened = service.ok("decrypt", body).await;
    assert_eq!(
        opened,
        json!({ "plaintext": "aGVsbG8=", "key_id": "default" })
    );
}

async fn contexts_bind(service: &Running) {
    let made = service.hello(&json!("env=prod")).await;
    for context in [
        json!("env=dev"),
        json!(""),
        json!({}),
        json!("env=prod,x=y"),
        Value::Null,
    ] {
        let body = json!({ "ciphertext": made, "context": context });
        let refused = service.refused("decrypt", body).await;
        assert_eq!(refused, (400, "not_authentic".to_owned()), "{context}");
    }
    let body = json!({ "ciphertext": made, "context": "env=prod", "new_context": "env=dev" });
    let moved = service.ok("re-encrypt", body).await["ciphertext"].clone();
    let body = json!({ "ciphertext": moved, "context": "env=dev" });
    assert_eq!(service.ok("decrypt", body).await["plaintext"], "aGVsbG8=");
    let body = json!({ "ciphertext": moved, "context": "env=prod" });
    assert_eq!(service.refused("decrypt", body).await.1, "not_authentic");
}

async fn data_keys(service: &Running) {
    for (spec, chars) in [
        (json!("AES_128"), 24),
        (json!("AES_256"), 44),
        (json!(60), 80),
    ] {
        let made = service
            .ok(
                "generate-key",
                json!({ "key_spec": spec, "context": "a=b" }),
            )
            .await;
        let plaintext = made["plaintext"].as_str().unwrap();
        assert_eq!(plaintext.len(), chars);
        let body = json!({ "ciphertext": made["ciphertext"], "context": { "a": "b" } });
        assert_eq!(
            service.ok("decrypt-key", body).await["plaintext"],
            plaintext
        );
        let body = json!({ "ciphertext": made["ciphertext"], "context": { "a": "c" } });
        assert_eq!(
            service.refused("decrypt-key", body).await.1,
            "not_authentic"
        );
    }
    let made = service
        .ok("generate-key", json!({ "without_plaintext": true }))
        .await;
    assert_eq!(
        (made.get("plaintext"), &made["key_spec"]),
        (None, &json!("AES_256"))
    );
}

async fn rotation(service: &Running) {
    let body = json!({ "plaintext": "aGVsbG8=", "context": "n=1" });
    let before = service.ok("encrypt", body).await;
    let rotated = service.ok("rotate", json!({})).await;
    assert_ne!(rotated["key_version"], before["key_version"]);
    let body = json!({ "ciphertext": before["ciphertext"], "context": "n=1" });
    assert_eq!(
        service.ok("decrypt", body.clone()).await["plaintext"],
        "aGVsbG8="
    );
    let after = service.ok("re-encrypt", body).await;
    assert_eq!(after["key_version"], rotated["key_version"]);
}

async fn told(service: &Running, backend: &str) {
    let text = |path| async move {
        let response = service.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-request-id"].len(), 36);
        response.text().await.unwrap()
    };
    let status: Value = serde_json::from_str(&text("/api/v1/kms/status").await).unwrap();
    assert_eq!(
        (&status["backend"], &status["key"]["id"]),
        (&json!(backend), &json!("default"))
    );
    assert_eq!(
        status["operations"]["rotate_key"],
        json!({ "total": 1, "outcomes": { "ok": 1 } })
    );
    assert!(status["operations"]["decrypt"]["outcomes"]["not_authentic"].as_u64() > Some(4));
    assert!(status["uptime_seconds"].is_u64() && status.get("circuit_breaker").is_some());
    let health: Value = serde_json::from_str(&text("/api/v1/kms/health").await).unwrap();
    assert_eq!(
        (&health["status"], &health["backend"]),
        (&json!("healthy"), &json!(backend))
    );
    let metrics = text("/metrics").await;
    for wanted in [
        &format!(
            "secretum_kms_operations_total{{provider=\"{backend}\",operation=\"rotate_key\",outcome=\"ok\"}} 1"
        ),
        "secretum_kms_http_answers_total{status=\"400\"}",
        "secretum_kms_uptime_seconds ",
    ] {
        assert!(metrics.contains(wanted), "{wanted}\n{metrics}");
    }
    let document: Value = serde_json::from_str(&text("/openapi.json").await).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        let (status, _) = crate::running::answer(service.get(path)).await;
        assert_ne!(status, 404, "{path}");
        assert!(text("/").await.contains(path.as_str()), "{path}");
    }
}

#[tokio::test]
async fn keys_are_named() {
    let service = Place::local("").start();
    let made = service
        .ok("encrypt", json!({ "plaintext": "aGk=", "key_id": "a" }))
        .await;
    assert_eq!(made["key_id"], "a");
    let body = json!({ "ciphertext": made["ciphertext"], "new_key_id": "b" });
    let moved = service.ok("re-encrypt", body).await;
    assert_eq!(moved["key_id"], "b");
    let body = json!({ "ciphertext": moved["ciphertext"], "key_id": "a" });
    assert_eq!(
        service.refused("decrypt", body).await,
        (400, "other_key".to_owned())
    );
    let body = json!({ "plaintext": "aGk=", "key_id": "none" });
    assert_eq!(
        service.refused("encrypt", body).await,
        (404, "key_not_found".to_owned())
    );
}

#[tokio::test]
async fn the_largest_plaintext_passes_and_one_byte_more_does_not() {
    use base64::Engine as _;
    let service = Place::local("").start();
    let encode = |bytes: usize| base64::prelude::BASE64_STANDARD.encode(vec![7; bytes]);
    let largest = secretum_kms::PLAINTEXT_BYTES_MAX;
    let plaintext = encode(largest);
    let made = service
        .ok("encrypt", json!({ "plaintext": plaintext }))
        .await;
    let opened = service
        .ok("decrypt", json!({ "ciphertext": made["ciphertext"] }))
        .await;
    assert!(opened["plaintext"] == plaintext.as_str());
    let refused = service
        .refused("encrypt", json!({ "plaintext": encode(largest + 1) }))
        .await;
    assert_eq!(refused, (413, "plaintext_too_large".to_owned()));
}
