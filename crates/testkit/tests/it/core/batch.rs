//! Batch tokens: what they can do, and when they end.

use crate::support::vault::{MAX_TTL, Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::time::Duration;

fn settings(more: Value) -> Value {
    let mut settings = json!({"type": "batch", "policies": "default", "ttl": "60s"});
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    settings
}

fn told(refused: Result<crate::support::vault::Answer, Fault>) -> String {
    refused.unwrap_err().to_string()
}

#[tokio::test]
async fn a_batch_token_is_kept_nowhere_and_ends_at_its_second() {
    let vault = Vault::open().await;
    let before = vault.storage.keys("sys/").await;
    let token = vault.token_of(&vault.root, settings(json!({}))).await;
    assert_eq!(vault.storage.keys("sys/").await, before);
    assert!(token.client_token.starts_with("hvb."));
    assert_eq!(
        (token.accessor.as_str(), token.token_type.as_str()),
        ("", "batch")
    );
    assert!(!token.renewable && !token.orphan);
    let facts = vault
        .ask_as(&token.client_token, Verb::Read, "auth/token/lookup-self")
        .await
        .unwrap()
        .data;
    assert_eq!(facts["type"], "batch");
    assert_eq!(facts["ttl"], 60);
    assert_eq!(facts["policies"], json!(["default"]));
    vault.clock.advance(Duration::from_secs(59));
    assert!(vault.lives(&token.client_token).await);
    vault.clock.advance(Duration::from_secs(1));
    assert!(!vault.lives(&token.client_token).await);
    let endless = vault
        .token_of(&vault.root, settings(json!({"ttl": "9999h"})))
        .await;
    assert_eq!(endless.lease_duration, MAX_TTL);
}

#[tokio::test]
async fn a_batch_token_ends_with_its_parent_unless_it_has_none() {
    let vault = Vault::open().await;
    let parent = vault
        .token_of(&vault.root, json!({"policies": "root"}))
        .await;
    let child = vault
        .token_of(&parent.client_token, settings(json!({})))
        .await;
    let orphan = vault
        .token_of(&parent.client_token, settings(json!({"no_parent": true})))
        .await;
    assert!(vault.lives(&child.client_token).await);
    let body = json!({"token": parent.client_token});
    vault.write("auth/token/revoke", body).await.unwrap();
    assert!(!vault.lives(&child.client_token).await);
    assert!(vault.lives(&orphan.client_token).await);
}

#[tokio::test]
async fn a_batch_token_outlives_a_seal_and_is_of_one_vault() {
    let (vault, other) = (Vault::open().await, Vault::open().await);
    let token = vault.token_of(&vault.root, settings(json!({}))).await;
    vault.write("sys/seal", json!({})).await.unwrap();
    vault.unseal().await;
    assert!(vault.lives(&token.client_token).await);
    assert!(!other.lives(&token.client_token).await);
    let text = token.client_token;
    for at in (4..text.len()).step_by(7) {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(!vault.lives(&String::from_utf8(changed).unwrap()).await);
        assert!(!vault.lives(&text[..at]).await);
    }
}

#[tokio::test]
async fn what_needs_a_record_is_refused() {
    let vault = Vault::open().await;
    let batch = vault.token_of(&vault.root, settings(json!({}))).await;
    let token = batch.client_token.as_str();
    let write = async |path: &str, body: Value| vault.write(path, body).await;
    let as_batch = async |path: &str, body: Value| vault.write_as(token, path, body).await;
    vault
        .policy(
            "any",
            r#"path "*" { capabilities = ["create", "update", "read", "delete", "sudo"] }"#,
        )
        .await;
    for (refused, text) in [
        (
            write("auth/token/renew", json!({"token": token})).await,
            "cannot be renewed",
        ),
        (
            write("auth/token/revoke", json!({"token": token})).await,
            "cannot be revoked",
        ),
        (
            as_batch("auth/token/revoke-self", json!({})).await,
            "cannot be revoked",
        ),
        (
            as_batch("cubbyhole/a", json!({"x": "y"})).await,
            "only supported by service tokens",
        ),
    ] {
        let told = told(refused);
        assert!(told.contains(text), "{told}");
    }
    let maker = vault
        .token_of(
            &vault.root,
            json!({"type": "batch", "policies": "any", "ttl": "1h"}),
        )
        .await;
    let child = vault
        .write_as(&maker.client_token, "auth/token/create", json!({}))
        .await;
    assert!(told(child).contains("cannot create more tokens"));
    for (setting, value) in [
        ("num_uses", json!(3)),
        ("period", json!("1h")),
        ("explicit_max_ttl", json!("1h")),
        ("id", json!("mine")),
        ("policies", json!("root")),
        (
            "meta",
            json!(
                (0..60)
                    .map(|at| (at.to_string(), "x".repeat(400)))
                    .collect::<std::collections::BTreeMap<_, _>>()
            ),
        ),
    ] {
        let refused = write("auth/token/create", settings(json!({setting: value}))).await;
        assert!(matches!(refused, Err(Fault::Invalid(_))), "{setting}");
    }
}

#[tokio::test]
async fn a_role_decides_what_its_tokens_carry() {
    let vault = Vault::open().await;
    let role = json!({
        "allowed_policies": "dev,test", "allowed_policies_glob": ["app-*"],
        "token_period": "10m", "token_explicit_max_ttl": "20m", "token_num_uses": 5,
        "orphan": true, "path_suffix": "suffix",
        "token_bound_cidrs": ["10.0.0.0/8", "127.0.0.1"],
    });
    vault.write("auth/token/roles/r", role).await.unwrap();
    let read = vault.read("auth/token/roles/r").await.unwrap().data;
    assert_eq!(read["token_period"], 600);
    assert_eq!(
        read["token_bound_cidrs"],
        json!(["10.0.0.0/8", "127.0.0.1"])
    );
    assert_eq!(read["token_type"], "default-service");
    let made = vault
        .write(
            "auth/token/create/r",
            json!({"policies": "dev", "explicit_max_ttl": "1h"}),
        )
        .await
        .unwrap();
    let auth = made.auth.unwrap();
    assert_eq!(auth.policies, ["default", "dev"]);
    assert_eq!(
        (auth.num_uses, auth.lease_duration, auth.orphan),
        (5, 600, true)
    );
    let facts = vault
        .write("auth/token/lookup", json!({"token": auth.client_token}))
        .await
        .unwrap()
        .data;
    assert_eq!(facts["path"], "auth/token/create/r/suffix");
    assert_eq!(facts["role"], "r");
    assert_eq!(facts["explicit_max_ttl"], 1_200);
    for policies in ["prod", "root", "dev,prod"] {
        let refused = vault
            .write("auth/token/create/r", json!({"policies": policies}))
            .await;
        assert!(matches!(refused, Err(Fault::Invalid(_))), "{policies}");
    }
    assert!(
        vault
            .write("auth/token/create/none", json!({}))
            .await
            .is_err()
    );
    // What is not named stays.
    vault
        .write("auth/token/roles/r", json!({"orphan": false}))
        .await
        .unwrap();
    let read = vault.read("auth/token/roles/r").await.unwrap().data;
    assert_eq!(
        (&read["orphan"], &read["token_num_uses"]),
        (&json!(false), &json!(5))
    );
    let listed = vault
        .ask(Verb::List, "auth/token/roles")
        .await
        .unwrap()
        .data;
    assert_eq!(listed["keys"], json!(["r"]));
    vault.ask(Verb::Delete, "auth/token/roles/r").await.unwrap();
    let gone = vault.ask(Verb::List, "auth/token/roles").await;
    assert!(matches!(gone, Err(Fault::NotFound)));
}

#[tokio::test]
async fn a_bound_token_is_refused_from_elsewhere_and_loses_no_use() {
    let vault = Vault::open().await;
    let role = json!({"token_bound_cidrs": "10.0.0.0/8", "token_num_uses": 1});
    vault.write("auth/token/roles/near", role).await.unwrap();
    let made = vault
        .write("auth/token/create/near", json!({}))
        .await
        .unwrap();
    let token = made.auth.unwrap().client_token;
    let from = async |address: Option<&str>| {
        let mut ask = ask(Verb::Read, "auth/token/lookup-self").token(&token);
        ask.request.remote_address = address.map(|address| address.parse().unwrap());
        ask.of(&vault.core).await
    };
    for address in [None, Some("11.0.0.1"), Some("::1")] {
        assert!(
            matches!(from(address).await, Err(Fault::Denied)),
            "{address:?}"
        );
    }
    assert!(from(Some("::ffff:10.1.2.3")).await.is_ok());
    assert!(from(Some("10.1.2.3")).await.is_err());
    for cidrs in ["10.0.0.0/40", "nowhere"] {
        let body = json!({"token_bound_cidrs": cidrs});
        let refused = vault.write("auth/token/roles/odd", body).await;
        assert!(told(refused).contains(cidrs));
    }
}

#[tokio::test]
async fn the_role_says_which_kind() {
    let vault = Vault::open().await;
    for (kind, asked, expected) in [
        ("default-service", "", "service"),
        ("default-service", "batch", "batch"),
        ("default-batch", "", "batch"),
        ("default-batch", "service", "service"),
        ("service", "batch", "service"),
        ("batch", "service", "batch"),
    ] {
        let role = json!({"token_type": kind, "renewable": false, "orphan": true,
            "allowed_policies": "dev"});
        vault.write("auth/token/roles/r", role).await.unwrap();
        let made = vault
            .write("auth/token/create/r", json!({"type": asked}))
            .await
            .unwrap();
        assert_eq!(made.auth.unwrap().token_type, expected, "{kind} {asked}");
    }
    let refused = vault
        .write(
            "auth/token/roles/r",
            json!({"token_type": "batch", "token_num_uses": 3}),
        )
        .await;
    assert!(told(refused).contains("token_num_uses"));
    let refused = vault
        .write("auth/token/roles/r", json!({"token_type": "other"}))
        .await;
    assert!(matches!(refused, Err(Fault::Invalid(_))));
}

#[tokio::test]
async fn a_role_of_batch_tokens_makes_orphans_that_are_not_renewed() {
    let vault = Vault::open().await;
    for (role, word) in [
        (
            json!({"token_type": "batch", "renewable": false}),
            "`orphan`",
        ),
        (
            json!({"token_type": "batch", "renewable": false, "orphan": false}),
            "`orphan`",
        ),
        (
            json!({"token_type": "batch", "orphan": true}),
            "`renewable`",
        ),
    ] {
        let refused = vault.write("auth/token/roles/r", role).await;
        assert!(told(refused).contains(word));
    }
    let role = json!({"token_type": "default-batch", "orphan": false});
    vault.write("auth/token/roles/r", role).await.unwrap();
    // What is there counts as well as what is named.
    let turned = vault.write("auth/token/roles/r", json!({"token_type": "batch"}));
    assert!(told(turned.await).contains("`orphan`"));
}

#[tokio::test]
async fn the_older_name_of_bound_addresses_is_read_where_it_was_written() {
    let vault = Vault::open().await;
    let path = "auth/token/roles/r";
    for (role, older, warnings) in [
        (
            json!({"bound_cidrs": "10.0.0.0/8"}),
            json!(["10.0.0.0/8"]),
            0,
        ),
        (json!({"orphan": true}), json!(["10.0.0.0/8"]), 0),
        (json!({"token_bound_cidrs": "10.0.0.0/8"}), json!(null), 0),
        (
            json!({"token_bound_cidrs": "10.0.0.0/8", "bound_cidrs": "11.0.0.0/8"}),
            json!(null),
            1,
        ),
    ] {
        let written = vault.write(path, role.clone()).await.unwrap();
        assert_eq!(written.warnings.len(), warnings, "{role}");
        let facts = vault.read(path).await.unwrap().data;
        assert_eq!(facts["token_bound_cidrs"], json!(["10.0.0.0/8"]), "{role}");
        assert_eq!(facts["bound_cidrs"], older, "{role}");
    }
}
