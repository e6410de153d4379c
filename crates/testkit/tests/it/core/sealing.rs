//! Sealing in the middle of work: what was acknowledged is there afterwards, and nothing half done.

use crate::support::vault::Vault;
use secretum_engine::Fault;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const WRITERS: usize = 16;

/// The versions of a secret that were acknowledged, and whether the next one was refused.
#[derive(Default)]
struct Acknowledged {
    versions: u64,
    tokens: Vec<String>,
}

/// Writes versions of one secret, and makes tokens, until the vault is sealed.
async fn write(vault: Arc<Vault>, name: usize, round: u64) -> Acknowledged {
    let mut own = Acknowledged::default();
    loop {
        let number = own.versions + 1;
        let body = json!({"data": {"round": round, "number": number, "again": number}});
        match vault
            .write(&format!("secret/data/{round}/{name}"), body)
            .await
        {
            Ok(answer) => {
                assert_eq!(answer.data["version"], number);
                own.versions = number;
            }
            Err(Fault::Sealed) => return own,
            Err(other) => panic!("{other:?}"),
        }
        if number.is_multiple_of(4) {
            match vault
                .write("auth/token/create", json!({"policies": ["default"]}))
                .await
            {
                Ok(answer) => own.tokens.push(answer.auth.unwrap().client_token),
                Err(Fault::Sealed) => return own,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_acknowledged_write_is_there_after_a_seal_and_none_is_half_done() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(3);
    vault.storage.slow_reads(1);
    let mut tokens = Vec::new();
    let mut acknowledged = BTreeMap::new();
    for round in 1..=4 {
        let writers: Vec<_> = (0..WRITERS)
            .map(|name| tokio::spawn(write(Arc::clone(&vault), name, round)))
            .collect();
        // In the middle of it, at another point in each round.
        let commits = vault.storage.commits() + 100 * round;
        let reached = AtomicBool::new(false);
        crate::support::until("enough was written", async || {
            reached.store(vault.storage.commits() >= commits, Ordering::Relaxed);
            reached.load(Ordering::Relaxed)
        })
        .await;
        vault.core.seal().await;
        let sealed = vault.storage.commits();
        for (name, writer) in writers.into_iter().enumerate() {
            let own = writer.await.unwrap();
            tokens.extend(own.tokens);
            acknowledged.insert((round, name), own.versions);
        }
        assert_eq!(vault.storage.commits(), sealed, "written behind the seal");
        vault.unseal().await;
    }
    assert!(acknowledged.values().sum::<u64>() > 100);
    for ((round, name), versions) in acknowledged {
        check(&vault, round, name, versions).await;
    }
    for token in &tokens {
        assert!(
            vault.lives(token).await,
            "a token that was given out is gone"
        );
    }
    // Records of a token are written together or not at all.
    let count = async |prefix: &str| vault.storage.keys(prefix).await.len();
    assert_eq!(
        count("sys/token/id/").await,
        count("sys/token/accessor/").await
    );
}

/// What was acknowledged of a secret is there; one version more may be, whole, whose answer was cut off.
async fn check(vault: &Vault, round: u64, name: usize, versions: u64) {
    let metadata = vault.read(&format!("secret/metadata/{round}/{name}")).await;
    let newest = match metadata {
        Ok(answer) => answer.data["current_version"].as_u64().unwrap(),
        Err(Fault::NotFound) if versions == 0 => return,
        Err(other) => panic!("{round}/{name}: {other:?}"),
    };
    assert!(
        newest == versions || newest == versions + 1,
        "{newest} {versions}"
    );
    let path = format!("secret/data/{round}/{name}");
    let read = vault.read(&path).await.unwrap().data;
    let expected: Value = json!({"round": round, "number": newest, "again": newest});
    assert_eq!(read["data"], expected);
    assert_eq!(read["metadata"]["version"], newest);
}
