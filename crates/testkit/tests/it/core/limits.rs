//! What callers may have kept is limited: each limit at its edge.

use crate::support::vault::Vault;
use secretum_engine::Fault;
use serde_json::{Map, Value, json};

/// Whether a token of these settings is made; one that is made can be used.
async fn is_made(vault: &Vault, settings: Value) -> bool {
    match vault.write("auth/token/create", settings).await {
        Ok(made) => {
            let body = json!({"token": made.auth.unwrap().client_token});
            vault.write("auth/token/lookup", body).await.unwrap();
            true
        }
        Err(Fault::Invalid(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Metadata of so many pairs, each of so many bytes.
fn meta(pairs: usize, key_bytes: usize, value_bytes: usize) -> Value {
    let pair = |n: usize| {
        let key = format!("{n:0>key_bytes$}");
        (key, Value::from("v".repeat(value_bytes)))
    };
    Value::Object((0..pairs).map(pair).collect::<Map<_, _>>())
}

#[tokio::test]
async fn paths_of_capabilities() {
    let vault = Vault::open().await;
    for (count, fits) in [(500, true), (501, false)] {
        let paths: Vec<String> = (0..count).map(|n| format!("secret/{n}")).collect();
        let told = vault
            .write("sys/capabilities-self", json!({ "paths": paths }))
            .await;
        assert_eq!(told.is_ok(), fits, "{count}");
        assert!(fits || matches!(told, Err(Fault::Invalid(_))));
    }
}

#[tokio::test]
async fn metadata_of_tokens() {
    let vault = Vault::open().await;
    for (meta, fits) in [
        (meta(64, 4, 4), true),
        (meta(65, 4, 4), false),
        (meta(1, 128, 4), true),
        (meta(1, 129, 4), false),
        (meta(1, 4, 512), true),
        (meta(1, 4, 513), false),
        // 8 KiB in all.
        (meta(16, 100, 412), true),
        (meta(16, 101, 412), false),
    ] {
        for name in ["meta", "metadata"] {
            let settings = json!({"policies": "default", name: meta});
            assert_eq!(is_made(&vault, settings).await, fits, "{name} {meta:.80}");
        }
    }
}

#[tokio::test]
async fn policies_of_tokens() {
    let vault = Vault::open().await;
    let names = |count: usize, bytes: usize| -> Vec<String> {
        (0..count).map(|n| format!("{n:0>bytes$}")).collect()
    };
    for (policies, fits) in [
        (names(256, 4), true),
        (names(257, 4), false),
        (names(1, 512), true),
        (names(1, 513), false),
        (names(16, 512), true),
        (names(17, 512), false),
    ] {
        let settings = json!({"policies": policies, "no_default_policy": true});
        assert_eq!(is_made(&vault, settings).await, fits, "{}", policies.len());
    }
    // The default policy counts, too.
    assert!(is_made(&vault, json!({"policies": names(255, 4)})).await);
    assert!(!is_made(&vault, json!({"policies": names(256, 4)})).await);
}

#[tokio::test]
async fn names_and_texts_of_tokens() {
    let vault = Vault::open().await;
    let display = |bytes: usize| json!({"policies": "default", "display_name": "n".repeat(bytes)});
    // `token-` stands before it.
    assert!(is_made(&vault, display(250)).await);
    assert!(!is_made(&vault, display(251)).await);
    let id = |text: String| json!({"policies": "default", "id": text});
    assert!(is_made(&vault, id("i".repeat(512))).await);
    assert!(!is_made(&vault, id("i".repeat(513))).await);
    assert!(!is_made(&vault, id("new\nline".to_owned())).await);
}

#[tokio::test]
async fn lives_of_tokens() {
    const YEARS: u64 = 100 * 365 * 24 * 3_600;
    let vault = Vault::open().await;
    for name in ["ttl", "lease", "explicit_max_ttl", "period"] {
        for (seconds, fits) in [(YEARS, true), (YEARS + 1, false), (u64::MAX, false)] {
            let settings = json!({"policies": "default", name: seconds});
            assert_eq!(is_made(&vault, settings).await, fits, "{name} {seconds}");
        }
    }
    let settings = json!({"policies": "default", "explicit_max_ttl": YEARS, "period": YEARS});
    let token = vault.token_of(&vault.root, settings).await.client_token;
    let body = json!({"token": token, "increment": u64::MAX});
    vault.write("auth/token/renew", body).await.unwrap();
    for name in ["default_lease_ttl", "max_lease_ttl"] {
        for (seconds, fits) in [(YEARS, true), (YEARS + 1, false)] {
            let tuned = vault
                .write("sys/auth/token/tune", json!({name: seconds}))
                .await;
            assert_eq!(tuned.is_ok(), fits, "{name} {seconds}: {tuned:?}");
            let tune = json!({"default_lease_ttl": 0, "max_lease_ttl": 0});
            vault.write("sys/auth/token/tune", tune).await.unwrap();
        }
    }
    // The longest life that can be had can be told, and renewed.
    let tune = json!({"max_lease_ttl": YEARS});
    vault.write("sys/auth/token/tune", tune).await.unwrap();
    let token = vault
        .token_of(&vault.root, json!({"policies": "default", "ttl": YEARS}))
        .await;
    assert_eq!(token.lease_duration, YEARS);
    let facts = vault
        .write("auth/token/lookup", json!({"token": token.client_token}))
        .await;
    assert_eq!(facts.unwrap().data["ttl"], YEARS);
}

/// Whether these settings are taken, at enabling and at tuning.
async fn fit(vault: &Vault, settings: Value) -> bool {
    let enable = json!({"type": "kv", "config": settings});
    let enabled = vault.write("sys/mounts/limited", enable).await;
    let tuned = vault
        .write("sys/mounts/secret/tune", settings.clone())
        .await;
    assert_eq!(enabled.is_ok(), tuned.is_ok(), "{enabled:?} {tuned:?}");
    for answer in [&enabled, &tuned] {
        assert!(
            matches!(answer, Ok(_) | Err(Fault::Invalid(_))),
            "{answer:?}"
        );
    }
    if enabled.is_ok() {
        let gone = vault.ask(secretum_engine::Verb::Delete, "sys/mounts/limited");
        gone.await.unwrap();
    }
    enabled.is_ok()
}

#[tokio::test]
async fn settings_of_mounts() {
    let vault = Vault::open().await;
    let text = |bytes: usize| "t".repeat(bytes);
    assert!(fit(&vault, json!({"description": text(4_096)})).await);
    assert!(!fit(&vault, json!({"description": text(4_097)})).await);
    for list in ["audit_non_hmac_request_keys", "allowed_response_headers"] {
        assert!(fit(&vault, json!({list: vec![text(256); 256]})).await);
        assert!(!fit(&vault, json!({list: vec!["t"; 257]})).await);
        assert!(!fit(&vault, json!({list: [text(257)]})).await);
    }
    let body = |bytes: usize| json!({"type": "kv", "description": text(bytes)});
    assert!(vault.write("sys/mounts/plain", body(4_097)).await.is_err());
    vault.enable("plain", body(4_096)).await;
}

#[tokio::test]
async fn options_of_mounts_and_audit_devices() {
    let vault = Vault::open().await;
    let options = |more: usize| {
        let mut options = meta(more, 3, 1);
        options["version"] = "2".into();
        options
    };
    // Which options an engine takes is its own affair: the limit comes first.
    for (body, text) in [
        (
            json!({"type": "kv", "options": options(64)}),
            "at most 64 `options`",
        ),
        (
            json!({"type": "kv", "options": {"n".repeat(129): "v"}}),
            "at most 128 bytes",
        ),
        (
            json!({"type": "kv", "options": {"n": "v".repeat(4_097)}}),
            "at most 4096 bytes",
        ),
    ] {
        let refused = vault.write("sys/mounts/kv", body).await.unwrap_err();
        assert!(refused.to_string().contains(text), "{refused}");
    }
    for (name, value, text) in [
        (
            "description",
            json!("d".repeat(4_097)),
            "`description` has at most",
        ),
        ("options", meta(65, 3, 1), "at most 64 `options`"),
    ] {
        let body = json!({"type": "file", name: value});
        let refused = vault.write("sys/audit/file", body).await.unwrap_err();
        assert!(refused.to_string().contains(text), "{refused}");
    }
}
