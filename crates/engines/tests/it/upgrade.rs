//! Requests of version 1 that are under way while their mount becomes one of version 2.

use crate::mount::{Ask, Mount};
use secretum_engine::Verb;
use serde_json::json;

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
