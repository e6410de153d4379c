//! Quotas: how many requests an address may make, and how many leases a mount may have.

use crate::support::until;
use crate::support::vault::{Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

async fn read_from(vault: &Vault, address: [u8; 4], path: &str) -> Result<Value, Fault> {
    let mut asked = ask(Verb::Read, path).token(&vault.root);
    asked.request.remote_address = Some(IpAddr::from(address));
    Ok(asked.of(&vault.core).await?.data)
}

fn is_refused<T: std::fmt::Debug>(answer: &Result<T, Fault>) -> bool {
    matches!(answer, Err(Fault::TooMany { .. }))
}

const ONE: [u8; 4] = [192, 0, 2, 1];
const OTHER: [u8; 4] = [192, 0, 2, 2];

#[tokio::test]
async fn a_rate_limit_holds_for_each_address_and_only_where_it_is_of() {
    let vault = Vault::open().await;
    vault
        .write("secret/data/a", json!({"data": {"x": 1}}))
        .await
        .unwrap();
    let body = json!({"rate": 3, "interval": "1m", "path": "secret/"});
    vault
        .write("sys/quotas/rate-limit/few", body)
        .await
        .unwrap();
    for _ in 0..3 {
        read_from(&vault, ONE, "secret/data/a").await.unwrap();
    }
    let refused = read_from(&vault, ONE, "secret/data/a").await;
    let Err(Fault::TooMany { facts, .. }) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((facts.limit, facts.wait_seconds), (3, 20));
    read_from(&vault, OTHER, "secret/data/a").await.unwrap();
    read_from(&vault, ONE, "sys/mounts").await.unwrap();
    vault.clock.advance(Duration::from_secs(20));
    read_from(&vault, ONE, "secret/data/a").await.unwrap();
    // Nothing that was used comes back with what does not change it, and all with what does.
    assert!(is_refused(&read_from(&vault, ONE, "secret/data/a").await));
    vault
        .write("sys/quotas/rate-limit/other", json!({"rate": 1_000}))
        .await
        .unwrap();
    assert!(is_refused(&read_from(&vault, ONE, "secret/data/a").await));
    let body = json!({"rate": 4, "interval": "1m", "path": "secret/"});
    vault
        .write("sys/quotas/rate-limit/few", body)
        .await
        .unwrap();
    read_from(&vault, ONE, "secret/data/a").await.unwrap();
    vault
        .ask(Verb::Delete, "sys/quotas/rate-limit/few")
        .await
        .unwrap();
    for _ in 0..10 {
        read_from(&vault, ONE, "secret/data/a").await.unwrap();
    }
}

#[tokio::test]
async fn the_narrowest_quota_holds() {
    let vault = Vault::open().await;
    for path in ["a", "deep/b"] {
        let body = json!({"data": {"x": 1}});
        vault
            .write(&format!("secret/data/{path}"), body)
            .await
            .unwrap();
    }
    for (name, path, rate) in [
        ("mount", "secret/", 2),
        ("below", "secret/data/deep*", 4),
        ("all", "", 6),
    ] {
        let body = json!({"rate": rate, "interval": 3_600, "path": path});
        vault
            .write(&format!("sys/quotas/rate-limit/{name}"), body)
            .await
            .unwrap();
    }
    let count = async |path: &str| {
        let mut passed = 0;
        while read_from(&vault, ONE, path).await.is_ok() {
            passed += 1;
        }
        passed
    };
    assert_eq!(count("secret/data/a").await, 2);
    assert_eq!(count("secret/data/deep/b").await, 4);
    assert_eq!(count("sys/mounts").await, 6);
    // Who could not use these could not mend a vault.
    for _ in 0..10 {
        read_from(&vault, ONE, "sys/seal-status").await.unwrap();
    }
    let exempt = json!({"rate_limit_exempt_paths": "sys/mounts"});
    vault.write("sys/quotas/config", exempt).await.unwrap();
    read_from(&vault, ONE, "sys/mounts").await.unwrap();
}

#[tokio::test]
async fn wrong_quotas_are_refused() {
    let vault = Vault::open().await;
    for (path, body, told) in [
        ("rate-limit/a", json!({}), "'rate' is invalid"),
        ("rate-limit/a", json!({"rate": -1}), "'rate' is invalid"),
        (
            "rate-limit/a",
            json!({"rate": 1, "path": "nowhere/"}),
            "invalid mount path",
        ),
        (
            "rate-limit/a",
            json!({"rate": 1, "role": "r"}),
            "leave `role` out",
        ),
        ("rate-limit/a%", json!({"rate": 1}), "the name of a quota"),
        ("lease-count/a", json!({}), "'max_leases' is invalid"),
    ] {
        let refused = vault
            .write(&format!("sys/quotas/{path}"), body)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
    }
    let body = json!({"rate": 1_000, "path": "secret"});
    vault
        .write("sys/quotas/rate-limit/a", body.clone())
        .await
        .unwrap();
    let refused = vault
        .write("sys/quotas/rate-limit/b", body)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("similar properties"),
        "{refused}"
    );
    let found = vault.read("sys/quotas/rate-limit/a").await.unwrap().data;
    assert_eq!(found["path"], "secret/");
    assert_eq!(
        (&found["interval"], &found["inheritable"]),
        (&json!(1), &json!(false))
    );
    assert!(matches!(
        vault.read("sys/quotas/rate-limit/b").await,
        Err(Fault::NotFound)
    ));
    let listed = vault
        .ask(Verb::List, "sys/quotas/rate-limit")
        .await
        .unwrap();
    assert_eq!(listed.data["keys"], json!(["a"]));
}

