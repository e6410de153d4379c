//! Handlers and commits: races, and what an engine may write.

use crate::support::probe::gate;
use crate::support::vault::Vault;
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_check_and_set_writes_one_wins_each_version() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(20);
    for version in 0..5_u64 {
        let mut writers = JoinSet::new();
        for writer in 0..100 {
            let vault = Arc::clone(&vault);
            let body = json!({"data": {"writer": writer}, "options": {"cas": version}});
            writers.spawn(async move { (writer, vault.write("secret/data/a", body).await) });
        }
        let mut winners = Vec::new();
        while let Some(joined) = writers.join_next().await {
            match joined.unwrap() {
                (writer, Ok(answer)) => {
                    assert_eq!(answer.data["version"], version + 1);
                    winners.push(writer);
                }
                (_, Err(Fault::Invalid(text))) => assert_eq!(
                    text,
                    "check-and-set parameter did not match the current version"
                ),
                (_, Err(other)) => panic!("{other:?}"),
            }
        }
        let [winner] = winners[..] else {
            panic!("version {version}: {winners:?}");
        };
        let stored = vault.read("secret/data/a").await.unwrap();
        assert_eq!(stored.data["data"]["writer"], winner);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_100_plain_writes_every_one_gets_a_version() {
    let vault = Arc::new(Vault::open().await);
    vault
        .write("secret/config", json!({"max_versions": 200}))
        .await
        .unwrap();
    vault.storage.slow_commits(20);
    let mut writers = JoinSet::new();
    for writer in 0..100 {
        let vault = Arc::clone(&vault);
        let body = json!({"data": {"writer": writer}});
        writers.spawn(async move { vault.write("secret/data/a", body).await });
    }
    let mut versions = BTreeSet::new();
    while let Some(joined) = writers.join_next().await {
        versions.insert(joined.unwrap().unwrap().data["version"].as_u64().unwrap());
    }
    assert_eq!(versions, (1..=100).collect());
    let mut seen = BTreeSet::new();
    for version in 1..=100 {
        let read = crate::support::vault::ask(Verb::Read, "secret/data/a")
            .token(&vault.root)
            .query("version", &version.to_string());
        let read = read.of(&vault.core).await.unwrap();
        seen.insert(read.data["data"]["writer"].as_u64().unwrap());
    }
    assert_eq!(seen, (0..100).collect(), "no write replaced another");
}

#[tokio::test]
async fn a_handler_that_lost_its_precondition_runs_again() {
    let vault = Arc::new(Vault::open().await);
    let gate = gate("lost");
    let slow = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move { vault.write("probe/count/lost", json!({"wait": true})).await }
    });
    gate.wait_for(1).await;
    let quick = vault.write("probe/count/lost", json!({})).await.unwrap();
    assert_eq!(quick.data, 1);
    gate.pass.add_permits(2);
    assert_eq!(slow.await.unwrap().unwrap().data, 2);
    assert_eq!(*gate.arrived.borrow(), 2, "it ran twice");
}

#[tokio::test]
async fn a_handler_runs_again_a_bounded_number_of_times() {
    let vault = Vault::open().await;
    let answer = vault.write("probe/hopeless", json!({})).await;
    assert!(matches!(answer, Err(Fault::Unavailable(_))), "{answer:?}");
    let runs = *gate("hopeless").arrived.borrow();
    assert!((2..=64).contains(&runs), "{runs}");
}

#[tokio::test]
async fn an_engine_writes_below_its_own_mount_only() {
    let vault = Vault::open().await;
    let (before, keys) = (vault.storage.commits(), vault.storage.keys("").await);
    let answer = vault.write("probe/stray", json!({})).await;
    assert!(matches!(answer, Err(Fault::Internal(_))), "{answer:?}");
    assert_eq!(vault.storage.commits(), before);
    assert_eq!(vault.storage.keys("").await, keys);
}

#[tokio::test]
async fn a_commit_that_fails_changes_nothing_and_is_told() {
    let vault = Vault::open().await;
    vault
        .write("secret/data/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    vault.storage.fail_commits_after(0);
    let failed = vault
        .write("secret/data/a", json!({"data": {"a": 2}}))
        .await;
    assert!(matches!(failed, Err(Fault::Storage(_))), "{failed:?}");
    vault.storage.heal();
    let read = vault.read("secret/data/a").await.unwrap();
    assert_eq!(
        (&read.data["data"]["a"], &read.data["metadata"]["version"]),
        (&1.into(), &1.into())
    );
}
