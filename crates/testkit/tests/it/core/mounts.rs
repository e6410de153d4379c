//! Mounts: many of them, races for a path, and what is left of one that is gone.

use crate::support::probe::gate;
use crate::support::until;
use crate::support::vault::Vault;
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

#[tokio::test]
async fn ten_thousand_mounts_are_there_after_an_unseal() {
    const MOUNTS: usize = 10_000;
    let vault = Vault::open().await;
    let before = vault.storage.keys("sys/mount/").await.len();
    for number in 0..MOUNTS {
        let path = format!("many/{}/{number}", number % 100);
        vault.enable(&path, json!({"type": "kv"})).await;
    }
    vault
        .write("many/42/4242/a", json!({"a": 1}))
        .await
        .unwrap();
    vault.core.seal().await;
    let start = Instant::now();
    vault.unseal().await;
    eprintln!("unsealed with {MOUNTS} mounts in {:?}", start.elapsed());
    assert_eq!(
        vault.storage.keys("sys/mount/").await.len(),
        before + MOUNTS
    );
    let read = vault.read("many/42/4242/a").await.unwrap();
    assert_eq!(read.data["a"], 1);
    let missing = vault.read("many/42/4243/a").await;
    assert!(
        matches!(missing, Err(Fault::NotFoundBecause(_))),
        "{missing:?}"
    );
}

#[tokio::test]
async fn nothing_is_left_of_a_mount_that_is_gone() {
    let vault = Vault::open().await;
    let before = vault.storage.keys("").await;
    vault.enable("gone", json!({"type": "kv-v2"})).await;
    for number in 0..600 {
        let path = format!("gone/data/a/{number}");
        let body = json!({"data": {"number": number}});
        vault.write(&path, body).await.unwrap();
    }
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    let read = vault.read("gone/data/a/1").await;
    assert!(matches!(read, Err(Fault::NotFoundBecause(_))));
    // A new mount at the same path begins empty, whatever the janitor still has to do.
    vault.enable("gone", json!({"type": "kv-v2"})).await;
    let listed = vault.ask(Verb::List, "gone/metadata/a").await;
    assert!(matches!(listed, Err(Fault::NotFound)), "{listed:?}");
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    until("the janitor has cleaned up", async || {
        let mut left = vault.storage.keys("").await;
        left.retain(|key| key != "sys/mounts");
        left.len() + 1 == before.len()
    })
    .await;
    assert_eq!(vault.storage.keys("").await, before);
}

#[tokio::test]
async fn a_removal_that_a_seal_cut_off_is_finished() {
    let vault = Vault::open().await;
    vault.enable("gone", json!({"type": "kv"})).await;
    for number in 0..600 {
        let path = format!("gone/{number}");
        vault.write(&path, json!({"a": 1})).await.unwrap();
    }
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    // One batch of the janitor's, and no more.
    vault.storage.fail_commits_after(1);
    until("the janitor has begun", async || {
        vault.storage.keys("mount/").await.len() < 600
    })
    .await;
    vault.core.seal().await;
    assert!(!vault.storage.keys("mount/").await.is_empty());
    vault.storage.heal();
    vault.unseal().await;
    until("the rest is gone", async || {
        vault.storage.keys("mount/").await.is_empty()
            && vault.storage.keys("sys/unmount/").await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn paths_that_overlap_or_are_reserved_are_refused() {
    let vault = Vault::open().await;
    vault.enable("team/a", json!({"type": "kv"})).await;
    for path in [
        "team/a",
        "team/a/",
        "team",
        "team/a/b",
        "secret",
        "secret/x",
        "sys",
        "sys/x",
        "auth",
        "auth/x",
        "cubbyhole",
        "identity/x",
    ] {
        let path = format!("sys/mounts/{path}");
        let enabled = vault.write(&path, json!({"type": "kv"})).await;
        assert!(
            matches!(enabled, Err(Fault::Invalid(_))),
            "{path}: {enabled:?}"
        );
    }
    for path in ["sys/auth/token", "sys/auth/token/x", "sys/auth/x"] {
        let enabled = vault.write(path, json!({"type": "kv"})).await;
        assert!(
            matches!(enabled, Err(Fault::Invalid(_))),
            "{path}: {enabled:?}"
        );
    }
    vault.enable("team/b", json!({"type": "kv"})).await;
    vault.enable("tea", json!({"type": "kv"})).await;
    for path in ["sys/mounts/sys", "sys/auth/token"] {
        let disabled = vault.ask(Verb::Delete, path).await;
        assert!(matches!(disabled, Err(Fault::Invalid(_))), "{path}");
    }
    vault.ask(Verb::Delete, "sys/mounts/nowhere").await.unwrap();
}
