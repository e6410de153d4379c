//! OpenBao, which has both engines.

use super::*;
use crate::DataKeySpec;
use crate::conformance;

/// A development server with a transit engine and a key-value engine of version 1; `None` where no binary
/// is named.
pub(super) async fn start() -> Option<Server> {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let process = Program::bao(home.path(), port, ROOT, &[])?;
    let server = Server {
        process,
        address: format!("http://127.0.0.1:{port}"),
        root: ROOT.to_owned(),
        home,
    };
    server.answers("sys/health").await;
    let kv = json!({ "type": "kv", "options": { "version": "1" } });
    server.write("sys/mounts/kv1", kv).await;
    Some(server)
}

async fn mount_transit(server: &Server) {
    let transit = json!({ "type": "transit" });
    server.write("sys/mounts/transit", transit).await;
}

#[tokio::test]
async fn keys_of_the_key_value_engine_conform() {
    let Some(server) = start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Auto), &["k", "other"]).await;
    conformance::run(&In(&server, RustyVaultEngine::Kv))
        .await
        .unwrap();
    conformance::run(&In(&server, RustyVaultEngine::Auto))
        .await
        .unwrap();
    let kms = server.kms(RustyVaultEngine::Auto);
    assert_eq!(kms.capabilities().data_keys, SuppliedBy::Layer);
    let health = kms.health_check().await.unwrap();
    let told = health.notes.join("; ");
    assert!(
        told.contains("key-value engine at `kv1/secretum-kms`"),
        "{told}"
    );
    assert!(told.contains("this process encrypts"), "{told}");
    let info = kms.key_info(&id("k")).await.unwrap();
    assert!(info.rotated_at.is_some() && info.version.as_str().contains('-'));
}

#[tokio::test]
async fn keys_of_a_transit_engine_conform() {
    let Some(server) = start().await else {
        return;
    };
    mount_transit(&server).await;
    make(&server.provider(RustyVaultEngine::Auto), &["k", "other"]).await;
    for engine in [RustyVaultEngine::Auto, RustyVaultEngine::Transit] {
        conformance::run(&In(&server, engine)).await.unwrap();
    }
    let kms = server.kms(RustyVaultEngine::Auto);
    let health = kms.health_check().await.unwrap().notes.join("; ");
    assert!(health.contains("its transit engine keeps"), "{health}");
    assert_eq!(kms.capabilities().data_keys, SuppliedBy::Provider);
    let made = encrypt(&kms, "k").await;
    assert!(made.wrapped().bytes.starts_with(b"vault:v"));
    // Nothing was made beside it.
    let kept = server.kms(RustyVaultEngine::Kv);
    let missing = kept.key_info(&id("k")).await;
    assert!(matches!(missing, Err(KmsError::KeyNotFound { .. })));
}

/// What was encrypted before a server had a transit engine opens after it has one.
#[tokio::test]
async fn ciphertexts_outlive_the_coming_of_a_transit_engine() {
    let Some(server) = start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Auto), &["k"]).await;
    let before = encrypt(&server.kms(RustyVaultEngine::Auto), "k").await;
    mount_transit(&server).await;
    let kms = server.kms(RustyVaultEngine::Auto);
    // The key stays where it is until transit has one of its name.
    assert_eq!(encrypt(&kms, "k").await.wrapped().bytes[0], KEPT);
    server.write("transit/keys/k", json!({})).await;
    let kms = server.kms(RustyVaultEngine::Auto);
    opens(&kms, &before).await;
    let none = context("a=1");
    let anew = kms
        .re_encrypt(&before, &none, &id("k"), &none)
        .await
        .unwrap();
    assert!(anew.wrapped().bytes.starts_with(b"vault:v"));
    opens(&kms, &anew).await;
    opens(&kms, &before).await;
    let listed = kms.list_keys(None, 10).await.unwrap();
    assert_eq!(listed.keys, [id("k")]);
}

