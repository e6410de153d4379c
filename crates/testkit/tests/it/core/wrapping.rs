//! Wrapped answers: opened once, whoever comes and however.

use crate::support::vault::{Answer, Ask, Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const LOOKUP: &str = "sys/wrapping/lookup";

/// The longest life of a wrapping token, in seconds.
const TTL_MAX: u64 = 32 * 24 * 3_600;

/// How often the race is run.
const ROUNDS: usize = 40;

/// How many of each kind take part.
const RACERS: usize = 4;

/// How a wrapped answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A caller of its own, the wrapping token in the body.
    Body,
    /// The wrapping token itself.
    OwnToken,
    /// A caller who wants it behind another token.
    Rewrap,
}

impl By {
    const ALL: [Self; 3] = [Self::Body, Self::OwnToken, Self::Rewrap];

    async fn asks(self, vault: &Vault, token: &str) -> Result<Answer, Fault> {
        let body = json!({"token": token});
        match self {
            Self::Body => vault.write("sys/wrapping/unwrap", body).await,
            Self::OwnToken => {
                vault
                    .ask_as(token, Verb::Write, "sys/wrapping/unwrap")
                    .await
            }
            Self::Rewrap => vault.write("sys/wrapping/rewrap", body).await,
        }
    }
}

async fn wrapped_for(vault: &Vault, seconds: u64) -> Answer {
    let wrap = ask(Verb::Write, "sys/wrapping/wrap").token(&vault.root);
    let wrap = wrap.body(json!({"x": "hunter2"})).wrapped(seconds);
    wrap.of(&vault.core).await.unwrap()
}

async fn wrapped(vault: &Vault) -> String {
    wrapped_for(vault, 60).await.wrap_token.unwrap()
}

fn lookup(token: &str) -> Ask {
    ask(Verb::Write, LOOKUP).body(json!({"token": token}))
}

