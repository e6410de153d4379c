//! How long tokens live that a tuned `auth/token` issues and renews.

use crate::support::vault::{DEFAULT_TTL, MAX_TTL, Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: u64 = 3_600;

async fn tune(vault: &Vault, default: &str, max: &str) {
    let body = json!({"default_lease_ttl": default, "max_lease_ttl": max});
    vault.write("sys/auth/token/tune", body).await.unwrap();
}

/// The life of a token of these settings, and how many warnings came with it.
async fn made(vault: &Vault, settings: Value) -> (u64, usize, String) {
    let made = vault.write("auth/token/create", settings).await.unwrap();
    let auth = made.auth.unwrap();
    (auth.lease_duration, made.warnings.len(), auth.client_token)
}

async fn renewed(vault: &Vault, token: &str, increment: &str) -> Result<(u64, usize), Fault> {
    let body = json!({"token": token, "increment": increment});
    let answer = vault.write("auth/token/renew", body).await?;
    Ok((answer.auth.unwrap().lease_duration, answer.warnings.len()))
}

#[tokio::test]
async fn the_mounts_own_lives_count() {
    let vault = Vault::open().await;
    tune(&vault, "30m", "10h").await;
    for (settings, given, after_renewal) in [
        (json!({"policies": "default"}), (1_800, 0), 10 * HOUR),
        (
            json!({"policies": "default", "ttl": "100h"}),
            (10 * HOUR, 1),
            10 * HOUR,
        ),
        (
            json!({"policies": "default", "period": "20h"}),
            (10 * HOUR, 1),
            10 * HOUR,
        ),
        (
            json!({"policies": "default", "period": "2h", "ttl": "5m"}),
            (2 * HOUR, 0),
            2 * HOUR,
        ),
        (
            json!({"policies": "default", "explicit_max_ttl": "20h"}),
            (1_800, 0),
            10 * HOUR,
        ),
        (
            json!({"policies": "default", "explicit_max_ttl": "10m"}),
            (600, 1),
            600,
        ),
        (
            json!({"policies": "default", "explicit_max_ttl": "10m", "period": "20h"}),
            (600, 1),
            600,
        ),
        (
            json!({"policies": "root", "ttl": "100h"}),
            (10 * HOUR, 1),
            10 * HOUR,
        ),
        // A root token is bound by an explicit maximum alone, until it is renewed.
        (
            json!({"policies": "root", "explicit_max_ttl": "100h"}),
            (100 * HOUR, 0),
            10 * HOUR,
        ),
    ] {
        let (seconds, warnings, token) = made(&vault, settings.clone()).await;
        assert_eq!((seconds, warnings), given, "{settings}");
        let (seconds, _) = renewed(&vault, &token, "200h").await.unwrap();
        assert_eq!(seconds, after_renewal, "{settings}");
    }
    let (seconds, ..) = made(&vault, json!({"policies": "root"})).await;
    assert_eq!(seconds, 0, "a root token has no end");
}

#[tokio::test]
async fn a_mount_may_allow_more_or_less_than_the_system() {
    let vault = Vault::open().await;
    let asked = json!({"policies": "default", "ttl": "100h"});
    assert_eq!(made(&vault, asked.clone()).await.0, MAX_TTL);
    tune(&vault, "0", "2000h").await;
    assert_eq!(made(&vault, asked.clone()).await.0, 100 * HOUR);
    assert_eq!(
        made(&vault, json!({"policies": "default"})).await.0,
        DEFAULT_TTL
    );
    // A default above the system's maximum is worth no more than that.
    tune(&vault, "1500h", "0").await;
    let (seconds, warnings, _) = made(&vault, json!({"policies": "default"})).await;
    assert_eq!((seconds, warnings), (MAX_TTL, 1));
    tune(&vault, "0", "10m").await;
    let (seconds, warnings, _) = made(&vault, json!({"policies": "default"})).await;
    assert_eq!((seconds, warnings), (600, 1));
    tune(&vault, "0", "0").await;
    assert_eq!(made(&vault, asked).await.0, MAX_TTL);
    let tuned = vault.read("sys/auth/token/tune").await.unwrap().data;
    assert_eq!(tuned["default_lease_ttl"], DEFAULT_TTL);
    assert_eq!(tuned["max_lease_ttl"], MAX_TTL);
}

#[tokio::test]
async fn a_renewal_goes_by_the_mount_as_it_is_now() {
    let vault = Vault::open().await;
    let (_, _, token) = made(&vault, json!({"policies": "default", "ttl": "50m"})).await;
    tune(&vault, "0", "20m").await;
    assert_eq!(renewed(&vault, &token, "").await.unwrap(), (1_200, 1));
    vault.clock.advance(Duration::from_secs(900));
    assert_eq!(renewed(&vault, &token, "10m").await.unwrap(), (300, 1));
    tune(&vault, "0", "15m").await;
    let over = renewed(&vault, &token, "10m").await;
    assert!(matches!(over, Err(Fault::Invalid(_))), "{over:?}");
    assert!(vault.lives(&token).await);
}

#[tokio::test]
async fn a_renewal_that_asks_for_nothing_gets_what_the_last_one_got() {
    let vault = Vault::open().await;
    let (_, _, token) = made(&vault, json!({"policies": "default", "ttl": "1h"})).await;
    assert_eq!(renewed(&vault, &token, "").await.unwrap().0, HOUR);
    assert_eq!(renewed(&vault, &token, "10m").await.unwrap().0, 600);
    vault.clock.advance(Duration::from_secs(60));
    assert_eq!(renewed(&vault, &token, "").await.unwrap().0, 600);
}

#[tokio::test]
async fn a_wrapping_token_lives_as_long_as_it_says() {
    let vault = Vault::open().await;
    tune(&vault, "1m", "2m").await;
    vault
        .write("secret/data/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    let read = ask(Verb::Read, "secret/data/a").token(&vault.root);
    let asked = 2 * MAX_TTL;
    let wrapped = read.wrapped(asked).of(&vault.core).await.unwrap();
    let token = wrapped.wrap_token.unwrap();
    vault.clock.advance(Duration::from_secs(asked - 1));
    let unwrapped = vault
        .write_as(&token, "sys/wrapping/unwrap", json!({}))
        .await;
    assert_eq!(unwrapped.unwrap().data["data"]["a"], 1);
}
