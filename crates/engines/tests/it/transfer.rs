//! Copies and moves of secrets in KV version 2.

use crate::mount::{Ask, Mount};
use secretum_engine::{Fault, Verb};
use secretum_storage::BATCH_BYTES_MAX;
use serde_json::{Value, json};
use std::time::Duration;

fn copy(source: &str, destination: &str) -> Ask {
    Ask::new(Verb::Write, format!("copy/{destination}")).body(json!({"source": source}))
}

fn rename(source: &str, destination: &str) -> Ask {
    Ask::new(Verb::Write, format!("move/{destination}")).body(json!({"source": source}))
}

fn over(ask: Ask, cas: u64) -> Ask {
    let mut body = ask.body.clone().unwrap();
    body["cas"] = json!(cas);
    ask.body(body)
}

async fn put(mount: &Mount, path: &str, data: Value) {
    let ask = Ask::new(Verb::Write, format!("data/{path}")).body(json!({"data": data}));
    mount.run(&ask).await.unwrap();
}

async fn read(mount: &Mount, path: &str, version: u64) -> Value {
    let ask = Ask::new(Verb::Read, format!("data/{path}")).query("version", version);
    let reply = mount.run(&ask).await.unwrap();
    serde_json::from_str(reply.data.unwrap().get()).unwrap()
}

async fn metadata(mount: &Mount, path: &str) -> Option<Value> {
    let ask = Ask::new(Verb::Read, format!("metadata/{path}"));
    match mount.run(&ask).await {
        Ok(reply) => Some(serde_json::from_str(reply.data.unwrap().get()).unwrap()),
        Err(Fault::NotFound) => None,
        Err(other) => panic!("{other:?}"),
    }
}

/// A secret with short and long values, deleted and destroyed versions, and settings of its own.
async fn rich() -> Mount {
    let mount = Mount::kv2();
    for number in 1..=5 {
        let long = if number == 2 {
            "x".repeat(9_000)
        } else {
            String::new()
        };
        put(&mount, "from", json!({"number": number, "long": long})).await;
        mount.clock.advance(Duration::from_secs(1));
    }
    for (area, version) in [("delete", 3), ("destroy", 4)] {
        let ask =
            Ask::new(Verb::Write, format!("{area}/from")).body(json!({"versions": [version]}));
        mount.run(&ask).await.unwrap();
    }
    let settings = json!({"max_versions": 7, "cas_required": true, "custom_metadata": {"a": "b"}});
    let ask = Ask::new(Verb::Write, "metadata/from").body(settings);
    mount.run(&ask).await.unwrap();
    mount
}

#[tokio::test]
async fn a_copy_is_the_whole_secret_and_the_source_stays() {
    let mount = rich().await;
    let before = metadata(&mount, "from").await;
    let reply = mount.run(&copy("from", "a/to")).await.unwrap();
    let told: Value = serde_json::from_str(reply.data.unwrap().get()).unwrap();
    assert_eq!(told, json!({"current_version": 5, "versions": 4}));
    assert_eq!(metadata(&mount, "from").await, before);
    assert_eq!(metadata(&mount, "a/to").await, before);
    for version in [0, 1, 2, 3, 4, 5] {
        let (from, to) = (
            read(&mount, "from", version).await,
            read(&mount, "a/to", version).await,
        );
        assert_eq!(from, to, "{version}");
    }
    // What was deleted can be brought back at both.
    let undelete = Ask::new(Verb::Write, "undelete/a/to").body(json!({"versions": [3]}));
    mount.run(&undelete).await.unwrap();
    assert_eq!(read(&mount, "a/to", 3).await["data"]["number"], 3);
    assert!(read(&mount, "from", 3).await["data"].is_null());
}

#[tokio::test]
async fn a_move_leaves_nothing_behind() {
    let mount = rich().await;
    let (before, newest) = (
        metadata(&mount, "from").await,
        read(&mount, "from", 0).await,
    );
    let keys = mount.keys().await.len();
    mount.run(&rename("from", "to")).await.unwrap();
    assert_eq!(metadata(&mount, "to").await, before);
    assert_eq!(read(&mount, "to", 0).await, newest);
    let left = mount.keys().await;
    assert_eq!(left.len(), keys);
    assert!(!left.iter().any(|key| key.contains("from")), "{left:?}");
}