#[tokio::test]
async fn the_default_key_alone_is_made_where_that_is_said() {
    let Some(server) = start().await else {
        return;
    };
    for transit in [false, true] {
        if transit {
            mount_transit(&server).await;
        }
        let name = if transit { "there" } else { "here" };
        let provider = server.with(token(ROOT), |keys| {
            keys.create_key = true;
            keys.default_key = id(name);
        });
        let kms = ProviderKms::new(Arc::new(provider));
        let spec = DataKeySpec::AES_256;
        let made = kms.generate_data_key(&id(name), spec, &context("")).await;
        let wrapped = made.unwrap().wrapped;
        assert_eq!(wrapped.wrapped().bytes.starts_with(b"vault:v"), transit);
        let mistyped = kms.encrypt(&id("mistyped"), b"x", &context("")).await;
        assert!(matches!(mistyped, Err(KmsError::KeyNotFound { .. })));
    }
    let kms = server.kms(RustyVaultEngine::Auto);
    let refused = kms.encrypt(&id("k"), b"x", &context("")).await;
    assert!(matches!(refused, Err(KmsError::KeyNotFound { .. })));
}

#[tokio::test]
async fn a_missing_right_is_told_and_what_to_do() {
    let Some(server) = start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Kv), &["k"]).await;
    let rules = "path \"kv1/secretum-kms/k/\" { capabilities = [\"list\"] }";
    let policy = json!({ "policy": rules });
    server.write("sys/policies/acl/lists", policy).await;
    let made = json!({ "policies": ["lists"], "ttl": "1h" });
    let made = server.write("auth/token/create", made).await;
    let text = made["auth"]["client_token"].as_str().unwrap().to_owned();
    let refused = |engine| {
        let provider = server.with(token(&text), |keys| keys.engine = engine);
        async move {
            let kms = ProviderKms::new(Arc::new(provider));
            let refused = kms.encrypt(&id("k"), b"x", &context("")).await;
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused, KmsError::AccessDenied { .. }),
                "{refused}"
            );
            refused.to_string()
        }
    };
    let told = refused(RustyVaultEngine::Auto).await;
    assert!(told.contains("write engine = \"kv\""), "{told}");
    // It sees the versions, and may not read them.
    refused(RustyVaultEngine::Kv).await;
    let ended = json!({ "token": text });
    server.write("auth/token/revoke", ended).await;
    let provider = server.with(token(&text), |_| {});
    let ended = provider.describe(&id("k")).await.unwrap_err();
    assert!(matches!(ended, KmsError::Credentials { .. }), "{ended}");
}

#[tokio::test]
async fn a_key_that_another_service_makes_is_found_at_once() {
    let Some(server) = start().await else {
        return;
    };
    mount_transit(&server).await;
    let [one, two] = [(); 2].map(|()| server.provider(RustyVaultEngine::Auto));
    let key = id("late");
    let none = EncryptionContext::new();
    let missing = two.wrap(&key, b"x", &none).await.unwrap_err();
    assert_eq!(missing.kind(), "key_not_found", "{missing}");
    one.create(&key).await.unwrap();
    let made = two.wrap(&key, b"x", &none).await.unwrap();
    assert!(made.bytes.starts_with(b"vault:v1:"));
}

#[tokio::test]
async fn a_key_of_the_key_value_engine_is_not_made_again_in_a_transit_engine() {
    let Some(server) = start().await else {
        return;
    };
    let key = id("early");
    let before = server.provider(RustyVaultEngine::Auto);
    before.create(&key).await.unwrap();
    mount_transit(&server).await;
    for provider in [before, server.provider(RustyVaultEngine::Auto)] {
        let there = provider.create(&key).await.unwrap_err();
        assert_eq!(there.kind(), "key_exists", "{there}");
        let none = EncryptionContext::new();
        let made = provider.wrap(&key, b"x", &none).await.unwrap();
        assert!(!made.bytes.starts_with(b"vault:"));
    }
}
