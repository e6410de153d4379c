//! Rekeying.

use super::super::audit::Recorded;
use super::{begin, complete, give, keys, open, told, vault};
use crate::support::poll_once;
use crate::support::vault::{Vault, ask};
use secretum_core::NodeState;
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

const INIT: &str = "sys/rekey/init";
const UPDATE: &str = "sys/rekey/update";
const VERIFY: &str = "sys/rekey/verify";

fn three_of_two() -> Value {
    json!({"secret_shares": 3, "secret_threshold": 2})
}

fn verified() -> Value {
    json!({"secret_shares": 3, "secret_threshold": 2, "require_verification": true})
}

#[tokio::test]
async fn new_shares_take_the_place_of_the_old_ones() {
    let vault = vault(5, 3).await;
    let idle = vault.read(INIT).await.unwrap().data;
    assert_eq!(
        idle,
        json!({"nonce": "", "started": false, "t": 0, "n": 0, "progress": 0, "required": 3,
               "pgp_fingerprints": null, "backup": false, "verification_required": false})
    );
    let nonce = begin(&vault, INIT, three_of_two()).await;
    for (number, share) in (1..).zip(&vault.shares[..2]) {
        let more = give(&vault, UPDATE, &nonce, share).await.unwrap().data;
        assert_eq!(more["progress"], number);
        assert_eq!((&more["t"], &more["n"]), (&json!(2), &json!(3)));
        assert_eq!(more, vault.read(INIT).await.unwrap().data);
    }
    let done = give(&vault, UPDATE, &nonce, &vault.shares[4])
        .await
        .unwrap();
    assert_eq!(done.data["complete"], true);
    assert_eq!(done.data["nonce"], nonce);
    let new = keys(&done.data);
    assert_eq!(new.len(), 3);
    assert_eq!(vault.read(INIT).await.unwrap().data["started"], false);
    let status = vault.read("sys/seal-status").await.unwrap().data;
    assert_eq!((&status["t"], &status["n"]), (&json!(2), &json!(3)));
    assert!(!open(&vault, &vault.shares[..3]).await);
    assert!(open(&vault, &new[1..]).await);
    assert!(vault.lives(&vault.root).await);
}

#[tokio::test]
async fn a_single_share_is_rekeyed_to_many_and_back() {
    let vault = vault(1, 1).await;
    let nonce = begin(&vault, INIT, three_of_two()).await;
    let many = keys(&complete(&vault, UPDATE, &nonce, &vault.shares).await);
    let one = json!({"secret_shares": 1, "secret_threshold": 1});
    let nonce = begin(&vault, INIT, one).await;
    let single = keys(&complete(&vault, UPDATE, &nonce, &many).await);
    assert!(!open(&vault, &many).await);
    assert!(!open(&vault, &vault.shares).await);
    assert!(open(&vault, &single).await);
}

#[tokio::test]
async fn shares_that_must_be_verified_take_effect_when_they_are() {
    let vault = vault(3, 2).await;
    let nonce = begin(&vault, INIT, verified()).await;
    let early = told(vault.write(VERIFY, json!({"key": "00".repeat(33)})).await);
    assert_eq!(early, "no rekey verification in progress");
    assert_eq!(vault.read(VERIFY).await.unwrap().data["started"], false);
    let done = complete(&vault, UPDATE, &nonce, &vault.shares).await;
    let new = keys(&done);
    let second = done["verification_nonce"].as_str().unwrap().to_owned();
    assert_eq!(done["verification_required"], true);
    assert_ne!(second, nonce);
    let late = told(give(&vault, UPDATE, &nonce, &vault.shares[0]).await);
    assert!(late.contains(&second) && late.contains("verification must be performed"));
    let progress = vault.read(VERIFY).await.unwrap().data;
    assert_eq!(
        progress,
        json!({"nonce": second, "started": true, "t": 2, "n": 3, "progress": 0})
    );
    assert_eq!(
        vault.read(INIT).await.unwrap().data["verification_nonce"],
        second.as_str()
    );
    let wrong = told(give(&vault, VERIFY, &nonce, &new[0]).await);
    assert!(
        wrong.contains("nonce for this verify operation is"),
        "{wrong}"
    );
    let first = give(&vault, VERIFY, &second, &new[2]).await.unwrap().data;
    assert_eq!(first["progress"], 1);
    let twice = told(give(&vault, VERIFY, &second, &new[2]).await);
    assert!(twice.contains("already been provided during this verify operation"));
    // Beginning anew forgets what was given, and the nonce.
    let anew = vault.ask(Verb::Delete, VERIFY).await.unwrap().data;
    assert_eq!(anew["progress"], 0);
    let third = anew["nonce"].as_str().unwrap().to_owned();
    assert_ne!(third, second);
    // Shares of the old seal are none of the new one.
    give(&vault, VERIFY, &third, &vault.shares[0])
        .await
        .unwrap();
    let mixed = told(give(&vault, VERIFY, &third, &new[0]).await);
    assert_eq!(
        mixed,
        "rekey verification failed; incorrect key shares supplied"
    );
    let fourth = vault.read(VERIFY).await.unwrap().data["nonce"].clone();
    assert_ne!(fourth, third.as_str());
    let end = complete(&vault, VERIFY, fourth.as_str().unwrap(), &new[1..]).await;
    assert_eq!(end["nonce"], fourth);
    assert!(!open(&vault, &vault.shares[..2]).await);
    assert!(open(&vault, &new[..2]).await);
}