#[tokio::test]
async fn nothing_is_overwritten_unless_its_version_is_named() {
    let mount = rich().await;
    put(&mount, "to", json!({"old": "x".repeat(9_000)})).await;
    put(&mount, "to", json!({"old": 2})).await;
    for ask in [copy("from", "to"), rename("from", "to")] {
        let untold = mount.run(&ask).await.unwrap_err();
        assert!(
            untold.to_string().contains("name its newest version"),
            "{untold}"
        );
        for cas in [0, 1, 3] {
            let other = mount.run(&over(ask.clone(), cas)).await.unwrap_err();
            assert!(other.to_string().contains("did not match"), "{other}");
        }
    }
    assert_eq!(read(&mount, "to", 0).await["data"]["old"], 2);
    mount.run(&over(copy("from", "to"), 2)).await.unwrap();
    assert_eq!(metadata(&mount, "to").await, metadata(&mount, "from").await);
    let new = over(copy("from", "new"), 1);
    assert!(
        mount
            .run(&new)
            .await
            .unwrap_err()
            .to_string()
            .contains("did not match")
    );
    mount.run(&over(copy("from", "new"), 0)).await.unwrap();
    // Nothing of what was overwritten is left: as many records as at a fresh place.
    let keys = mount.keys().await;
    let of = |name: &str| keys.iter().filter(|key| key.contains(name)).count();
    assert_eq!(of("/to"), of("/new"), "{keys:?}");
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_clearly() {
    let mount = rich().await;
    let missing = mount.run(&copy("none", "to")).await.unwrap_err();
    assert!(matches!(missing, Fault::NotFoundBecause(_)), "{missing:?}");
    let same = mount.run(&rename("from", "from")).await.unwrap_err();
    assert!(same.to_string().contains("same path"), "{same}");
    for source in ["", "a/", "a//b", "../from"] {
        let bad = mount.run(&copy(source, "to")).await.unwrap_err();
        assert!(matches!(bad, Fault::Invalid(_)), "{source}: {bad:?}");
    }
    let nothing = Ask::new(Verb::Write, "copy/to").body(json!({}));
    let nothing = mount.run(&nothing).await.unwrap_err();
    assert!(nothing.to_string().contains("source"), "{nothing}");
}

/// A secret whose one version has so many bytes.
async fn large(bytes: usize) -> Mount {
    let mount = Mount::kv2();
    let text = "x".repeat(bytes - r#"{"a":""}"#.len());
    put(&mount, "from", json!({"a": text})).await;
    mount
}

#[tokio::test]
async fn the_largest_secret_fits_into_one_write_and_a_larger_one_is_refused() {
    let most = BATCH_BYTES_MAX - 64 * 1_024;
    // Keys, metadata and preconditions take some of it: between these two stands the edge.
    let mount = large(most - 2_000).await;
    let reply = mount.call(&rename("from", "to")).await.unwrap();
    assert!(reply.writes.bytes() <= most);
    assert!(mount.commit(reply.writes).await);
    for (bytes, ask) in [
        (most, copy("from", "to")),
        (most, rename("from", "to")),
        (most + 1, copy("from", "to")),
    ] {
        let mount = large(bytes).await;
        let before = mount.keys().await;
        let refused = mount.run(&ask).await.unwrap_err();
        assert!(matches!(refused, Fault::TooLarge(_)), "{refused:?}");
        assert_eq!(mount.keys().await, before);
    }
    // Of several versions, their sum counts.
    let mount = large(most / 2).await;
    let text = "y".repeat(most / 2);
    put(&mount, "from", json!({"a": text})).await;
    let refused = mount.run(&copy("from", "to")).await.unwrap_err();
    assert!(
        refused.to_string().contains("destroy versions"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_thousand_versions_move_at_once() {
    let mount = Mount::kv2();
    let ask = Ask::new(Verb::Write, "metadata/from").body(json!({"max_versions": 1_000}));
    mount.run(&ask).await.unwrap();
    for number in 0..1_000 {
        put(&mount, "from", json!({"number": number})).await;
    }
    mount.run(&rename("from", "to")).await.unwrap();
    assert_eq!(read(&mount, "to", 1).await["data"]["number"], 0);
    assert_eq!(read(&mount, "to", 1_000).await["data"]["number"], 999);
    assert!(metadata(&mount, "from").await.is_none());
}

#[tokio::test]
async fn what_changes_between_read_and_commit_is_seen() {
    for late in [
        Ask::new(Verb::Write, "data/from").body(json!({"data": {"late": 1}})),
        Ask::new(Verb::Write, "destroy/from").body(json!({"versions": [1]})),
        Ask::new(Verb::Delete, "metadata/from"),
        Ask::new(Verb::Write, "data/to").body(json!({"data": {"late": 1}})),
    ] {
        for ask in [copy("from", "to"), rename("from", "to")] {
            let mount = Mount::kv2();
            put(&mount, "from", json!({"a": 1})).await;
            let reply = mount.call(&ask).await.unwrap();
            mount.run(&late).await.unwrap();
            let before = mount.keys().await;
            assert!(!mount.commit(reply.writes).await, "{ask:?} after {late:?}");
            assert_eq!(mount.keys().await, before);
        }
    }
}

#[tokio::test]
async fn a_version_that_goes_while_it_is_copied_is_not_half_copied() {
    for reads in 0..8 {
        let mount = rich().await;
        let drop = Ask::new(Verb::Write, "destroy/from").body(json!({"versions": [1, 2]}));
        let drop = mount.call(&drop).await.unwrap().writes;
        let seen = mount.with_commit_before_read(reads, drop);
        let reply = seen.call(&copy("from", "to")).await.unwrap();
        if seen.commit(reply.writes).await {
            let copied = metadata(&mount, "to").await;
            assert_eq!(copied, metadata(&mount, "from").await, "{reads}");
            let first = read(&mount, "to", 1).await;
            assert_eq!(
                first["data"].is_null(),
                first["metadata"]["destroyed"] == true
            );
        } else {
            assert!(metadata(&mount, "to").await.is_none());
        }
    }
}

#[tokio::test]
async fn secrets_of_version_1_are_copied_and_moved_too() {
    for (ask, stays) in [(copy("from", "to"), true), (rename("from", "to"), false)] {
        let mount = Mount::kv2();
        let old = mount.as_version(1);
        for path in ["from", "other"] {
            let write = Ask::new(Verb::Write, path).body(json!({"from": "version 1"}));
            old.run(&write).await.unwrap();
        }
        mount.run(&ask).await.unwrap();
        assert_eq!(read(&mount, "to", 0).await["data"]["from"], "version 1");
        assert_eq!(metadata(&mount, "from").await.is_some(), stays);
        // One that is overwritten leaves nothing of its old value.
        put(&mount, "from", json!({"new": 1})).await;
        mount.run(&over(copy("from", "other"), 1)).await.unwrap();
        assert_eq!(
            metadata(&mount, "other").await,
            metadata(&mount, "from").await
        );
        assert!(
            !mount
                .keys()
                .await
                .iter()
                .any(|key| key.starts_with("v1/other"))
        );
    }
}

#[tokio::test]
async fn a_transfer_asks_for_what_the_same_requests_one_by_one_would() {
    let mount = Mount::kv2();
    let touched = |ask: &Ask| -> Vec<String> {
        let touches = mount.touches(ask).unwrap();
        let shown = |touch: &secretum_engine::Touch| format!("{:?} {}", touch.verb, touch.path);
        touches.iter().map(shown).collect()
    };
    let copied = [
        "Read data/a/b",
        "Write undelete/a/b",
        "Read metadata/a/b",
        "Write data/c",
        "Write metadata/c",
    ];
    assert_eq!(touched(&copy("a/b", "c")), copied);
    let overwritten = [&copied[..], &["Delete metadata/c"]].concat();
    assert_eq!(touched(&over(copy("a/b", "c"), 0)), overwritten);
    let moved = [&copied[..], &["Delete metadata/a/b"]].concat();
    assert_eq!(touched(&rename("a/b", "c")), moved);
    let ask = Ask::new(Verb::Write, "data/a").body(json!({"data": {}}));
    assert!(mount.touches(&ask).unwrap().is_empty());
}
