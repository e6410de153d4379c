//! OpenAPI: anybody may ask, so neither the asking nor the answer may cost more with use.

use crate::support::probe;
use crate::support::vault::{Answer, Vault, ask};
use secretum_engine::Verb;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PATH: &str = "sys/internal/specs/openapi";

/// The mounts that a document describes.
fn described(document: &Answer) -> BTreeSet<String> {
    let paths = document.data["paths"].as_object().unwrap().keys();
    let mount = |path: &String| {
        let mut parts = path.trim_start_matches('/').split('/');
        let first = parts.next().unwrap().to_owned();
        if first == "auth" {
            return format!("auth/{}", parts.next().unwrap());
        }
        first
    };
    paths.map(mount).collect()
}

async fn for_everybody(vault: &Vault) -> Answer {
    ask(Verb::Read, PATH).of(&vault.core).await.unwrap()
}

#[tokio::test]
async fn a_document_describes_a_bounded_number_of_mounts() {
    let vault = Vault::open().await;
    let stranger = for_everybody(&vault).await;
    let every = BTreeSet::from(["auth/token", "cubbyhole", "sys"].map(str::to_owned));
    assert_eq!(described(&stranger), every);
    // Two are there.
    for number in 2..32 {
        let path = format!("probe-{number:02}");
        vault.enable(&path, json!({"type": "probe"})).await;
    }
    let whole = vault.read(PATH).await.unwrap();
    assert_eq!(described(&whole).len(), 3 + 32);
    let about = |document: &Answer| document.data["info"]["description"].to_string();
    assert!(!about(&whole).contains("not described"));
    for number in 0..3 {
        let path = format!("more-{number}");
        vault.enable(&path, json!({"type": "kv-v2"})).await;
    }
    let most = vault.read(PATH).await.unwrap();
    assert_eq!(described(&most).len(), 3 + 32);
    assert!(described(&most).is_superset(&every));
    assert!(about(&most).contains("3 more mounts"), "{}", about(&most));
    let again = for_everybody(&vault).await;
    assert_eq!(again.data, stranger.data);
}

#[tokio::test]
async fn a_document_is_made_once_for_each_table_of_mounts() {
    let vault = Vault::open().await;
    let caller = vault
        .token_under("some", r#"path "probe/*" { capabilities = ["read"] }"#)
        .await;
    let ask = async || {
        let document = vault.ask_as(&caller, Verb::Read, PATH).await.unwrap();
        described(&document)
    };
    let first = ask().await;
    assert!(first.contains("probe") && !first.contains("secret"));
    let made = probe::descriptions();
    for _ in 0..3 {
        assert_eq!(ask().await, first);
    }
    assert_eq!(probe::descriptions(), made);
    // A caller who sees more gets more, and a table that changed is described anew.
    let root = described(&vault.read(PATH).await.unwrap());
    assert!(root.contains("secret"));
    assert_eq!(ask().await, first);
    vault.ask(Verb::Delete, "sys/mounts/probe").await.unwrap();
    assert!(!ask().await.contains("probe"));
}

#[tokio::test]
async fn descriptions_are_recorded_as_a_digest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let vault = Vault::open().await;
    let body = json!({"type": "file", "options": {"file_path": file}});
    vault.write("sys/audit/file", body).await.unwrap();
    for (verb, path) in [(Verb::Read, PATH), (Verb::Help, "secret/")] {
        let told = vault.ask(verb, path).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut records = text
            .lines()
            .filter(|line| !line.contains("\"type\":\"head\""));
        let line = records.next_back().unwrap();
        assert!(line.len() < 2_048, "{path}: {} bytes", line.len());
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["response"].get("data"), None);
        // Who has the document can tell that it was this one.
        let hash = vault
            .write("sys/audit-hash/file", json!({"input": told.text}))
            .await;
        let hash = hash.unwrap().data["hash"].clone();
        assert_eq!(record["response"]["data_digest"], hash, "{path}");
    }
}
