//! What engines are called for at a time: secrets with a time to live.

use crate::support::until;
use crate::support::vault::Vault;
use secretum_crypto::sha256;
use secretum_engine::Verb;
use serde_json::{Value, json};
use std::time::Duration;

const TIMERS: &str = "sys/timer/";

fn short() -> Value {
    json!({"data": {"k": 1}, "options": {"ttl": "60s"}})
}

async fn timers(vault: &Vault) -> usize {
    vault.storage.keys(TIMERS).await.len()
}

#[tokio::test]
async fn a_secret_is_removed_with_its_timer_when_its_time_is_over() {
    let vault = Vault::open().await;
    let before = vault.storage.keys("mount/").await;
    vault.write("secret/data/a", short()).await.unwrap();
    assert_eq!(timers(&vault).await, 1);
    vault.clock.advance(Duration::from_secs(59));
    assert_eq!(
        vault.read("secret/data/a").await.unwrap().data["data"]["k"],
        1
    );
    vault.clock.advance(Duration::from_secs(1));
    // At once, whether or not the janitor was there.
    let gone = vault.read("secret/data/a").await;
    assert!(gone.is_err() || gone.unwrap().data["data"].is_null());
    until("the timer is gone", async || timers(&vault).await == 0).await;
    assert_eq!(vault.storage.keys("mount/").await, before);
    assert!(vault.read("secret/metadata/a").await.is_err());
}

#[tokio::test]
async fn what_is_written_over_or_removed_leaves_no_timer() {
    let vault = Vault::open().await;
    for minutes in 1..15 {
        let body = json!({"data": {"k": 1}, "options": {"ttl": format!("{minutes}m")}});
        vault.write("secret/data/a", body).await.unwrap();
        assert_eq!(timers(&vault).await, 1);
    }
    let body = json!({"source": "a"});
    vault.write("secret/copy/b", body.clone()).await.unwrap();
    assert_eq!(timers(&vault).await, 2);
    vault.write("secret/move/c", body).await.unwrap();
    assert_eq!(timers(&vault).await, 2);
    for path in ["b", "c"] {
        let path = format!("secret/metadata/{path}");
        vault.ask(Verb::Delete, &path).await.unwrap();
    }
    assert_eq!(timers(&vault).await, 0);
}

#[tokio::test]
async fn timers_outlive_a_restart_and_a_move_of_the_mount() {
    let vault = Vault::open().await;
    vault.write("secret/data/a", short()).await.unwrap();
    let body = json!({"from": "secret", "to": "other"});
    vault.write("sys/remount", body).await.unwrap();
    until("the mount moved", async || {
        vault.read("other/data/a").await.is_ok()
    })
    .await;
    let image = vault.storage.image().await;
    vault.clock.advance(Duration::from_secs(3_600));
    let restarted = Vault::on(image, &vault);
    restarted.unseal().await;
    until("the timer is gone", async || timers(&restarted).await == 0).await;
    assert!(restarted.read("other/metadata/a").await.is_err());
}

#[tokio::test]
async fn the_timers_of_a_mount_that_is_gone_do_nothing() {
    let vault = Vault::open().await;
    vault.write("secret/data/a", short()).await.unwrap();
    vault.ask(Verb::Delete, "sys/mounts/secret").await.unwrap();
    vault.clock.advance(Duration::from_secs(60));
    until("the timer is gone", async || timers(&vault).await == 0).await;
}

#[tokio::test]
async fn a_thousand_and_more_are_served_and_those_to_come_stay() {
    let vault = Vault::open().await;
    for number in 0..1_200 {
        let path = format!("secret/data/{number}");
        vault.write(&path, short()).await.unwrap();
    }
    let late = json!({"data": {"k": 1}, "options": {"ttl": "2m"}});
    vault.write("secret/data/late", late).await.unwrap();
    vault.clock.advance(Duration::from_secs(60));
    until("what is due is gone", async || timers(&vault).await == 1).await;
    let left = vault.ask(Verb::List, "secret/metadata/").await.unwrap();
    assert_eq!(left.data["keys"], json!(["late"]));
}

#[tokio::test]
async fn one_that_cannot_be_read_holds_up_no_other() {
    let vault = Vault::open().await;
    vault.write("secret/data/a", short()).await.unwrap();
    let keys = vault.storage.keys(TIMERS).await;
    // Ciphertext of nobody: the barrier refuses it.
    vault.storage.overwrite(&keys[0], b"damaged").await;
    vault.clock.advance(Duration::from_secs(1));
    vault.write("secret/data/b", short()).await.unwrap();
    vault.clock.advance(Duration::from_secs(60));
    until("the other is gone", async || {
        vault.read("secret/metadata/b").await.is_err()
    })
    .await;
    // It stays for an operator to see.
    assert_eq!(timers(&vault).await, 1);
}

#[tokio::test]
async fn a_copy_of_the_storage_confirms_no_guess_of_a_name() {
    let vault = Vault::open().await;
    vault.write("secret/data/guessed", short()).await.unwrap();
    let of_mounts = vault.storage.keys("mount/").await;
    let uuid = of_mounts
        .iter()
        .find_map(|key| key.split('/').nth(1))
        .unwrap();
    let timers = vault.storage.keys(TIMERS).await;
    assert_eq!(timers.len(), 1);
    // All that is below the mount in its own words: whatever the engine calls its timers.
    for name in [
        "guessed",
        "data/guessed",
        "metadata/guessed",
        "secret/guessed",
    ] {
        for guess in [name.to_owned(), format!("{uuid}/{name}")] {
            let digest = hex::encode(sha256(guess.as_bytes()));
            assert!(!timers[0].contains(&digest), "{guess}");
        }
    }
}