#[tokio::test]
async fn without_verification_the_old_shares_stay_in_force() {
    for how in ["cancel", "seal"] {
        let vault = vault(3, 2).await;
        let nonce = begin(&vault, INIT, verified()).await;
        let new = keys(&complete(&vault, UPDATE, &nonce, &vault.shares).await);
        if how == "cancel" {
            vault.ask(Verb::Delete, INIT).await.unwrap();
        }
        assert!(!open(&vault, &new[..2]).await, "{how}");
        assert!(open(&vault, &vault.shares[..2]).await, "{how}");
        let idle = vault.read(INIT).await.unwrap().data;
        assert_eq!(idle["started"], false, "{how}");
        let gone = told(vault.read(VERIFY).await);
        assert_eq!(gone, "no rekey configuration found");
    }
}

#[tokio::test]
async fn wrong_shares_are_refused_and_forgotten() {
    let (vault, other) = (vault(3, 2).await, vault(3, 2).await);
    let share = |text: &str| json!({"key": text, "nonce": "x"});
    let none = told(vault.write(UPDATE, share(&vault.shares[0])).await);
    assert_eq!(none, "no barrier rekey in progress");
    let nonce = begin(&vault, INIT, three_of_two()).await;
    for (key, text) in [
        ("", "'key' must be specified in request body as JSON"),
        ("not a key!", "'key' must be a valid hex or base64 string"),
        ("AAAA", "key is shorter than minimum 16 bytes"),
        (&"00".repeat(34), "key is longer than maximum 33 bytes"),
    ] {
        assert!(
            told(give(&vault, UPDATE, &nonce, key).await).starts_with(text),
            "{key}"
        );
    }
    let wrong = told(vault.write(UPDATE, share(&vault.shares[0])).await);
    let expected =
        format!("incorrect nonce supplied; nonce for this rekey operation is \"{nonce}\"");
    assert_eq!(wrong, expected);
    give(&vault, UPDATE, &nonce, &vault.shares[0])
        .await
        .unwrap();
    let twice = told(give(&vault, UPDATE, &nonce, &vault.shares[0]).await);
    assert!(twice.starts_with("given key has already been provided"));
    assert_eq!(vault.read(INIT).await.unwrap().data["progress"], 1);
    let mixed = told(give(&vault, UPDATE, &nonce, &other.shares[1]).await);
    assert!(mixed.contains("do not open this vault"), "{mixed}");
    let reset = vault.read(INIT).await.unwrap().data;
    assert_eq!(
        (&reset["progress"], &reset["nonce"]),
        (&json!(0), &json!(nonce))
    );
    let new = keys(&complete(&vault, UPDATE, &nonce, &vault.shares[1..]).await);
    assert!(open(&vault, &new[..2]).await);
}

