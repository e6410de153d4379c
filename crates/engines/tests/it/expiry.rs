//! Versions of KV version 2 with a time to live.

use crate::mount::{Ask, Mount};
use secretum_engine::{Fault, RawReply, Timer, Verb};
use serde_json::{Value, json};
use std::time::Duration;

async fn put(mount: &Mount, path: &str, body: Value) -> Vec<Timer> {
    let ask = Ask::new(Verb::Write, format!("data/{path}")).body(body);
    mount.run(&ask).await.unwrap().timers
}

fn of(reply: RawReply) -> Value {
    serde_json::from_str(reply.data.unwrap().get()).unwrap()
}

async fn read(mount: &Mount, path: &str, version: u64) -> Value {
    let ask = Ask::new(Verb::Read, format!("data/{path}")).query("version", version);
    of(mount.run(&ask).await.unwrap())
}

async fn metadata(mount: &Mount, path: &str) -> Result<Value, Fault> {
    let ask = Ask::new(Verb::Read, format!("metadata/{path}"));
    mount.run(&ask).await.map(of)
}

#[tokio::test]
async fn a_version_ends_exactly_at_its_time() {
    let mount = Mount::kv2();
    let timers = put(
        &mount,
        "a",
        json!({"data": {"k": 1}, "options": {"ttl": "60s"}}),
    )
    .await;
    assert_eq!(timers.len(), 1);
    assert_eq!(timers[0].at.unix_seconds(), 1_800_000_060);
    let told = read(&mount, "a", 0).await;
    assert_eq!(told["metadata"]["expire_time"], "2027-01-15T08:01:00Z");
    assert_eq!(told["metadata"]["deletion_time"], "2027-01-15T08:01:00Z");
    assert_eq!(told["metadata"]["destroyed"], false);
    mount.clock.advance(Duration::from_nanos(59_999_999_999));
    assert_eq!(read(&mount, "a", 0).await["data"]["k"], 1);
    mount.clock.advance(Duration::from_nanos(1));
    // Nobody removed it yet, and nobody gets it any more.
    let gone = read(&mount, "a", 0).await;
    assert!(gone["data"].is_null());
    assert_eq!(gone["metadata"]["destroyed"], true);
    let subkeys = of(mount.run(&Ask::new(Verb::Read, "subkeys/a")).await.unwrap());
    assert!(subkeys["subkeys"].is_null());
    assert_eq!(
        metadata(&mount, "a").await.unwrap()["versions"]["1"]["destroyed"],
        true
    );
    let undelete = Ask::new(Verb::Write, "undelete/a").body(json!({"versions": [1]}));
    mount.run(&undelete).await.unwrap();
    assert!(read(&mount, "a", 0).await["data"].is_null());
    let patch = Ask::new(Verb::Patch, "data/a").body(json!({"data": {"k": 2}}));
    assert!(matches!(mount.run(&patch).await, Err(Fault::NotFound)));
    let copy = Ask::new(Verb::Write, "copy/b").body(json!({"source": "a"}));
    let copied = mount.run(&copy).await.unwrap();
    assert_eq!(of(copied)["versions"], 0);
    assert!(read(&mount, "b", 0).await["data"].is_null());
}

#[tokio::test]
async fn the_timer_removes_what_is_over_and_nothing_else() {
    let mount = Mount::kv2();
    let long = "x".repeat(9_000);
    put(&mount, "a", json!({"data": {"first": 1}})).await;
    let timers = put(
        &mount,
        "a",
        json!({"data": {"k": long}, "options": {"ttl": 60}}),
    )
    .await;
    put(&mount, "a", json!({"data": {"third": 1}})).await;
    mount.clock.advance(Duration::from_secs(60));
    let keys = mount.keys().await.len();
    mount.due(&timers[0]).await;
    assert_eq!(mount.keys().await.len(), keys - 1);
    assert_eq!(read(&mount, "a", 1).await["data"]["first"], 1);
    assert_eq!(read(&mount, "a", 3).await["data"]["third"], 1);
    assert_eq!(read(&mount, "a", 2).await["metadata"]["destroyed"], true);
    // Twice is once.
    mount.due(&timers[0]).await;
    assert_eq!(mount.keys().await.len(), keys - 1);
}

