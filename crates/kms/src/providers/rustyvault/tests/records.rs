//! Records that are not as they were written.

use super::super::kept::VERSIONS_MAX;
use super::*;

/// The path of the one version of a key.
async fn record(server: &Server, key: &str) -> String {
    let info = server
        .provider(RustyVaultEngine::Kv)
        .describe(&id(key))
        .await;
    format!("kv1/secretum-kms/{key}/{}", info.unwrap().version)
}

#[tokio::test]
async fn a_damaged_newer_or_deleted_record_is_told() {
    let Some(server) = bao::start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Kv), &["k", "other"]).await;
    let made = encrypt(&server.kms(RustyVaultEngine::Kv), "k").await;
    let path = record(&server, "k").await;
    let whole = server.read(&path).await["data"].clone();
    let planted = whole["key"].as_str().unwrap().to_owned();
    let others = server.read(&record(&server, "other").await).await["data"].clone();
    let mut newer = whole.clone();
    newer["format"] = json!("2");
    let mut cut = whole.clone();
    cut["key"] = json!(&planted[..20]);
    for (broken, wanted) in [
        (newer, "newer format"),
        (cut, "it is damaged"),
        (others, "that of another key"),
        (json!({ "a": "b" }), "it is damaged"),
    ] {
        server.write(&path, broken).await;
        let kms = server.kms(RustyVaultEngine::Kv);
        for refused in [
            kms.decrypt(&made, &context("a=1")).await.map(drop),
            kms.encrypt(&id("k"), b"x", &context("")).await.map(drop),
            kms.key_info(&id("k")).await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), "key_record", "{refused}");
            let told = format!("{refused} {refused:?}");
            assert!(told.contains(wanted), "{told}");
            assert!(!told.contains(&planted[..20]), "{told}");
            assert!(!refused.is_transient() && !refused.is_service_fault());
        }
    }
    server.write(&path, whole).await;
    opens(&server.kms(RustyVaultEngine::Kv), &made).await;
    server.client().delete(&path).await.unwrap();
    let kms = server.kms(RustyVaultEngine::Kv);
    let refused = kms.decrypt(&made, &context("a=1")).await.unwrap_err();
    assert!(
        matches!(refused, KmsError::KeyVersionNotFound { .. }),
        "{refused}"
    );
    let refused = kms.encrypt(&id("k"), b"x", &context("")).await.unwrap_err();
    assert!(matches!(refused, KmsError::KeyNotFound { .. }), "{refused}");
}

#[tokio::test]
async fn a_key_is_remembered_for_its_time_and_no_longer() {
    let Some(server) = bao::start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Kv), &["k"]).await;
    let brief = server.with(token(ROOT), |keys| {
        keys.engine = RustyVaultEngine::Kv;
        keys.refresh = Duration::from_millis(300);
    });
    let (brief, long) = (
        ProviderKms::new(Arc::new(brief)),
        server.kms(RustyVaultEngine::Kv),
    );
    let made = [encrypt(&brief, "k").await, encrypt(&long, "k").await];
    let rotated = server.provider(RustyVaultEngine::Kv).rotate(&id("k")).await;
    let rotated = rotated.unwrap().version;
    let deadline = Moment::now() + Duration::from_secs(10);
    while *encrypt(&brief, "k").await.key_version() != rotated {
        assert!(Moment::now() < deadline, "the rotation is not seen");
    }
    assert_eq!(
        encrypt(&long, "k").await.key_version(),
        made[0].key_version()
    );
    // Whoever did not see the rotation opens what was encrypted after it.
    opens(&long, &encrypt(&brief, "k").await).await;
    // A server that is gone is missed after that time only.
    drop(server);
    opens(&long, &made[1]).await;
    let deadline = Moment::now() + Duration::from_secs(10);
    while let Ok(opened) = brief.decrypt(&made[0], &context("a=1")).await {
        assert_eq!(opened.expose(), b"plaintext");
        assert!(Moment::now() < deadline, "the key is remembered for ever");
    }
}

#[tokio::test]
async fn versions_have_their_limit() {
    let Some(server) = bao::start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Kv), &["k"]).await;
    for number in 1..VERSIONS_MAX - 1 {
        let path = format!("kv1/secretum-kms/k/1-{number:032x}");
        server.write(&path, json!({ "format": "1" })).await;
    }
    let kms = server.kms(RustyVaultEngine::Kv);
    kms.rotate_key(&id("k")).await.unwrap();
    let refused = kms.rotate_key(&id("k")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Refused { .. }), "{refused}");
    assert!(
        refused.to_string().contains("has 1000 versions"),
        "{refused}"
    );
}

/// What is no version of ours, or a folder, is left alone.
#[tokio::test]
async fn what_is_no_version_is_left_alone() {
    let Some(server) = bao::start().await else {
        return;
    };
    make(&server.provider(RustyVaultEngine::Kv), &["k"]).await;
    for name in ["notes", "9-xyz", "9-0", "folder/entry"] {
        let path = format!("kv1/secretum-kms/k/{name}");
        server.write(&path, json!({ "a": "b" })).await;
    }
    let kms = server.kms(RustyVaultEngine::Kv);
    let made = encrypt(&kms, "k").await;
    assert!(made.key_version().as_str().starts_with("1-"));
    let path = "kv1/secretum-kms/loose";
    server.write(path, json!({ "a": "b" })).await;
    let listed = kms.list_keys(None, 10).await.unwrap();
    assert_eq!(listed.keys, [id("k")]);
    let mut other = made.wrapped().clone();
    other.version = KeyVersion::new("2-1").unwrap();
    let other = Ciphertext::native(NAME, other).unwrap();
    let refused = kms.decrypt(&other, &context("a=1")).await;
    assert!(matches!(refused, Err(KmsError::KeyVersionNotFound { .. })));
}
