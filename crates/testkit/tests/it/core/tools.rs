//! Random bytes and digests, wrapping anew, and tidying.

use crate::support::until;
use crate::support::vault::{Vault, ask};
use secretum_engine::{Fault, Verb};
use secretum_storage::{Batch, Key, Storage};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn random_bytes_are_as_many_as_asked_for() {
    let vault = Vault::open().await;
    let mut seen = BTreeSet::new();
    for (path, body, characters) in [
        ("sys/tools/random", json!({"format": "hex"}), 64),
        ("sys/tools/random/16", json!({"format": "hex"}), 32),
        ("sys/tools/random", json!({"bytes": "3"}), 4),
        (
            "sys/tools/random/all/5",
            json!({"format": "hex", "bytes": 9}),
            10,
        ),
        (
            "sys/tools/random/platform",
            json!({"format": "hex", "bytes": 9}),
            18,
        ),
    ] {
        let answer = vault.write(path, body).await.unwrap().data;
        let random = answer["random_bytes"].as_str().unwrap().to_owned();
        assert_eq!(random.len(), characters, "{path}");
        assert!(seen.insert(random));
    }
    for (path, body) in [
        ("sys/tools/random/0", json!({})),
        ("sys/tools/random/131073", json!({})),
        ("sys/tools/random/dice", json!({})),
        ("sys/tools/random", json!({"format": "octal"})),
        ("sys/tools/random", json!({"source": "dice"})),
    ] {
        let refused = vault.write(path, body).await;
        assert!(matches!(refused, Err(Fault::Invalid(_))), "{path}");
    }
}

#[tokio::test]
async fn digests_are_those_of_the_standard() {
    let vault = Vault::open().await;
    // "abc" in base64.
    for (path, body, begins) in [
        ("sys/tools/hash", json!({"input": "YWJj"}), "ba7816bf"),
        (
            "sys/tools/hash/sha2-512",
            json!({"input": "YWJj"}),
            "ddaf35a1",
        ),
        (
            "sys/tools/hash",
            json!({"input": "YWJj", "algorithm": "sha3-256"}),
            "3a985da7",
        ),
        (
            "sys/tools/hash",
            json!({"input": "YWJj", "format": "base64"}),
            "ungWv48B",
        ),
    ] {
        let sum = vault.write(path, body).await.unwrap().data["sum"].clone();
        assert!(sum.as_str().unwrap().starts_with(begins), "{sum}");
    }
    for (path, body) in [
        ("sys/tools/hash", json!({"input": "%"})),
        ("sys/tools/hash/md5", json!({"input": "YWJj"})),
    ] {
        assert!(matches!(
            vault.write(path, body).await,
            Err(Fault::Invalid(_))
        ));
    }
}

#[tokio::test]
async fn what_is_to_be_wrapped_never_comes_back_in_the_clear() {
    let vault = Vault::open().await;
    let wrap = || ask(Verb::Write, "sys/wrapping/wrap").token(&vault.root);
    let wrap = || wrap().body(json!({"x": "hunter2"}));
    for unwrapped in [wrap(), wrap().wrapped(0)] {
        let refused = unwrapped.of(&vault.core).await.unwrap_err();
        assert!(matches!(
            &refused,
            Fault::Invalid(text) if text == "endpoint requires response wrapping to be used"
        ));
    }
    let answer = wrap().wrapped(1).of(&vault.core).await.unwrap();
    assert!(answer.data.is_null() && answer.wrap_token.is_some());
    let help = ask(Verb::Help, "sys/wrapping/wrap").token(&vault.root);
    help.of(&vault.core).await.unwrap();
}

#[tokio::test]
async fn a_wrapped_answer_goes_on_behind_a_new_token() {
    let vault = Vault::open().await;
    let wrap = ask(Verb::Write, "sys/wrapping/wrap").token(&vault.root);
    let wrap = wrap.body(json!({"x": "hunter2"})).wrapped(60);
    let first = wrap.of(&vault.core).await.unwrap().wrap_token.unwrap();
    let answer = vault
        .write("sys/wrapping/rewrap", json!({"token": first}))
        .await
        .unwrap();
    let second = answer.wrap_token.unwrap();
    assert_ne!(first, second);
    for path in [
        "sys/wrapping/rewrap",
        "sys/wrapping/unwrap",
        "sys/wrapping/lookup",
    ] {
        let refused = vault.write(path, json!({"token": first})).await;
        assert!(
            refused.unwrap_err().to_string().contains("not valid"),
            "{path}"
        );
    }
    let facts = vault
        .write("sys/wrapping/lookup", json!({"token": second}))
        .await
        .unwrap()
        .data;
    assert_eq!(facts["creation_path"], "sys/wrapping/wrap");
    assert_eq!(facts["creation_ttl"], 60);
    let opened = vault
        .write("sys/wrapping/unwrap", json!({"token": second}))
        .await;
    assert_eq!(opened.unwrap().data["x"], "hunter2");
}

#[tokio::test]
async fn tidying_removes_what_leads_to_no_token() {
    let vault = Vault::open().await;
    let before = vault.storage.keys("sys/").await;
    let parent = vault
        .token_of(&vault.root, json!({"policies": "root"}))
        .await;
    vault
        .token_of(&parent.client_token, json!({"policies": "default"}))
        .await;
    let all = vault.storage.keys("sys/").await;
    let lost: Vec<_> = vault.storage.keys("sys/token/id/").await;
    let mut batch = Batch::new();
    for key in lost.iter().filter(|key| !before.contains(key)) {
        batch = batch.delete(Key::try_from(key.to_string()).unwrap());
    }
    vault.storage.commit(batch).await.unwrap();
    assert!(all.len() > before.len() + 2);
    vault.write("auth/token/tidy", json!({})).await.unwrap();
    until("what was around the lost tokens is gone", async || {
        vault.storage.keys("sys/").await == before
    })
    .await;
    assert!(vault.lives(&vault.root).await);
    // It can begin again.
    until("another round begins", async || {
        let again = vault.write("auth/token/tidy", json!({})).await.unwrap();
        again.warnings[0].contains("started")
    })
    .await;
}
