//! Mounts: many of them, races for a path, and what is left of one that is gone.

use crate::support::probe::gate;
use crate::support::until;
use crate::support::vault::Vault;
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn ten_thousand_mounts_are_there_after_an_unseal() {
    const MOUNTS: usize = 10_000;
    let vault = Vault::open().await;
    let before = vault.storage.keys("sys/mount/").await.len();
    for number in 0..MOUNTS {
        let path = format!("many/{}/{number}", number % 100);
        vault.enable(&path, json!({"type": "kv"})).await;
    }
    vault
        .write("many/42/4242/a", json!({"a": 1}))
        .await
        .unwrap();
    vault.core.seal().await;
    let (pages, reads) = (vault.storage.pages_of("sys/mount/"), vault.storage.reads());
    vault.unseal().await;
    // What a start costs is what it asks of the storage: a thousand records at a time, none alone.
    let pages = vault.storage.pages_of("sys/mount/") - pages;
    assert!(pages <= MOUNTS / 1_000 + 2, "{pages} pages");
    let reads = vault.storage.reads() - reads;
    assert!(reads < 100, "{reads} reads of single keys");
    assert_eq!(
        vault.storage.keys("sys/mount/").await.len(),
        before + MOUNTS
    );
    let read = vault.read("many/42/4242/a").await.unwrap();
    assert_eq!(read.data["a"], 1);
    let missing = vault.read("many/42/4243/a").await;
    assert!(
        matches!(missing, Err(Fault::NotFoundBecause(_))),
        "{missing:?}"
    );
}

#[tokio::test]
async fn nothing_is_left_of_a_mount_that_is_gone() {
    let vault = Vault::open().await;
    let before = vault.storage.keys("").await;
    vault.enable("gone", json!({"type": "kv-v2"})).await;
    for number in 0..600 {
        let path = format!("gone/data/a/{number}");
        let body = json!({"data": {"number": number}});
        vault.write(&path, body).await.unwrap();
    }
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    let read = vault.read("gone/data/a/1").await;
    assert!(matches!(read, Err(Fault::NotFoundBecause(_))));
    // A new mount at the same path begins empty, whatever the janitor still has to do.
    vault.enable("gone", json!({"type": "kv-v2"})).await;
    let listed = vault.ask(Verb::List, "gone/metadata/a").await;
    assert!(matches!(listed, Err(Fault::NotFound)), "{listed:?}");
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    until("the janitor has cleaned up", async || {
        let mut left = vault.storage.keys("").await;
        left.retain(|key| key != "sys/mounts");
        left.len() + 1 == before.len()
    })
    .await;
    assert_eq!(vault.storage.keys("").await, before);
}

#[tokio::test]
async fn the_removal_of_a_large_mount_holds_up_no_other_clean_up() {
    let vault = Vault::open().await;
    for mount in ["large", "small"] {
        vault.enable(mount, json!({"type": "kv"})).await;
    }
    vault.write("small/a", json!({"a": 1})).await.unwrap();
    // More than a step deletes.
    for number in 0..(16 + 4) * 256 {
        let path = format!("large/{number}");
        vault.write(&path, json!({"a": 1})).await.unwrap();
    }
    for mount in ["large", "small"] {
        let path = format!("sys/mounts/{mount}");
        vault.ask(Verb::Delete, &path).await.unwrap();
    }
    let before = vault.storage.pages().len();
    until("the data is gone", async || {
        vault.storage.keys("sys/unmount/").await.is_empty()
    })
    .await;
    assert!(vault.storage.keys("mount/").await.is_empty());
    let pages = vault.storage.pages().split_off(before);
    let of_mounts = |round: &[String]| {
        let of_mounts = round.iter().filter(|page| page.starts_with("mount/"));
        of_mounts.count()
    };
    let rounds = pages.split(|page| page == "sys/expiry/");
    let most = rounds.map(of_mounts).max();
    assert_eq!(most, Some(16), "{pages:?}");
    // The small one had its turn before the large one was done.
    let first = &pages.iter().position(|page| page.starts_with("mount/"));
    let turns: Vec<_> = (pages[first.unwrap()..].iter())
        .filter(|page| page.starts_with("mount/"))
        .take(2)
        .collect();
    assert_ne!(turns[0], turns[1]);
}

