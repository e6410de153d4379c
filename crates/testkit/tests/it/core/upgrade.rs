//! A KV mount that becomes version 2: what was there stays readable.

use crate::support::vault::{Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn upgraded(names: &[&str]) -> Vault {
    let vault = Vault::open().await;
    vault.enable("kv", json!({"type": "kv"})).await;
    for name in names {
        let value = json!({"name": name});
        vault.write(&format!("kv/{name}"), value).await.unwrap();
    }
    let options = json!({"options": {"version": "2"}});
    vault.write("sys/mounts/kv/tune", options).await.unwrap();
    vault
}

async fn names(vault: &Vault, folder: &str) -> Vec<String> {
    match vault
        .ask(Verb::List, &format!("kv/metadata/{folder}"))
        .await
    {
        Ok(answer) => serde_json::from_value(answer.data["keys"].clone()).unwrap(),
        Err(Fault::NotFound) => Vec::new(),
        Err(other) => panic!("{other:?}"),
    }
}

async fn version(vault: &Vault, name: &str, version: u64) -> Result<Value, Fault> {
    let ask = ask(Verb::Read, &format!("kv/data/{name}")).token(&vault.root);
    let answer = ask.query("version", &version.to_string());
    answer.of(&vault.core).await.map(|answer| answer.data)
}

#[tokio::test]
async fn old_secrets_are_version_1() {
    let vault = upgraded(&["a", "b/c"]).await;
    for name in ["a", "b/c"] {
        let read = version(&vault, name, 0).await.unwrap();
        assert_eq!(read["data"]["name"], name);
        assert_eq!(read["metadata"]["version"], 1);
        assert_eq!(version(&vault, name, 1).await.unwrap(), read);
        let metadata = vault.read(&format!("kv/metadata/{name}")).await.unwrap();
        assert_eq!(metadata.data["current_version"], 1);
    }
    assert_eq!(names(&vault, "").await, ["a", "b/"]);
    let down = vault
        .write("sys/mounts/kv/tune", json!({"options": {"version": "1"}}))
        .await;
    assert!(matches!(down, Err(Fault::Invalid(_))), "{down:?}");
}

#[tokio::test]
async fn an_old_secret_moves_when_it_is_written() {
    let vault = upgraded(&["a"]).await;
    let stale = json!({"data": {"name": "new"}, "options": {"cas": 0}});
    assert!(matches!(
        vault.write("kv/data/a", stale).await,
        Err(Fault::Invalid(_))
    ));
    let write = json!({"data": {"name": "new"}, "options": {"cas": 1}});
    let written = vault.write("kv/data/a", write).await.unwrap();
    assert_eq!(written.data["version"], 2);
    assert_eq!(version(&vault, "a", 1).await.unwrap()["data"]["name"], "a");
    assert_eq!(
        version(&vault, "a", 2).await.unwrap()["data"]["name"],
        "new"
    );
    assert_eq!(names(&vault, "").await, ["a"]);
}

#[tokio::test]
async fn an_old_secret_can_be_patched() {
    let vault = upgraded(&["a"]).await;
    let patch = ask(Verb::Patch, "kv/data/a")
        .token(&vault.root)
        .body(json!({"data": {"more": 1}}));
    let patched = patch.of(&vault.core).await.unwrap();
    assert_eq!(patched.data["version"], 2);
    let read = version(&vault, "a", 0).await.unwrap();
    assert_eq!(read["data"], json!({"name": "a", "more": 1}));
    let old = version(&vault, "a", 1).await.unwrap();
    assert_eq!(old["data"], json!({"name": "a"}));
}

#[tokio::test]
async fn an_old_secret_can_be_deleted_and_brought_back() {
    let vault = upgraded(&["a"]).await;
    vault.ask(Verb::Delete, "kv/data/a").await.unwrap();
    let gone = vault.read("kv/data/a").await.unwrap();
    assert!(gone.gone && gone.data["data"].is_null());
    vault
        .write("kv/undelete/a", json!({"versions": [1]}))
        .await
        .unwrap();
    assert_eq!(version(&vault, "a", 0).await.unwrap()["data"]["name"], "a");
}

#[tokio::test]
async fn an_old_secret_can_be_destroyed_and_removed() {
    let vault = upgraded(&["a", "b"]).await;
    let mount = vault.storage.keys("mount/").await.len();
    assert_eq!(mount, 2);
    vault
        .write("kv/destroy/a", json!({"versions": [1]}))
        .await
        .unwrap();
    let destroyed = vault.read("kv/data/a").await.unwrap();
    assert!(destroyed.gone && destroyed.data["metadata"]["destroyed"] == true);
    assert_eq!(
        vault.storage.keys("mount/").await.len(),
        2,
        "metadata of a, and b"
    );
    for name in ["a", "b"] {
        let path = format!("kv/metadata/{name}");
        vault.ask(Verb::Delete, &path).await.unwrap();
        let read = vault.read(&format!("kv/data/{name}")).await;
        assert!(matches!(read, Err(Fault::NotFound)), "{read:?}");
    }
    assert!(vault.storage.keys("mount/").await.is_empty());
    assert!(names(&vault, "").await.is_empty());
}

#[tokio::test]
async fn every_name_is_listed_once_whatever_the_page() {
    let old: Vec<String> = (0..20)
        .map(|n| format!("old-{n}"))
        .chain((0..5).map(|n| format!("both-{n}/old")))
        .collect();
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    let vault = upgraded(&old).await;
    let new = (0..20).map(|n| format!("new-{n}"));
    let moved = (0..5).map(|n| format!("old-{n}"));
    let both = (0..5).map(|n| format!("both-{n}/new"));
    for name in new.chain(moved).chain(both) {
        let body = json!({"data": {"a": 1}});
        vault.write(&format!("kv/data/{name}"), body).await.unwrap();
    }
    let all = names(&vault, "").await;
    assert_eq!(all.len(), 45);
    assert!(all.is_sorted());
    for limit in [1, 2, 3, 7, 44, 45, 46, 100] {
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            assert!(
                paged.len() <= 45,
                "limit {limit}: a page came twice: {paged:?}"
            );
            let page = ask(Verb::List, "kv/metadata/")
                .token(&vault.root)
                .query("limit", &limit.to_string())
                .query("after", &after);
            let keys = match page.of(&vault.core).await {
                Ok(answer) => answer.data["keys"].clone(),
                Err(Fault::NotFound) => break,
                Err(other) => panic!("{other:?}"),
            };
            let keys: Vec<String> = serde_json::from_value(keys).unwrap();
            assert!(keys.len() <= limit);
            after.clone_from(keys.last().unwrap());
            paged.extend(keys);
        }
        assert_eq!(paged.len(), 45, "limit {limit}");
        let paged: BTreeSet<String> = paged.into_iter().collect();
        assert!(paged.iter().eq(all.iter()), "limit {limit}");
    }
}