async fn counter(vault: &Vault, name: &str) -> Value {
    let path = format!("sys/quotas/lease-count/{name}");
    vault.read(&path).await.unwrap().data["counter"].clone()
}

#[tokio::test]
async fn leases_that_were_there_count_and_those_that_end_do_not() {
    let vault = Vault::open().await;
    let options = json!({"type": "lender", "options": {"world": "quota"}});
    vault.enable("lender", options).await;
    for _ in 0..2 {
        vault.write("lender/creds/a", json!({})).await.unwrap();
    }
    let body = json!({"max_leases": 3, "path": "lender"});
    vault
        .write("sys/quotas/lease-count/few", body)
        .await
        .unwrap();
    until("they are counted", async || {
        counter(&vault, "few").await == 2
    })
    .await;
    let lease = vault
        .write("lender/creds/a", json!({}))
        .await
        .unwrap()
        .lease
        .unwrap();
    let refused = vault.write("lender/creds/a", json!({})).await;
    assert!(matches!(refused, Err(Fault::TooManyLeases)), "{refused:?}");
    assert_eq!(
        crate::support::lender::World::of("quota").lent(),
        3,
        "none without a lease"
    );
    vault
        .write("sys/leases/revoke", json!({"lease_id": lease.id}))
        .await
        .unwrap();
    assert_eq!(counter(&vault, "few").await, 2);
    vault.write("lender/creds/a", json!({})).await.unwrap();
    // After a start they are counted again.
    vault.core.seal().await;
    vault.unseal().await;
    until("they are counted again", async || {
        counter(&vault, "few").await == 3
    })
    .await;
    let refused = vault.write("lender/creds/a", json!({})).await;
    assert!(matches!(refused, Err(Fault::TooManyLeases)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_as_many_get_a_lease_as_there_is_room() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(10);
    let body = json!({"max_leases": 20, "path": "auth/token"});
    vault
        .write("sys/quotas/lease-count/few", body)
        .await
        .unwrap();
    until("they are counted", async || {
        counter(&vault, "few").await == 0
    })
    .await;
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let vault = Arc::clone(&vault);
        let body = json!({"ttl": 600});
        asking.spawn(async move { vault.write("auth/token/create", body).await.is_ok() });
    }
    let mut made = 0;
    while let Some(joined) = asking.join_next().await {
        made += usize::from(joined.unwrap());
    }
    assert_eq!(made, 20);
    assert_eq!(counter(&vault, "few").await, 20);
}
