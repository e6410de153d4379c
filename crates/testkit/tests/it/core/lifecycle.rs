//! Init, unseal, seal.

use crate::support::faults::Faulty;
use crate::support::probe::gate;
use crate::support::vault::{Vault, ask, clock, core};
use crate::support::{poll_once, until};
use secretum_core::NodeState;
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;

async fn state(vault: &Vault) -> NodeState {
    vault.core.status().await.unwrap().state
}

#[tokio::test]
async fn a_sealed_vault_answers_lifecycle_paths_alone() {
    let vault = Vault::sealed(1, 1).await;
    for (verb, path) in [
        (Verb::Read, "sys/mounts"),
        (Verb::Read, "secret/data/a"),
        (Verb::Write, "secret/data/a"),
        (Verb::List, "auth/token/accessors"),
        (Verb::Read, "sys/internal/ui/mounts"),
        (Verb::Read, "sys/internal/specs/openapi"),
        (Verb::Read, "sys/seal"),
        (Verb::Help, "sys/mounts"),
        (Verb::Help, "sys/seal"),
        (Verb::Read, ""),
    ] {
        let answer = vault.ask(verb, path).await;
        assert!(matches!(answer, Err(Fault::Sealed)), "{path}: {answer:?}");
    }
    for path in ["sys/init", "sys/seal-status", "sys/health"] {
        let answer = ask(Verb::Read, path).of(&vault.core).await.unwrap();
        assert_eq!(answer.data["initialized"], true, "{path}");
    }
    for path in ["init", "seal-status", "unseal", "health", "leader"] {
        let path = format!("sys/{path}");
        let answer = ask(Verb::Help, &path).of(&vault.core).await.unwrap();
        let help = answer.data["help"].as_str().unwrap();
        assert!(help.contains(&path), "{help}");
        let described = &answer.data["openapi"]["paths"][format!("/{path}")];
        assert!(described.is_object(), "{path}");
    }
    // It is what it is asked to be, whoever asks.
    for token in ["", &vault.root] {
        let seal = ask(Verb::Write, "sys/seal").token(token);
        seal.of(&vault.core).await.unwrap();
    }
    // There is no other node that could lead.
    let leader = ask(Verb::Read, "sys/leader").of(&vault.core).await.unwrap();
    assert_eq!(leader.data["ha_enabled"], false);
    assert_eq!(leader.data["is_self"], false);
    assert_eq!(leader.data["leader_address"], "");
    let other_verb = ask(Verb::Delete, "sys/seal-status").of(&vault.core).await;
    assert!(matches!(other_verb, Err(Fault::Unsupported)));
}

