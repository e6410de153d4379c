//! Requests of version 1 that are under way while their mount becomes one of version 2.

use crate::mount::{Ask, Mount};
use secretum_engine::Verb;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn write_1(path: &str) -> Ask {
    Ask::new(Verb::Write, path).body(json!({"from": "version 1"}))
}

fn write_2(path: &str) -> Ask {
    let body = json!({"data": {"from": "version 2"}});
    Ask::new(Verb::Write, format!("data/{path}")).body(body)
}

#[tokio::test]
async fn a_late_write_or_delete_of_version_1_does_not_go_through() {
    let new = Mount::kv2();
    let old = new.as_version(1);
    old.run(&write_1("a")).await.unwrap();
    for late in [write_1("a"), Ask::new(Verb::Delete, "a")] {
        let late = old.call(&late).await.unwrap();
        new.run(&write_2("a")).await.unwrap();
        assert!(!old.commit(late.writes).await);
    }
}

#[tokio::test]
async fn a_first_version_does_not_hide_a_late_write_of_version_1() {
    let new = Mount::kv2();
    let old = new.as_version(1);
    let first = new.call(&write_2("a")).await.unwrap();
    old.run(&write_1("a")).await.unwrap();
    assert!(!new.commit(first.writes).await);
    // What was written is version 1, and the next is version 2.
    new.run(&write_2("a")).await.unwrap();
    let read = Ask::new(Verb::Read, "data/a").query("version", 1);
    let read = new.run(&read).await.unwrap();
    assert!(read.data.unwrap().get().contains("version 1"));
}

#[tokio::test]
async fn a_secret_that_moves_while_it_is_read_is_never_missing() {
    let asks = [
        Ask::new(Verb::Read, "data/a"),
        Ask::new(Verb::Read, "data/a").query("version", 1),
        Ask::new(Verb::Read, "metadata/a"),
        Ask::new(Verb::Read, "subkeys/a"),
    ];
    for ask in asks {
        let mut versions_seen = BTreeSet::new();
        for reads in 0..5 {
            let new = Mount::kv2();
            new.as_version(1).run(&write_1("a")).await.unwrap();
            let moves = new.call(&write_2("a")).await.unwrap().writes;
            let read = new.with_commit_before_read(reads, moves);
            let read = read.run(&ask).await;
            let told = read.unwrap_or_else(|fault| panic!("{ask:?} {reads}: {fault:?}"));
            let data: Value = serde_json::from_str(told.data.unwrap().get()).unwrap();
            let newest = &data["metadata"]["version"];
            versions_seen.insert(newest.as_u64().or(data["current_version"].as_u64()));
        }
        // The move fell before the read and after it, and so between its looks, too.
        let expected = if ask.query.is_empty() { 2 } else { 1 };
        assert_eq!(versions_seen.len(), expected, "{ask:?} {versions_seen:?}");
    }
}