/// Lets them race for one answer, another kind first in each round.
async fn race(vault: &Arc<Vault>, round: usize) {
    let token = wrapped(vault).await;
    let mut racers = JoinSet::new();
    let mut kinds = By::ALL;
    kinds.rotate_left(round % 3);
    for by in kinds.repeat(RACERS) {
        let (vault, token) = (Arc::clone(vault), token.clone());
        racers.spawn(async move { (by, by.asks(&vault, &token).await) });
    }
    let mut winners = Vec::new();
    while let Some(racer) = racers.join_next().await {
        match racer.unwrap() {
            (by, Ok(answer)) => winners.push((by, answer)),
            (_, Err(Fault::Invalid(told))) => assert!(told.contains("not valid"), "{told}"),
            // Who comes with a token that has just ended is nobody.
            (By::OwnToken, Err(Fault::Denied)) => {}
            (by, Err(other)) => panic!("{by:?}: {other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let (by, answer) = winners.pop().unwrap();
    let data = match by {
        By::Body | By::OwnToken => answer.data,
        By::Rewrap => {
            let next = answer.wrap_token.unwrap();
            By::Body.asks(vault, &next).await.unwrap().data
        }
    };
    assert_eq!(data, json!({"x": "hunter2"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_all_who_race_for_a_wrapped_answer_one_gets_it() {
    let vault = Arc::new(Vault::open().await);
    for round in 0..ROUNDS {
        // Each round another number of them has read the answer before the first one takes it.
        vault.storage.slow_commits(round as u64 % 8);
        vault.storage.slow_reads(round as u64 / 8);
        race(&vault, round).await;
    }
    vault.storage.slow_commits(0);
    vault.storage.slow_reads(0);
    let left = vault.storage.keys("sys/wrap/").await;
    assert!(left.is_empty(), "{left:?}");
}

/// One has read the answer and is about to take it when another one takes it.
#[tokio::test]
async fn who_comes_second_gets_nothing_however_the_two_ask() {
    let vault = Arc::new(Vault::open().await);
    for (second, first) in By::ALL
        .into_iter()
        .flat_map(|by| By::ALL.map(|to| (by, to)))
    {
        let token = wrapped(&vault).await;
        vault.storage.hold_next_commit("sys/wrap/");
        let held = tokio::spawn({
            let (vault, token) = (Arc::clone(&vault), token.clone());
            async move { second.asks(&vault, &token).await }
        });
        vault.storage.wait_until_held().await;
        first.asks(&vault, &token).await.unwrap();
        vault.storage.let_go().await;
        let refused = held.await.unwrap();
        assert!(
            matches!(refused, Err(Fault::Invalid(_))),
            "{first:?}, then {second:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn who_holds_only_a_wrapping_token_may_look_it_up() {
    let vault = Vault::open().await;
    let token = wrapped(&vault).await;
    vault
        .policy("poor", r#"path "x" { capabilities = ["read"] }"#)
        .await;
    let settings = json!({"policies": ["poor"], "no_default_policy": true});
    let poor = vault.token_of(&vault.root, settings).await.client_token;
    for ask in [
        lookup(&token),
        lookup(&token).token(&poor),
        lookup(&token).token("s.nobody"),
        ask(Verb::Read, LOOKUP).token(&token),
        ask(Verb::Write, LOOKUP).token(&token),
    ] {
        let facts = ask.of(&vault.core).await.unwrap().data;
        assert_eq!(facts["creation_path"], "sys/wrapping/wrap");
        assert_eq!(facts["creation_ttl"], 60);
    }
    // What is no wrapping token is nothing, and no token tells nothing.
    for ask in [
        lookup(&vault.root),
        lookup(&poor),
        lookup("s.nobody"),
        lookup(""),
        ask(Verb::Write, LOOKUP),
        ask(Verb::Write, LOOKUP).token(&poor),
    ] {
        let refused = ask.of(&vault.core).await.unwrap_err();
        assert!(refused.to_string().contains("not valid"), "{refused:?}");
    }
    let refused = ask(Verb::Read, LOOKUP).of(&vault.core).await.unwrap_err();
    assert!(matches!(refused, Fault::Denied), "{refused:?}");
    let opened = By::Body.asks(&vault, &token).await.unwrap();
    assert_eq!(opened.data, json!({"x": "hunter2"}));
}

#[tokio::test]
async fn who_looks_up_without_a_token_is_recorded_and_limited() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let vault = Vault::open().await;
    let body = json!({"type": "file", "options": {"file_path": file}});
    vault.write("sys/audit/file", body).await.unwrap();
    let token = wrapped(&vault).await;
    let limit = json!({"rate": 2, "interval": "1m", "path": LOOKUP});
    vault
        .write("sys/quotas/rate-limit/few", limit)
        .await
        .unwrap();
    for _ in 0..2 {
        lookup(&token).of(&vault.core).await.unwrap();
    }
    let refused = lookup(&token).of(&vault.core).await.unwrap_err();
    assert!(matches!(refused, Fault::TooMany { .. }), "{refused:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let records = text.lines().filter(|line| line.contains(LOOKUP));
    assert!(records.count() >= 4, "two requests and their answers");
    assert!(!text.contains(&token));
    vault.ask(Verb::Write, "sys/seal").await.unwrap();
    let sealed = lookup(&token).of(&vault.core).await.unwrap_err();
    assert!(matches!(sealed, Fault::Sealed), "{sealed:?}");
}

#[tokio::test]
async fn a_lookup_tells_the_time_that_the_wrapping_told() {
    let vault = Vault::open().await;
    vault.clock.advance(Duration::from_nanos(44_289_149_847));
    let wrapped = wrapped_for(&vault, 60).await;
    let (token, told) = (wrapped.wrap_token.unwrap(), wrapped.wrapped_at.unwrap());
    assert!(told.contains(".289149847"), "{told}");
    let facts = lookup(&token).of(&vault.core).await.unwrap().data;
    assert_eq!(facts["creation_time"], told);
    vault.clock.advance(Duration::from_nanos(1_000_000_001));
    let again = By::Rewrap.asks(&vault, &token).await.unwrap();
    let facts = lookup(&again.wrap_token.unwrap());
    let facts = facts.of(&vault.core).await.unwrap().data;
    assert_eq!(facts["creation_time"], again.wrapped_at.unwrap());
    assert_ne!(facts["creation_time"], told);
}

#[tokio::test]
async fn a_life_that_is_cut_is_told() {
    let vault = Vault::open().await;
    let longest = wrapped_for(&vault, TTL_MAX).await;
    assert!(longest.warnings.is_empty(), "{:?}", longest.warnings);
    let cut = wrapped_for(&vault, TTL_MAX + 1).await;
    assert!(cut.warnings[0].contains("2764800"), "{:?}", cut.warnings);
    let facts = lookup(&cut.wrap_token.unwrap()).of(&vault.core).await;
    assert_eq!(facts.unwrap().data["creation_ttl"], TTL_MAX);
}