#[tokio::test]
async fn no_vault_is_made_without_the_recovery_keys_that_were_asked_for() {
    let core = core(&Faulty::new(), &clock());
    let init = |more: serde_json::Value| {
        let mut body = json!({"secret_shares": 1, "secret_threshold": 1});
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        ask(Verb::Write, "sys/init").body(body).of(&core)
    };
    for (more, named) in [
        (
            json!({"recovery_shares": 1, "recovery_threshold": 1}),
            "recovery_shares,recovery_threshold",
        ),
        (json!({"recovery_threshold": 3}), "recovery_threshold"),
        (json!({"recovery_pgp_keys": ["a"]}), "recovery_pgp_keys"),
    ] {
        let refused = init(more).await.unwrap_err().to_string();
        let expected = format!("parameters {named} not applicable to seal type shamir");
        assert!(refused.contains(&expected), "{refused}");
        let state = core.status().await.unwrap().state;
        assert_eq!(state, NodeState::Uninitialized);
    }
    let leader = ask(Verb::Read, "sys/leader").of(&core).await.unwrap();
    assert_eq!(leader.data["ha_enabled"], false);
    init(json!({"recovery_shares": 0, "recovery_threshold": 0}))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_open_vault_has_no_shares_to_forget() {
    let vault = Vault::open().await;
    let reset = ask(Verb::Write, "sys/unseal").body(json!({"reset": true}));
    let refused = reset.of(&vault.core).await.unwrap_err();
    assert!(matches!(&refused, Fault::Invalid(text) if text == "vault is unsealed"));
}

#[tokio::test]
async fn a_vault_is_made_once() {
    let vault = Vault::sealed(1, 1).await;
    let again = || {
        let body = json!({"secret_shares": 1, "secret_threshold": 1});
        ask(Verb::Write, "sys/init").body(body).of(&vault.core)
    };
    assert!(matches!(again().await, Err(Fault::Invalid(_))));
    vault.unseal().await;
    assert!(matches!(again().await, Err(Fault::Invalid(_))));
    assert!(vault.lives(&vault.root).await);
}

#[tokio::test]
async fn shares_are_counted_until_there_are_enough() {
    let vault = Vault::sealed(5, 3).await;
    let first = vault.give_share(&vault.shares[4]).await.unwrap().data;
    assert_eq!(
        (&first["progress"], &first["sealed"]),
        (&1.into(), &true.into())
    );
    // A share given twice counts once.
    let twice = vault.give_share(&vault.shares[4]).await.unwrap().data;
    assert_eq!(twice["progress"], 1);
    assert_eq!(twice["nonce"], first["nonce"]);
    let second = vault.give_share(&vault.shares[0]).await.unwrap().data;
    assert_eq!(second["progress"], 2);
    // Starting over forgets them.
    let reset = ask(Verb::Write, "sys/unseal").body(json!({"reset": true}));
    let reset = reset.of(&vault.core).await.unwrap().data;
    assert_eq!(
        (&reset["progress"], &reset["nonce"]),
        (&0.into(), &"".into())
    );
    for (share, sealed) in [(1, true), (3, true), (2, false)] {
        let answer = vault.give_share(&vault.shares[share]).await.unwrap().data;
        assert_eq!(answer["sealed"], sealed);
    }
    assert_eq!(state(&vault).await, NodeState::Active);
    // What comes late changes nothing.
    let late = vault.give_share(&vault.shares[0]).await.unwrap().data;
    assert_eq!(late["sealed"], false);
}

#[tokio::test]
async fn wrong_shares_are_refused_and_forgotten() {
    let (vault, other) = (Vault::sealed(3, 2).await, Vault::sealed(3, 2).await);
    for text in ["", "not hex!", "00"] {
        assert!(matches!(
            vault.give_share(text).await,
            Err(Fault::Invalid(_))
        ));
    }
    vault.give_share(&vault.shares[0]).await.unwrap();
    let mixed = vault.give_share(&other.shares[1]).await;
    assert!(matches!(mixed, Err(Fault::Invalid(_))), "{mixed:?}");
    assert_eq!(state(&vault).await, NodeState::Sealed);
    assert_eq!(vault.core.status().await.unwrap().seal.progress, 0);
    for share in &other.shares[..2] {
        let _ = vault.give_share(share).await;
    }
    assert_eq!(state(&vault).await, NodeState::Sealed);
    vault.unseal().await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_seal() {
    let vault = Vault::open().await;
    let secret = json!({"data": {"password": "hunter2"}});
    vault.write("secret/data/a", secret.clone()).await.unwrap();
    for _ in 0..3 {
        vault.core.seal().await;
        assert_eq!(state(&vault).await, NodeState::Sealed);
        let sealed = vault.read("secret/data/a").await;
        assert!(matches!(sealed, Err(Fault::Sealed)));
        vault.unseal().await;
        let read = vault.read("secret/data/a").await.unwrap();
        assert_eq!(read.data["data"], secret["data"]);
    }
}

#[tokio::test]
async fn a_seal_waits_for_requests_under_way() {
    let vault = Arc::new(Vault::open().await);
    let gate = gate("seal-drain");
    let slow = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move { vault.write("probe/gate/seal-drain", json!({})).await }
    });
    gate.wait_for(1).await;
    vault.write("sys/seal", json!({})).await.unwrap();
    // No new request begins, and the vault cannot be opened in between.
    let refused = vault.read("secret/data/a").await;
    assert!(matches!(refused, Err(Fault::Sealed)), "{refused:?}");
    let mut unseal = Box::pin(vault.give_share(&vault.shares[0]));
    assert!(!poll_once(&mut unseal).await);
    assert!(!slow.is_finished());
    gate.pass.add_permits(1);
    slow.await.unwrap().unwrap();
    // The seal went first, so the share opens the vault again.
    assert_eq!(unseal.await.unwrap().data["sealed"], false);
    vault.core.seal().await;
    vault.unseal().await;
    assert_eq!(vault.storage.keys("mount/").await.len(), 1, "the write");
}

#[tokio::test(start_paused = true)]
async fn a_seal_ends_requests_that_do_not_end() {
    let vault = Arc::new(Vault::open().await);
    let gate = gate("seal-cut-off");
    let stuck = tokio::spawn({
        let vault = Arc::clone(&vault);
        async move { vault.write("probe/gate/seal-cut-off", json!({})).await }
    });
    gate.wait_for(1).await;
    vault.core.seal().await;
    vault.unseal().await;
    gate.pass.add_permits(1);
    let answer = tokio::time::timeout(crate::support::DEADLINE, stuck).await;
    let answer = answer.expect("it never ends").unwrap();
    assert!(matches!(answer, Err(Fault::Sealed)), "{answer:?}");
    assert!(vault.storage.keys("mount/").await.is_empty());
}

