//! Moving mounts.

use crate::support::vault::{Answer, Vault};
use secretum_engine::{Fault, Verb};
use serde_json::json;

async fn remount(vault: &Vault, from: &str, to: &str) -> Result<Answer, Fault> {
    vault
        .write("sys/remount", json!({"from": from, "to": to}))
        .await
}

fn told(answer: Result<Answer, Fault>) -> String {
    match answer {
        Err(Fault::Invalid(text)) => text.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mount_moves_with_all_it_holds() {
    let vault = Vault::open().await;
    let secret = json!({"data": {"password": "hunter2"}});
    vault.write("secret/data/a", secret.clone()).await.unwrap();
    let before = vault.read("sys/mounts/secret").await.unwrap().data;
    let keys = vault.storage.keys("mount/").await;
    let moved = remount(&vault, "secret", "team/kv/").await.unwrap().data;
    let id = moved["migration_id"].as_str().unwrap();
    assert_eq!(
        vault.storage.keys("mount/").await,
        keys,
        "nothing is rewritten"
    );
    let read = vault.read("team/kv/data/a").await.unwrap();
    assert_eq!(read.data["data"], secret["data"]);
    let gone = vault.read("secret/data/a").await;
    assert!(matches!(gone, Err(Fault::NotFoundBecause(_))), "{gone:?}");
    let after = vault.read("sys/mounts/team/kv").await.unwrap().data;
    assert_eq!(after, before);
    let state = vault
        .read(&format!("sys/remount/status/{id}"))
        .await
        .unwrap()
        .data;
    let info = json!({
        "source_mount": "secret/", "target_mount": "team/kv/", "status": "success",
    });
    assert_eq!(state, json!({"migration_id": id, "migration_info": info}));
    // It stands there after a seal, too, and its old path is free.
    vault.core.seal().await;
    vault.unseal().await;
    vault.read("team/kv/data/a").await.unwrap();
    vault.enable("secret", json!({"type": "kv"})).await;
    let unknown = vault.read("sys/remount/status/unknown").await;
    assert!(matches!(unknown, Err(Fault::NotFound)));
}

#[tokio::test]
async fn what_cannot_be_moved_stays() {
    let vault = Vault::open().await;
    for (from, to, text) in [
        ("", "x", "both 'from' and 'to' path must be specified"),
        ("secret", "", "both 'from' and 'to' path must be specified"),
        ("nowhere", "x", "no matching mount at \"nowhere/\""),
        ("sys", "x", "cannot remount \"sys/\""),
        ("cubbyhole", "x", "cannot remount \"cubbyhole/\""),
        ("auth/token", "auth/x", "cannot remount \"auth/token/\""),
        (
            "secret",
            "auth/x",
            "cannot remount to destination \"auth/x/\"",
        ),
        ("secret", "sys", "cannot mount \"sys/\""),
        ("secret", "cubbyhole/x", "cannot mount \"cubbyhole/x/\""),
        ("secret", "probe", "path is already in use at probe/"),
        ("secret", "probe/below", "path is already in use at probe/"),
        ("secret", "secret", "path is already in use at secret/"),
        ("secret", "a/../b", ""),
        ("secret", &"x".repeat(600), "a mount path has at most"),
    ] {
        let refused = told(remount(&vault, from, to).await);
        assert!(refused.starts_with(text), "{from} {to}: {refused}");
    }
    vault.read("sys/mounts/secret").await.unwrap();
    let updater = vault
        .token_under(
            "updater",
            "path \"sys/remount\" { capabilities = [\"update\"] }",
        )
        .await;
    let body = json!({"from": "secret", "to": "x"});
    let refused = vault.write_as(&updater, "sys/remount", body).await;
    assert!(matches!(refused, Err(Fault::Denied)));
}

#[tokio::test]
async fn of_moves_at_once_to_one_path_one_is_made() {
    let vault = Vault::open().await;
    for name in ["a", "b", "c"] {
        vault.enable(name, json!({"type": "kv"})).await;
        vault
            .write(&format!("{name}/own"), json!({"name": name}))
            .await
            .unwrap();
    }
    vault.storage.slow_reads(2);
    vault.storage.slow_commits(2);
    let moves = ["a", "b", "c"].map(|name| remount(&vault, name, "one"));
    let answers = futures::future::join_all(moves).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(made, 1, "{answers:?}");
    let held = vault.read("one/own").await.unwrap().data;
    let mut left = Vec::new();
    for name in ["a", "b", "c"] {
        if vault.ask(Verb::Read, &format!("{name}/own")).await.is_ok() {
            left.push(name);
        }
    }
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&held["name"].as_str().unwrap()));
}