#[tokio::test]
async fn a_rekey_that_cannot_be_is_not_begun() {
    let vault = vault(1, 1).await;
    for body in [
        json!({}),
        json!({"secret_shares": 0, "secret_threshold": 0}),
        json!({"secret_shares": 2, "secret_threshold": 3}),
        json!({"secret_shares": 2, "secret_threshold": 1}),
        json!({"secret_shares": 256, "secret_threshold": 2}),
        json!({"secret_shares": 3, "secret_threshold": 2, "backup": true}),
        json!({"secret_shares": 3, "secret_threshold": 2, "pgp_keys": ["AAAA"]}),
        json!({"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["AAAA"]}),
    ] {
        told(vault.write(INIT, body).await);
    }
    assert_eq!(vault.read(INIT).await.unwrap().data["started"], false);
    let nonce = begin(&vault, INIT, three_of_two()).await;
    let second = told(vault.write(INIT, three_of_two()).await);
    assert_eq!(second, "rekey already in progress");
    let cancel = |nonce: &str| {
        let ask = ask(Verb::Delete, INIT).token(&vault.root);
        ask.query("nonce", nonce).of(&vault.core)
    };
    assert!(told(cancel("another").await).starts_with("incorrect nonce"));
    cancel(&nonce).await.unwrap();
    // What is not there can be cancelled, too.
    vault.ask(Verb::Delete, INIT).await.unwrap();
    begin(&vault, INIT, three_of_two()).await;
}

#[tokio::test]
async fn who_has_no_right_takes_no_part() {
    let vault = vault(1, 1).await;
    let stranger = vault.token_with(&["default"]).await;
    let rows = [
        (Verb::Read, INIT),
        (Verb::Write, INIT),
        (Verb::Delete, INIT),
        (Verb::Write, UPDATE),
        (Verb::Read, VERIFY),
        (Verb::Write, VERIFY),
        (Verb::Delete, VERIFY),
        (Verb::Read, "sys/rekey/backup"),
        (Verb::Read, "sys/rekey-recovery-key/init"),
        (Verb::Read, "sys/rotate/root/init"),
        (Verb::Read, "sys/generate-root/attempt"),
        (Verb::Write, "sys/generate-root/attempt"),
        (Verb::Delete, "sys/generate-root/attempt"),
        (Verb::Write, "sys/generate-root/update"),
        (Verb::Read, "sys/generate-root-token/attempt"),
    ];
    for (verb, path) in rows {
        let nobody = ask(verb, path).of(&vault.core).await;
        assert!(matches!(nobody, Err(Fault::Denied)), "{path}: {nobody:?}");
        let known = vault.ask_as(&stranger, verb, path).await;
        assert!(matches!(known, Err(Fault::Denied)), "{path}: {known:?}");
    }
    // Reading the backup takes `sudo`.
    let reader = vault
        .token_under(
            "reader",
            "path \"sys/rekey/*\" { capabilities = [\"read\"] }",
        )
        .await;
    vault.ask_as(&reader, Verb::Read, INIT).await.unwrap();
    let backup = vault.ask_as(&reader, Verb::Read, "sys/rekey/backup").await;
    assert!(matches!(backup, Err(Fault::Denied)));
    let none = told(vault.read("sys/rekey/backup").await);
    assert_eq!(none, "no backed-up keys found");
    vault.core.seal().await;
    for (verb, path) in rows {
        let sealed = vault.ask(verb, path).await;
        assert!(matches!(sealed, Err(Fault::Sealed)), "{path}: {sealed:?}");
    }
}

#[tokio::test]
async fn a_vault_with_shares_has_no_recovery_keys() {
    let vault = vault(1, 1).await;
    for path in ["sys/rekey-recovery-key", "sys/rotate/recovery"] {
        for (verb, step) in [
            (Verb::Read, "init"),
            (Verb::Write, "init"),
            (Verb::Delete, "init"),
            (Verb::Write, "update"),
            (Verb::Read, "verify"),
        ] {
            let refused = told(vault.ask(verb, &format!("{path}/{step}")).await);
            assert_eq!(refused, "recovery rekeying not supported");
        }
    }
    let none = told(vault.read("sys/rekey/recovery-key-backup").await);
    assert_eq!(none, "no backed-up keys found");
}

#[tokio::test]
async fn a_rekey_that_rests_is_forgotten() {
    let vault = vault(2, 2).await;
    let nonce = begin(&vault, INIT, three_of_two()).await;
    vault.clock.advance(Duration::from_secs(6 * 3600 - 1));
    give(&vault, UPDATE, &nonce, &vault.shares[0])
        .await
        .unwrap();
    // A share begins the time anew.
    vault.clock.advance(Duration::from_secs(6 * 3600 - 1));
    assert_eq!(vault.read(INIT).await.unwrap().data["progress"], 1);
    vault.clock.advance(Duration::from_secs(1));
    assert_eq!(vault.read(INIT).await.unwrap().data["started"], false);
    let late = told(give(&vault, UPDATE, &nonce, &vault.shares[1]).await);
    assert_eq!(late, "no barrier rekey in progress");
}

#[tokio::test]
async fn holders_at_once_come_one_by_one() {
    let vault = vault(5, 5).await;
    let nonce = begin(&vault, INIT, three_of_two()).await;
    vault.storage.slow_reads(3);
    vault.storage.slow_commits(3);
    // Each share comes twice.
    let twice = vault.shares.iter().chain(&vault.shares);
    let given = twice.map(|share| give(&vault, UPDATE, &nonce, share));
    let answers = futures::future::join_all(given).await;
    let answers: Vec<Value> = answers
        .into_iter()
        .flatten()
        .map(|answer| answer.data)
        .collect();
    let mut progress: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer["progress"].as_u64())
        .collect();
    progress.sort_unstable();
    assert_eq!(progress, [1, 2, 3, 4]);
    let done: Vec<_> = answers
        .iter()
        .filter(|answer| answer["complete"] == true)
        .collect();
    assert_eq!(done.len(), 1);
    assert!(open(&vault, &keys(done[0])[..2]).await);
}

#[tokio::test]
async fn a_rekey_that_the_storage_refuses_leaves_the_old_shares() {
    let vault = vault(3, 2).await;
    let nonce = begin(&vault, INIT, three_of_two()).await;
    give(&vault, UPDATE, &nonce, &vault.shares[0])
        .await
        .unwrap();
    vault.storage.fail_commits_after(0);
    let refused = give(&vault, UPDATE, &nonce, &vault.shares[1]).await;
    assert!(matches!(refused, Err(Fault::Storage(_))), "{refused:?}");
    vault.storage.heal();
    assert!(open(&vault, &vault.shares[..2]).await);
}

#[tokio::test]
async fn a_rekey_of_which_nobody_knows_whether_it_was_made_gives_its_shares_out() {
    for made in [true, false] {
        let vault = vault(3, 2).await;
        let nonce = begin(&vault, INIT, three_of_two()).await;
        give(&vault, UPDATE, &nonce, &vault.shares[0])
            .await
            .unwrap();
        vault.storage.lose_next_answer(made);
        let given = give(&vault, UPDATE, &nonce, &vault.shares[1]).await;
        let answer = given.unwrap().data;
        let warning = answer["warning"].as_str().unwrap();
        assert!(warning.contains("keep them and the old ones"), "{warning}");
        let new = keys(&answer);
        assert_eq!(open(&vault, &new[..2]).await, made);
        assert_eq!(open(&vault, &vault.shares[..2]).await, !made);
    }
}

/// Lets a request go on so many steps, and its tasks with it; whether it ended.
async fn steps<F: Future>(request: &mut Pin<Box<F>>, steps: usize) -> bool {
    for _ in 0..steps {
        if poll_once(request).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_the_old_shares_or_the_new_ones() {
    let (mut left_old, mut left_new) = (0, 0);
    for number in 1..40 {
        let vault = vault(3, 2).await;
        let nonce = begin(&vault, INIT, three_of_two()).await;
        give(&vault, UPDATE, &nonce, &vault.shares[0])
            .await
            .unwrap();
        vault.storage.slow_reads(2);
        vault.storage.slow_commits(2);
        let request = ask(Verb::Write, UPDATE)
            .token(&vault.root)
            .body(json!({"nonce": nonce, "key": vault.shares[1]}));
        let last = tokio::spawn({
            let core = Arc::clone(&vault.core);
            async move { request.of(&core).await }
        });
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
        let is_answered = last.is_finished();
        // The machine stops: what is stored now is all that is left.
        let image = vault.storage.image().await;
        let after = Vault::on(Arc::clone(&image), &vault);
        if opens(&after, &vault.shares[..2]).await {
            left_old += 1;
            assert!(!is_answered, "the old shares are still in force");
            continue;
        }
        left_new += 1;
        // What the new ones are, the request would have told, had the machine not stopped.
        let new = keys(&last.await.unwrap().unwrap().data);
        let after = Vault::on(image, &vault);
        assert!(opens(&after, &new[1..]).await, "after {number} steps");
    }
    assert!(left_old > 0 && left_new > 0, "{left_old} {left_new}");
}

/// Whether these shares open a sealed vault.
async fn opens(vault: &Vault, shares: &[String]) -> bool {
    for share in shares {
        let _ = vault.give_share(share).await;
    }
    vault.core.status().await.unwrap().state == NodeState::Active
}

#[tokio::test]
async fn shares_whose_caller_is_gone_never_take_effect() {
    let (mut cut_off, mut answered) = (0, 0);
    for number in 1..60 {
        let vault = vault(3, 2).await;
        let nonce = begin(&vault, INIT, three_of_two()).await;
        give(&vault, UPDATE, &nonce, &vault.shares[0])
            .await
            .unwrap();
        vault.storage.slow_reads(2);
        vault.storage.slow_commits(2);
        let mut last = Box::pin(give(&vault, UPDATE, &nonce, &vault.shares[1]));
        if steps(&mut last, number).await {
            answered += 1;
            continue;
        }
        drop(last);
        cut_off += 1;
        assert!(
            open(&vault, &vault.shares[..2]).await,
            "after {number} steps"
        );
    }
    assert!(cut_off > 5 && answered > 0, "{cut_off} {answered}");
}

#[tokio::test]
async fn shares_whose_answer_cannot_be_recorded_never_take_effect() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let single = json!({"secret_shares": 1, "secret_threshold": 1});
    let nonce = begin(vault, INIT, single.clone()).await;
    // The record of the same request tells how much room one takes.
    let lines = recorded.text().lines().count();
    let shares = keys(&complete(vault, UPDATE, &nonce, &vault.shares).await);
    let line = recorded.text().lines().nth(lines).unwrap().len();
    let nonce = begin(vault, INIT, single).await;
    let length = recorded.fill(u64::try_from(line).unwrap() + 20);
    let refused = give(vault, UPDATE, &nonce, &shares[0]).await;
    assert!(matches!(refused, Err(Fault::Unrecorded)), "{refused:?}");
    recorded.empty(length);
    assert!(open(vault, &shares).await);
    assert!(!open(vault, &vault.shares).await, "those before");
}

#[tokio::test]
async fn a_seal_waits_for_the_last_share() {
    let vault = Arc::new(vault(2, 2).await);
    let nonce = begin(&vault, INIT, three_of_two()).await;
    give(&vault, UPDATE, &nonce, &vault.shares[0])
        .await
        .unwrap();
    vault.storage.hold_next_commit("core/root");
    let last = tokio::spawn({
        let (vault, nonce) = (Arc::clone(&vault), nonce.clone());
        async move { give(&vault, UPDATE, &nonce, &vault.shares[1]).await }
    });
    vault.storage.wait_until_held().await;
    let core = Arc::clone(&vault.core);
    let mut seal = Box::pin(core.seal());
    assert!(!poll_once(&mut seal).await);
    vault.storage.let_go().await;
    let new = keys(&last.await.unwrap().unwrap().data);
    seal.await;
    assert!(open(&vault, &new[..2]).await);
}

#[tokio::test]
async fn rotate_root_is_the_same_ceremony() {
    let vault = vault(1, 1).await;
    let nonce = begin(&vault, "sys/rotate/root/init", three_of_two()).await;
    assert_eq!(
        vault.read(INIT).await.unwrap().data["nonce"],
        nonce.as_str()
    );
    let done = complete(&vault, "sys/rotate/root/update", &nonce, &vault.shares).await;
    assert!(open(&vault, &keys(&done)[..2]).await);
}