#[tokio::test]
async fn a_seal_is_not_lost_to_an_unseal_under_way() {
    let vault = Vault::open().await;
    vault.storage.slow_reads(3);
    // Whoever sends shares to an open vault holds the transition for a moment.
    let mut unseal = Box::pin(vault.give_share("00"));
    assert!(!poll_once(&mut unseal).await);
    vault.write("sys/seal", json!({})).await.unwrap();
    let _ = unseal.await;
    until("the vault is sealed", async || {
        state(&vault).await == NodeState::Sealed
    })
    .await;
}

#[tokio::test]
async fn an_unseal_goes_on_when_its_caller_hangs_up() {
    for polls in 1..40 {
        let vault = Vault::sealed(1, 1).await;
        vault.storage.slow_reads(1);
        let mut unseal = Box::pin(vault.give_share(&vault.shares[0]));
        for _ in 0..polls {
            if poll_once(&mut unseal).await {
                break;
            }
        }
        drop(unseal);
        until("the vault is active", async || {
            state(&vault).await == NodeState::Active
        })
        .await;
    }
}

#[tokio::test]
async fn an_init_that_is_cut_off_leaves_no_open_barrier() {
    for polls in 1..40 {
        let (storage, clock) = (
            crate::support::faults::Faulty::new(),
            crate::support::vault::clock(),
        );
        let core = crate::support::vault::core(&storage, &clock);
        storage.slow_reads(1);
        storage.slow_commits(1);
        let body = json!({"secret_shares": 1, "secret_threshold": 1});
        let mut init = Box::pin(ask(Verb::Write, "sys/init").body(body).of(&core));
        for _ in 0..polls {
            if poll_once(&mut init).await {
                break;
            }
        }
        drop(init);
        let wrong = json!({"key": "00".repeat(32)});
        let _ = ask(Verb::Write, "sys/unseal").body(wrong).of(&core).await;
        let state = core.status().await.unwrap().state;
        assert_ne!(state, NodeState::Active, "after {polls} polls");
    }
}

#[tokio::test]
async fn a_vault_that_cannot_follow_its_storage_seals_and_leaves_nobody_waiting() {
    let vault = Vault::open().await;
    vault.storage.break_feeds();
    let write = vault.write("secret/data/a", json!({"data": {"a": 1}}));
    let written = tokio::time::timeout(crate::support::DEADLINE, write).await;
    assert!(written.expect("the write waits for ever").is_err());
    until("the vault is sealed", async || {
        state(&vault).await == NodeState::Sealed
    })
    .await;
}

#[tokio::test]
async fn a_feed_that_fails_while_the_vault_opens_seals_it() {
    let vault = Vault::sealed(1, 1).await;
    vault.storage.break_feeds();
    vault.storage.slow_reads(3);
    let _ = vault.give_share(&vault.shares[0]).await;
    until("the vault is sealed", async || {
        state(&vault).await == NodeState::Sealed
    })
    .await;
}

#[tokio::test]
async fn a_vault_whose_table_cannot_be_read_stays_sealed() {
    let vault = Vault::sealed(1, 1).await;
    let mount = vault.storage.keys("sys/mount/").await.remove(0);
    vault.storage.overwrite(&mount, b"not a record").await;
    let answer = vault.give_share(&vault.shares[0]).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(state(&vault).await, NodeState::Sealed);
    let again = vault.give_share(&"00".repeat(32)).await;
    assert!(matches!(again, Err(Fault::Invalid(_))), "{again:?}");
}

#[tokio::test]
async fn writers_at_once_reserve_encryptions_once() {
    const WRITERS: usize = 64;
    let vault = Vault::open().await;
    vault.core.seal().await;
    // What is left of the last reservation is not known: the first write needs another.
    vault.unseal().await;
    vault.storage.slow_reads(1);
    vault.storage.slow_commits(1);
    let writes = (0..WRITERS).map(|number| {
        let (vault, path) = (&vault, format!("secret/data/{number}"));
        async move { vault.write(&path, json!({"data": {"a": 1}})).await }
    });
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
    let status = vault.read("sys/key-status").await.unwrap();
    let counted = status.data["encryptions"].as_u64().unwrap();
    // What was left of the reservations of two lives counts, and then what these writes needed.
    assert!(counted < (3 << 18), "{counted}");
}