#[tokio::test]
async fn a_secret_goes_when_nothing_is_left_of_it() {
    for (settings, stays) in [
        (None, false),
        (Some(json!({"custom_metadata": {"owner": "me"}})), true),
        (Some(json!({"cas_required": true})), true),
    ] {
        let mount = Mount::kv2();
        if let Some(settings) = settings {
            let ask = Ask::new(Verb::Write, "metadata/a").body(settings);
            mount.run(&ask).await.unwrap();
        }
        let body = json!({"data": {"k": 1}, "options": {"ttl": 60, "cas": 0}});
        let timers = put(&mount, "a", body).await;
        mount.clock.advance(Duration::from_secs(60));
        mount.due(&timers[0]).await;
        assert_eq!(metadata(&mount, "a").await.is_ok(), stays);
        assert_eq!(mount.keys().await.is_empty(), !stays);
    }
}

#[tokio::test]
async fn a_timer_knows_its_own_version_from_a_later_one() {
    let mount = Mount::kv2();
    let body = json!({"data": {"k": 1}, "options": {"ttl": 60}});
    let timers = put(&mount, "a", body.clone()).await;
    mount
        .run(&Ask::new(Verb::Delete, "metadata/a"))
        .await
        .unwrap();
    mount.clock.advance(Duration::from_secs(30));
    put(&mount, "a", body).await;
    mount.clock.advance(Duration::from_secs(30));
    mount.due(&timers[0]).await;
    assert_eq!(read(&mount, "a", 0).await["data"]["k"], 1);
}

#[tokio::test]
async fn copies_end_when_their_source_does() {
    let mount = Mount::kv2();
    put(
        &mount,
        "a",
        json!({"data": {"k": 1}, "options": {"ttl": 60}}),
    )
    .await;
    put(
        &mount,
        "a",
        json!({"data": {"k": 2}, "options": {"ttl": 90}}),
    )
    .await;
    mount.clock.advance(Duration::from_secs(10));
    let ask = Ask::new(Verb::Write, "move/b").body(json!({"source": "a"}));
    let timers = mount.run(&ask).await.unwrap().timers;
    let seconds: Vec<i64> = timers.iter().map(|timer| timer.at.unix_seconds()).collect();
    assert_eq!(seconds, [1_800_000_060, 1_800_000_090]);
    mount.clock.advance(Duration::from_secs(50));
    assert!(read(&mount, "b", 1).await["data"].is_null());
    assert_eq!(read(&mount, "b", 2).await["data"]["k"], 2);
    mount.clock.advance(Duration::from_secs(30));
    for timer in &timers {
        mount.due(timer).await;
    }
    assert!(mount.keys().await.is_empty());
}

#[tokio::test]
async fn a_patch_keeps_the_end_unless_it_gives_another() {
    let mount = Mount::kv2();
    put(
        &mount,
        "a",
        json!({"data": {"k": 1}, "options": {"ttl": 60}}),
    )
    .await;
    mount.clock.advance(Duration::from_secs(10));
    let patch = |options| {
        let body = json!({"data": {"more": 1}, "options": options});
        Ask::new(Verb::Patch, "data/a").body(body)
    };
    let kept = of(mount.run(&patch(json!({}))).await.unwrap());
    assert_eq!(kept["expire_time"], "2027-01-15T08:01:00Z");
    let moved = mount.run(&patch(json!({"ttl": "60s"}))).await.unwrap();
    assert_eq!(moved.timers.len(), 1);
    assert_eq!(of(moved)["expire_time"], "2027-01-15T08:01:10Z");
    // A plain write says all there is to say.
    put(&mount, "a", json!({"data": {"k": 2}})).await;
    assert!(
        read(&mount, "a", 0).await["metadata"]
            .get("expire_time")
            .is_none()
    );
}

#[tokio::test]
async fn a_life_must_be_one() {
    let mount = Mount::kv2();
    for ttl in [
        json!(0),
        json!("0s"),
        json!(-1),
        json!("soon"),
        json!("2000000h"),
        json!({}),
    ] {
        let body = json!({"data": {"k": 1}, "options": {"ttl": ttl}});
        let ask = Ask::new(Verb::Write, "data/a").body(body);
        let refused = mount.run(&ask).await.unwrap_err();
        assert!(matches!(refused, Fault::Invalid(_)), "{ttl}: {refused:?}");
    }
    assert!(mount.keys().await.is_empty());
}
