//! Versions of KV version 2 with a time to live.

use crate::mount::{Ask, Mount};
use proptest::prelude::*;
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, RawReply, Standing, Verb};
use serde_json::{Value, json};
use std::time::Duration;

async fn put(mount: &Mount, path: &str, body: Value) {
    let ask = Ask::new(Verb::Write, format!("data/{path}")).body(body);
    mount.run(&ask).await.unwrap();
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
    put(
        &mount,
        "a",
        json!({"data": {"k": 1}, "options": {"ttl": "60s"}}),
    )
    .await;
    assert_eq!(mount.timers(), [(1_800_000_060, "a".to_owned())]);
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
    let patched = mount.run(&patch).await.unwrap();
    assert_eq!(patched.standing, Standing::Gone);
    assert_eq!(of(patched)["destroyed"], true);
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
    put(
        &mount,
        "a",
        json!({"data": {"k": long}, "options": {"ttl": 60}}),
    )
    .await;
    put(&mount, "a", json!({"data": {"third": 1}})).await;
    mount.clock.advance(Duration::from_secs(60));
    let keys = mount.keys().await.len();
    mount.serve_timers().await;
    assert_eq!(mount.keys().await.len(), keys - 1);
    assert_eq!(read(&mount, "a", 1).await["data"]["first"], 1);
    assert_eq!(read(&mount, "a", 3).await["data"]["third"], 1);
    assert_eq!(read(&mount, "a", 2).await["metadata"]["destroyed"], true);
    // Twice is once.
    let data = serde_json::value::to_raw_value(&json!({"path": "a"})).unwrap();
    mount.due(&data).await;
    assert_eq!(mount.keys().await.len(), keys - 1);
    assert!(mount.timers().is_empty());
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
        put(&mount, "a", body).await;
        mount.clock.advance(Duration::from_secs(60));
        mount.serve_timers().await;
        assert_eq!(metadata(&mount, "a").await.is_ok(), stays);
        assert_eq!(mount.keys().await.is_empty(), !stays);
    }
}

#[tokio::test]
async fn the_timer_of_a_secret_that_went_ends_no_later_one() {
    let mount = Mount::kv2();
    let body = json!({"data": {"k": 1}, "options": {"ttl": 60}});
    put(&mount, "a", body.clone()).await;
    mount
        .run(&Ask::new(Verb::Delete, "metadata/a"))
        .await
        .unwrap();
    assert!(mount.timers().is_empty());
    mount.clock.advance(Duration::from_secs(30));
    put(&mount, "a", body).await;
    mount.clock.advance(Duration::from_secs(30));
    // One of before that somebody restored.
    let data = serde_json::value::to_raw_value(&json!({"path": "a"})).unwrap();
    mount.due(&data).await;
    assert_eq!(read(&mount, "a", 0).await["data"]["k"], 1);
    assert_eq!(mount.timers(), [(1_800_000_090, "a".to_owned())]);
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
    mount.run(&ask).await.unwrap();
    assert_eq!(mount.timers(), [(1_800_000_060, "b".to_owned())]);
    mount.clock.advance(Duration::from_secs(50));
    assert!(read(&mount, "b", 1).await["data"].is_null());
    assert_eq!(read(&mount, "b", 2).await["data"]["k"], 2);
    mount.serve_timers().await;
    assert_eq!(mount.timers(), [(1_800_000_090, "b".to_owned())]);
    mount.clock.advance(Duration::from_secs(30));
    mount.serve_timers().await;
    assert!(mount.keys().await.is_empty());
    assert!(mount.timers().is_empty());
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
    // The older of the two versions ends first.
    assert_eq!(mount.timers(), [(1_800_000_060, "a".to_owned())]);
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

/// What may be done with a secret that bears on its end.
#[derive(Debug, Clone)]
enum Step {
    Put(Option<u64>),
    Ask(Verb, &'static str, Value),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let asks = prop_oneof![
        Just((Verb::Delete, "data/a", json!({}))),
        Just((Verb::Write, "destroy/a", json!({"versions": [1]}))),
        Just((Verb::Write, "destroy/a", json!({"versions": [2, 3]}))),
        Just((Verb::Write, "undelete/a", json!({"versions": [1, 2, 3]}))),
        Just((Verb::Write, "metadata/a", json!({"max_versions": 2}))),
        Just((Verb::Delete, "metadata/a", json!({}))),
        Just((Verb::Delete, "metadata/b", json!({}))),
        Just((Verb::Write, "copy/b", json!({"source": "a"}))),
        Just((Verb::Write, "move/b", json!({"source": "a"}))),
        Just((Verb::Write, "move/a", json!({"source": "b"}))),
    ];
    prop_oneof![
        3 => prop::option::of(1_u64..90).prop_map(Step::Put),
        3 => asks.prop_map(|(verb, path, body)| Step::Ask(verb, path, body)),
        1 => (1_u64..60).prop_map(Step::Wait),
    ]
}

/// When the first version of a secret is over that nobody removed, in seconds since the epoch.
async fn next_end(mount: &Mount, path: &str) -> Option<i64> {
    let meta = metadata(mount, path).await.ok()?;
    let versions = meta["versions"].as_object()?.values();
    let lasting = versions.filter(|version| version["destroyed"] == false);
    lasting
        .filter_map(|version| version["expire_time"].as_str())
        .map(|time| Timestamp::parse_rfc3339(time).unwrap().unix_seconds())
        .min()
}

proptest! {
    #[test]
    fn a_secret_has_one_timer_where_a_version_has_an_end(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mount = Mount::kv2();
            for step in steps {
                match step {
                    Step::Put(ttl) => {
                        let options = ttl.map_or(json!({}), |ttl| json!({"ttl": ttl}));
                        put(&mount, "a", json!({"data": {"k": 1}, "options": options})).await;
                    }
                    Step::Ask(verb, path, body) => {
                        // Some have nothing to act on, and are refused.
                        let _refused = mount.run(&Ask::new(verb, path).body(body)).await;
                    }
                    Step::Wait(seconds) => mount.clock.advance(Duration::from_secs(seconds)),
                }
                mount.serve_timers().await;
                let mut expected = Vec::new();
                for path in ["a", "b"] {
                    let end = next_end(&mount, path).await;
                    expected.extend(end.map(|end| (end, path.to_owned())));
                }
                expected.sort();
                assert_eq!(mount.timers(), expected);
            }
        });
    }
}