#[tokio::test]
async fn a_removal_that_a_seal_cut_off_is_finished() {
    let vault = Vault::open().await;
    vault.enable("gone", json!({"type": "kv"})).await;
    for number in 0..600 {
        let path = format!("gone/{number}");
        vault.write(&path, json!({"a": 1})).await.unwrap();
    }
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    // One batch of the janitor's, and no more.
    vault.storage.fail_commits_after(1);
    until("the janitor has begun", async || {
        vault.storage.keys("mount/").await.len() < 600
    })
    .await;
    vault.core.seal().await;
    assert!(!vault.storage.keys("mount/").await.is_empty());
    vault.storage.heal();
    vault.unseal().await;
    until("the rest is gone", async || {
        vault.storage.keys("mount/").await.is_empty()
            && vault.storage.keys("sys/unmount/").await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_write_under_way_leaves_nothing_in_a_mount_that_is_gone() {
    let vault = Arc::new(Vault::open().await);
    vault.enable("gone", json!({"type": "probe"})).await;
    let gate = gate("gone-mount");
    let slow = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move { vault.write("gone/gate/gone-mount", json!({})).await }
    });
    gate.wait_for(1).await;
    // Its settings change while the write waits, so that two forms of the mount are in use.
    let tune = json!({"description": "soon gone"});
    vault.write("sys/mounts/gone/tune", tune).await.unwrap();
    vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
    let rounds = vault.storage.pages_of("sys/unmount/");
    until("the janitor came by twice", async || {
        vault.storage.pages_of("sys/unmount/") >= rounds + 3
    })
    .await;
    gate.pass.add_permits(1);
    let written = slow.await.unwrap();
    let refused = matches!(written, Err(Fault::NotFoundBecause(_)));
    assert!(refused, "{written:?}");
    until("the mount's data is gone", async || {
        vault.storage.keys("sys/unmount/").await.is_empty()
    })
    .await;
    assert!(vault.storage.keys("mount/").await.is_empty());
}

#[tokio::test]
async fn a_write_that_comes_after_the_clean_up_is_refused() {
    for crashes in [false, true] {
        let vault = Arc::new(Vault::open().await);
        vault.enable("gone", json!({"type": "kv"})).await;
        vault.write("gone/first", json!({"a": 1})).await.unwrap();
        vault.storage.hold_next_commit("mount/");
        let writer = tokio::spawn({
            let vault = Arc::clone(&vault);
            async move { vault.write("gone/late", json!({"a": 1})).await }
        });
        vault.storage.wait_until_held().await;
        // Nobody waits for it any more, and nobody knows of it.
        writer.abort();
        assert!(writer.await.unwrap_err().is_cancelled());
        vault.ask(Verb::Delete, "sys/mounts/gone").await.unwrap();
        if crashes {
            vault.core.seal().await;
            vault.unseal().await;
        }
        until("the mount's data is gone", async || {
            vault.storage.keys("sys/unmount/").await.is_empty()
        })
        .await;
        vault.storage.let_go().await;
        assert!(vault.storage.keys("mount/").await.is_empty(), "{crashes}");
    }
}

#[tokio::test]
async fn a_write_goes_on_while_its_mount_is_tuned() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.hold_next_commit("mount/");
    let writer = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move {
            vault
                .write("secret/data/a", json!({"data": {"a": 1}}))
                .await
        }
    });
    vault.storage.wait_until_held().await;
    let tune = json!({"description": "tuned"});
    vault.write("sys/mounts/secret/tune", tune).await.unwrap();
    vault.storage.let_go().await;
    writer.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_enables_of_one_path_at_once_one_wins() {
    for round in 0..10 {
        let vault = Arc::new(Vault::open().await);
        vault.storage.slow_commits(2);
        let before = vault.storage.keys("sys/mount/").await.len();
        let mut enables = JoinSet::new();
        // Every other one wants a path below or above.
        for number in 0..10 {
            let vault = Arc::clone(&vault);
            let path = ["sys/mounts/x/y", "sys/mounts/x", "sys/mounts/x/y/z"][number % 3];
            enables.spawn(async move { vault.write(path, json!({"type": "kv"})).await });
        }
        let mut won = 0;
        while let Some(enabled) = enables.join_next().await {
            match enabled.unwrap() {
                Ok(_) => won += 1,
                Err(Fault::Invalid(text)) => assert!(text.starts_with("path is already in use")),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
        assert_eq!(vault.storage.keys("sys/mount/").await.len(), before + 1);
    }
}

#[tokio::test]
async fn an_enable_that_lost_looks_at_the_table_that_won() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(1);
    let enable = || {
        let vault = Arc::clone(&vault);
        tokio::spawn(async move { vault.write("sys/mounts/x", json!({"type": "kv"})).await })
    };
    let before = vault.storage.keys("sys/mount/").await.len();
    // The news of who won is late, so that the loser has nothing but the storage to go by.
    vault.storage.mute_changes(true);
    let (one, other) = (enable(), enable());
    until("one of them has won", async || {
        vault.storage.keys("sys/mount/").await.len() > before
    })
    .await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    vault.storage.mute_changes(false);
    let answers = [one.await.unwrap(), other.await.unwrap()];
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(won, 1, "{answers:?}");
    assert_eq!(vault.storage.keys("sys/mount/").await.len(), before + 1);
}

#[tokio::test]
async fn tunings_at_once_lose_nothing() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(1);
    vault.storage.mute_changes(true);
    let tune = |body| {
        let vault = Arc::clone(&vault);
        tokio::spawn(async move { vault.write("sys/mounts/secret/tune", body).await })
    };
    let tunings = [
        tune(json!({"default_lease_ttl": 60})),
        tune(json!({"max_lease_ttl": 7200})),
        tune(json!({"description": "tuned"})),
    ];
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    vault.storage.mute_changes(false);
    for tuning in tunings {
        tuning.await.unwrap().unwrap();
    }
    let tuned = vault.read("sys/mounts/secret/tune").await.unwrap().data;
    assert_eq!(
        (&tuned["default_lease_ttl"], &tuned["max_lease_ttl"]),
        (&60.into(), &7200.into())
    );
    assert_eq!(tuned["description"], "tuned");
}

