//! Who logs in how, over TLS.

use super::*;
use crate::test_certificates::Certificates;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::{BufRead, BufReader};
use std::sync::Mutex;

#[tokio::test]
async fn every_way_to_log_in_over_tls() {
    let Some(bao) = Bao::start_with(true).await else {
        return;
    };
    bao.policy(
        "app",
        "path \"transit/*\" { capabilities = [\"create\", \"read\", \"update\"] }",
    )
    .await;
    a_server_of_another_authority_is_not_trusted(&bao).await;
    a_certificate_logs_in(&bao).await;
    a_pod_logs_in(&bao).await;
    a_namespace_has_keys_of_its_own(&bao).await;
}

async fn a_server_of_another_authority_is_not_trusted(bao: &Bao) {
    let stranger = Certificates::new();
    let mut config = bao.config();
    config.tls.ca_cert = Some(stranger.path("ca.pem"));
    let provider = VaultProvider::new(config, token(ROOT), "transit").unwrap();
    let refused = provider.describe(&id("k")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Untrusted { .. }), "{refused}");
    assert!(refused.to_string().contains("ca_cert_path"), "{refused}");
}

async fn a_certificate_logs_in(bao: &Bao) {
    bao.write("sys/auth/cert", json!({ "type": "cert" })).await;
    let known = Certificates::new();
    let authority = std::fs::read_to_string(known.path("ca.pem")).unwrap();
    let role = json!({ "certificate": authority, "token_policies": "app" });
    bao.write("auth/cert/certs/app", role).await;
    let kms = |of: &Certificates, role: Option<&str>| {
        let mut config = bao.config();
        config.tls.client_cert = Some(of.path("client.pem"));
        config.tls.client_key = Some(of.path("client-key.pem"));
        let auth = VaultAuth::Certificate {
            mount: "cert".to_owned(),
            role: role.map(str::to_owned),
        };
        let provider = VaultProvider::new(config, auth, "transit").unwrap();
        ProviderKms::new(Arc::new(provider))
    };
    for role in [None, Some("app")] {
        let kms = kms(&known, role);
        kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    }
    for refused in [kms(&Certificates::new(), None), kms(&known, Some("other"))] {
        let refused = refused.health_check().await.unwrap_err();
        assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
    }
}

/// The token of a service account, as far as OpenBao reads it itself.
fn service_account_token(number: u32) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = part(json!({
        "sub": "system:serviceaccount:apps:app",
        "jti": number.to_string(),
        "kubernetes.io": {
            "namespace": "apps",
            "serviceaccount": { "name": "app", "uid": "1" },
        },
    }));
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 256]))
}

/// Stands for the cluster, which is asked whether a token is good: this one is.
fn cluster(good: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(50) {
            let mut stream = stream.unwrap();
            let is_good = asked_for(&stream) == *good.lock().unwrap();
            let user = json!({ "username": "system:serviceaccount:apps:app", "uid": "1" });
            let status = if is_good {
                json!({ "authenticated": true, "user": user })
            } else {
                json!({ "authenticated": false, "error": "the token has expired" })
            };
            let review = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status,
            });
            let review = review.to_string();
            let length = review.len();
            let head =
                "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{review}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// The token that a review is asked for.
fn asked_for(stream: &std::net::TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let review: Value = serde_json::from_slice(&body).unwrap();
    review["spec"]["token"].as_str().unwrap().to_owned()
}

/// The file is read at each login: the cluster renews it.
async fn a_pod_logs_in(bao: &Bao) {
    let good = Arc::new(Mutex::new(service_account_token(1)));
    bao.write("sys/auth/kubernetes", json!({ "type": "kubernetes" }))
        .await;
    // The cluster speaks no TLS here; OpenBao wants an authority for it anyway.
    let authority = std::fs::read_to_string(Certificates::new().path("ca.pem")).unwrap();
    let settings = json!({
        "kubernetes_host": cluster(Arc::clone(&good)), "disable_local_ca_jwt": true,
        "kubernetes_ca_cert": authority,
    });
    bao.write("auth/kubernetes/config", settings).await;
    let role = json!({
        "bound_service_account_names": "app", "bound_service_account_namespaces": "apps",
        "token_policies": "app",
    });
    bao.write("auth/kubernetes/role/app", role).await;
    let folder = tempfile::tempdir().unwrap();
    let jwt_path = folder.path().join("token");
    std::fs::write(&jwt_path, format!("{}\n", service_account_token(1))).unwrap();
    let provider = bao.provider(VaultAuth::Kubernetes {
        mount: "kubernetes".to_owned(),
        role: "app".to_owned(),
        jwt_path: jwt_path.clone(),
    });
    let kms = ProviderKms::new(Arc::new(provider.clone()));
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();

    let end_session = async || {
        let held = provider.session.held_token().unwrap();
        let ended = json!({ "token": held.expose() });
        bao.write("auth/token/revoke", ended).await;
    };
    *good.lock().unwrap() = service_account_token(2);
    end_session().await;
    let refused = kms.encrypt(&id("k"), b"x", &context("")).await;
    assert!(
        matches!(refused, Err(KmsError::Credentials { .. })),
        "{refused:?}"
    );
    std::fs::write(&jwt_path, service_account_token(2)).unwrap();
    kms.encrypt(&id("k"), b"x", &context("")).await.unwrap();
    std::fs::remove_file(&jwt_path).unwrap();
    end_session().await;
    let refused = kms.encrypt(&id("k"), b"x", &context("")).await;
    assert!(matches!(refused, Err(KmsError::File { .. })), "{refused:?}");
}

async fn a_namespace_has_keys_of_its_own(bao: &Bao) {
    bao.write("sys/namespaces/team", json!({})).await;
    bao.write("team/sys/mounts/transit", json!({ "type": "transit" }))
        .await;
    bao.write("team/transit/keys/theirs", json!({})).await;
    let mut config = bao.config();
    config.namespace = Some("team".to_owned());
    let provider = VaultProvider::new(config, token(ROOT), "transit").unwrap();
    let kms = ProviderKms::new(Arc::new(provider));
    let made = kms.encrypt(&id("theirs"), b"x", &context("a=1")).await;
    let opened = kms.decrypt(&made.unwrap(), &context("a=1")).await.unwrap();
    assert_eq!(opened.expose(), b"x");
    let listed = kms.list_keys(None, 100).await.unwrap();
    assert_eq!(listed.keys, [id("theirs")]);
    let elsewhere = bao.kms(token(ROOT)).key_info(&id("theirs")).await;
    assert!(matches!(elsewhere, Err(KmsError::KeyNotFound { .. })));
}