#[tokio::test]
async fn paths_that_overlap_or_are_reserved_are_refused() {
    let vault = Vault::open().await;
    vault.enable("team/a", json!({"type": "kv"})).await;
    for path in [
        "team/a",
        "team/a/",
        "team",
        "team/a/b",
        "secret",
        "secret/x",
        "sys",
        "sys/x",
        "auth",
        "auth/x",
        "cubbyhole",
        "identity/x",
    ] {
        let path = format!("sys/mounts/{path}");
        let enabled = vault.write(&path, json!({"type": "kv"})).await;
        assert!(
            matches!(enabled, Err(Fault::Invalid(_))),
            "{path}: {enabled:?}"
        );
    }
    for path in ["sys/auth/token", "sys/auth/token/x", "sys/auth/x"] {
        let enabled = vault.write(path, json!({"type": "kv"})).await;
        assert!(
            matches!(enabled, Err(Fault::Invalid(_))),
            "{path}: {enabled:?}"
        );
    }
    vault.enable("team/b", json!({"type": "kv"})).await;
    vault.enable("tea", json!({"type": "kv"})).await;
    for path in ["sys/mounts/sys", "sys/auth/token"] {
        let disabled = vault.ask(Verb::Delete, path).await;
        assert!(matches!(disabled, Err(Fault::Invalid(_))), "{path}");
    }
    vault.ask(Verb::Delete, "sys/mounts/nowhere").await.unwrap();
}

#[tokio::test]
async fn an_unknown_type_is_told_in_short_with_what_there_is() {
    let vault = Vault::open().await;
    let long = "x".repeat(100_000);
    for (path, kind, expected) in [
        ("sys/mounts/a", "kw", "use one of kv, transit, probe"),
        (
            "sys/mounts/a",
            long.as_str(),
            "use one of kv, transit, probe",
        ),
        ("sys/auth/a", "userpass", "this version has none"),
    ] {
        match vault.write(path, json!({"type": kind})).await {
            Err(Fault::Invalid(told)) => {
                assert!(told.contains(expected) && told.len() < 300, "{told}");
            }
            other => panic!("{other:?}"),
        }
    }
}
