//! Tokens: their lives, uses and renewals.

use crate::support::until;
use crate::support::vault::{DEFAULT_TTL, MAX_TTL, Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

async fn ttl(vault: &Vault, token: &str) -> u64 {
    let facts = vault
        .ask_as(token, Verb::Read, "auth/token/lookup-self")
        .await;
    facts.unwrap().data["ttl"].as_u64().unwrap()
}

#[tokio::test]
async fn a_token_ends_at_its_second_and_the_janitor_takes_its_records() {
    let vault = Vault::open().await;
    let before = vault.storage.keys("sys/token/").await;
    let token = vault.token_of(&vault.root, json!({"ttl": "60s"})).await;
    assert_eq!(token.lease_duration, 60);
    assert_eq!(vault.storage.keys("sys/expiry/").await.len(), 1);
    vault.clock.advance(Duration::from_secs(59));
    assert!(vault.lives(&token.client_token).await);
    vault.clock.advance(Duration::from_secs(1));
    assert!(!vault.lives(&token.client_token).await);
    let by_accessor = vault
        .write(
            "auth/token/lookup-accessor",
            json!({"accessor": token.accessor}),
        )
        .await;
    assert!(matches!(by_accessor, Err(Fault::Invalid(_))));
    until("the token's records are gone", async || {
        vault.storage.keys("sys/token/").await == before
            && vault.storage.keys("sys/expiry/").await.is_empty()
            && vault.storage.keys("sys/revoke/").await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_token_may_go_without_any_policy() {
    let vault = Vault::open().await;
    let settings = json!({"policies": ["default"], "no_default_policy": true});
    let token = vault.token_of(&vault.root, settings).await;
    assert!(token.policies.is_empty());
    let own = "auth/token/lookup-self";
    let refused = vault.ask_as(&token.client_token, Verb::Read, own).await;
    assert!(matches!(refused, Err(Fault::Denied)));
    let child = vault.write_as(&token.client_token, "auth/token/create", json!({}));
    assert!(child.await.is_err());
}

#[tokio::test]
async fn a_token_that_asks_for_too_much_gets_the_most() {
    let vault = Vault::open().await;
    for (settings, expected) in [
        (json!({"policies": "default"}), DEFAULT_TTL),
        (json!({"policies": "default", "ttl": "9999h"}), MAX_TTL),
        (
            json!({"policies": "default", "ttl": "1h", "explicit_max_ttl": 30}),
            30,
        ),
        (
            json!({"policies": "default", "period": "10m", "ttl": "2h"}),
            600,
        ),
        (json!({"policies": "default", "lease": "5m"}), 300),
    ] {
        let token = vault.token_of(&vault.root, settings.clone()).await;
        assert_eq!(token.lease_duration, expected, "{settings}");
        assert_eq!(ttl(&vault, &token.client_token).await, expected);
    }
    let made = vault
        .write(
            "auth/token/create",
            json!({"policies": "default", "ttl": "9999h"}),
        )
        .await
        .unwrap();
    assert_eq!(made.warnings.len(), 1, "{:?}", made.warnings);
}

#[tokio::test]
async fn renewal_stays_within_its_limits() {
    let vault = Vault::open().await;
    let renew = async |token: &str, increment: u64| {
        let body = json!({"increment": increment});
        let renewed = vault.write_as(token, "auth/token/renew-self", body).await;
        renewed.map(|answer| answer.auth.unwrap().lease_duration)
    };
    let settings = json!({"policies": "default", "ttl": "1h"});
    let plain = vault.token_of(&vault.root, settings).await.client_token;
    vault.clock.advance(Duration::from_secs(1_800));
    assert_eq!(renew(&plain, 0).await.unwrap(), 3_600);
    assert_eq!(renew(&plain, 60).await.unwrap(), 60);
    assert_eq!(renew(&plain, 100 * 3_600).await.unwrap(), MAX_TTL - 1_800);
    vault.clock.advance(Duration::from_secs(MAX_TTL - 1_801));
    assert_eq!(renew(&plain, 3_600).await.unwrap(), 1);
    vault.clock.advance(Duration::from_secs(1));
    assert!(matches!(renew(&plain, 0).await, Err(Fault::Denied)));

    let settings = json!({"policies": "default", "ttl": 60, "explicit_max_ttl": 100});
    let bounded = vault.token_of(&vault.root, settings).await.client_token;
    vault.clock.advance(Duration::from_secs(50));
    assert_eq!(renew(&bounded, 60).await.unwrap(), 50);

    let settings = json!({"policies": "default", "ttl": 60, "renewable": false});
    let fixed = vault.token_of(&vault.root, settings).await.client_token;
    assert!(matches!(renew(&fixed, 60).await, Err(Fault::Invalid(_))));
    assert!(matches!(
        renew(&vault.root, 60).await,
        Err(Fault::Invalid(_))
    ));

    let settings = json!({"policies": "default", "period": 600});
    let periodic = vault.token_of(&vault.root, settings).await.client_token;
    for _ in 0..300 {
        vault.clock.advance(Duration::from_secs(599));
        assert_eq!(renew(&periodic, 5).await.unwrap(), 600);
    }
    until("one time is left, that of the one token", async || {
        vault.storage.keys("sys/expiry/").await.len() == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_at_the_same_time_all_succeed() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(20);
    let token = vault.token_with(&["default"]).await;
    let mut renewals = JoinSet::new();
    for increment in 100..120 {
        let (vault, token) = (Arc::clone(&vault), token.clone());
        renewals.spawn(async move {
            let body = json!({"increment": increment});
            vault.write_as(&token, "auth/token/renew-self", body).await
        });
    }
    while let Some(renewed) = renewals.join_next().await {
        renewed.unwrap().unwrap();
    }
    assert_eq!(vault.storage.keys("sys/expiry/").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_makes_children_while_it_is_renewed() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_commits(20);
    let token = vault
        .token_under(
            "maker",
            r#"path "auth/token/create" { capabilities = ["update"] }"#,
        )
        .await;
    let mut requests = JoinSet::new();
    for number in 0..20 {
        let (vault, token) = (Arc::clone(&vault), token.clone());
        requests.spawn(async move {
            let path = ["create", "renew-self"][number % 2];
            vault
                .write_as(&token, &format!("auth/token/{path}"), json!({}))
                .await
        });
    }
    while let Some(answer) = requests.join_next().await {
        answer.unwrap().unwrap();
    }
    assert_eq!(vault.storage.keys("sys/token/child/").await.len(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_of_uses_is_exact() {
    let vault = Arc::new(Vault::open().await);
    vault
        .write("secret/data/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    vault
        .policy(
            "reader",
            r#"path "secret/data/a" { capabilities = ["read"] }"#,
        )
        .await;
    let before = vault.storage.keys("sys/token/").await;
    let settings = json!({"policies": "reader", "num_uses": 50});
    let token = vault.token_of(&vault.root, settings).await.client_token;
    vault.storage.slow_commits(5);
    let mut reads = JoinSet::new();
    for _ in 0..200 {
        let (vault, token) = (Arc::clone(&vault), token.clone());
        reads.spawn(async move { vault.ask_as(&token, Verb::Read, "secret/data/a").await });
    }
    let (mut served, mut refused) = (0, 0);
    while let Some(read) = reads.join_next().await {
        match read.unwrap() {
            Ok(_) => served += 1,
            Err(Fault::Denied) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((served, refused), (50, 150));
    assert_eq!(vault.storage.keys("sys/token/").await, before);
}

#[tokio::test]
async fn a_use_counts_whatever_comes_of_it() {
    let vault = Vault::open().await;
    let settings = json!({"policies": "default", "num_uses": 3});
    let token = vault.token_of(&vault.root, settings).await.client_token;
    let refused = vault.ask_as(&token, Verb::Read, "secret/data/a").await;
    assert!(matches!(refused, Err(Fault::Denied)));
    let own = vault
        .ask_as(&token, Verb::Read, "auth/token/lookup-self")
        .await;
    assert_eq!(own.unwrap().data["num_uses"], 1);
    // The last use may still ask about itself.
    assert!(vault.lives(&token).await);
    assert!(!vault.lives(&token).await);
}

#[tokio::test]
async fn a_token_with_few_uses_makes_no_others() {
    let vault = Vault::open().await;
    vault
        .policy(
            "maker",
            r#"path "auth/token/*" { capabilities = ["update", "sudo"] }"#,
        )
        .await;
    let settings = json!({"policies": "maker", "num_uses": 5});
    let token = vault.token_of(&vault.root, settings).await.client_token;
    for path in ["auth/token/create", "auth/token/create-orphan"] {
        let made = vault.write_as(&token, path, json!({})).await;
        assert!(matches!(made, Err(Fault::Invalid(_))), "{made:?}");
    }
}

#[tokio::test]
async fn tokens_of_another_vault_and_odd_ones_are_unknown() {
    let (vault, other) = (Vault::open().await, Vault::open().await);
    assert!(!vault.lives(&other.root).await);
    let foreign = other.token_with(&["root"]).await;
    assert!(!vault.lives(&foreign).await);
    let long = "x".repeat(10_000);
    for token in ["", "hvs.", "root", "../../root", "\u{1}", &long] {
        assert!(!vault.lives(token).await, "{token:.20}");
        let revoked = vault
            .write("auth/token/lookup", json!({"token": token}))
            .await;
        assert!(token.is_empty() || matches!(revoked, Err(Fault::BadToken)));
    }
    let without = ask(Verb::Read, "auth/token/lookup-self")
        .of(&vault.core)
        .await;
    assert!(matches!(without, Err(Fault::Denied)));
}

#[tokio::test]
async fn children_get_no_more_than_their_maker_has() {
    let vault = Vault::open().await;
    let token = vault
        .token_under(
            "maker",
            r#"path "auth/token/create" { capabilities = ["update"] }"#,
        )
        .await;
    for settings in [
        json!({"policies": ["root"]}),
        json!({"policies": ["other"]}),
        json!({"no_parent": true}),
        json!({"period": "1h"}),
        json!({"id": "chosen"}),
        json!({"policies": "maker", "no_default_policy": true, "type": "odd"}),
    ] {
        let made = vault
            .write_as(&token, "auth/token/create", settings.clone())
            .await;
        assert!(
            matches!(made, Err(Fault::Invalid(_))),
            "{settings}: {made:?}"
        );
    }
    let child = vault.token_of(&token, json!({})).await;
    assert_eq!(child.policies, ["default", "maker"]);
    let bare = json!({"policies": "maker", "no_default_policy": true});
    assert_eq!(vault.token_of(&token, bare).await.policies, ["maker"]);
}

#[tokio::test]
async fn nobody_gives_away_the_default_policy_without_having_it() {
    let vault = Vault::open().await;
    let text = r#"path "auth/token/create" { capabilities = ["update"] }"#;
    vault.policy("maker", text).await;
    let bare = json!({"policies": "maker", "no_default_policy": true});
    let bare = vault.token_of(&vault.root, bare).await.client_token;
    for settings in [json!({}), json!({"policies": "maker"})] {
        let child = vault.token_of(&bare, settings.clone()).await;
        assert_eq!(child.policies, ["maker"], "{settings}");
    }
    let wanted = json!({"policies": "default"});
    let refused = vault.write_as(&bare, "auth/token/create", wanted).await;
    assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
    let internal = json!({"policies": "response-wrapping"});
    let refused = vault.write("auth/token/create", internal).await;
    assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn sudo_counts_on_the_path_it_is_given_for() {
    let vault = Vault::open().await;
    let rule = |path: &str, more: &str| {
        format!("path \"auth/token/{path}\" {{ capabilities = [\"update\"{more}] }}\n")
    };
    let sudo = r#", "sudo""#;
    for (create, orphan) in [(sudo, ""), ("", sudo)] {
        let text = rule("create", create) + &rule("create-orphan", orphan);
        let token = vault.token_under("maker", &text).await;
        for (path, sudo) in [("create", create), ("create-orphan", orphan)] {
            let body = json!({"policies": ["other"]});
            let made = vault
                .write_as(&token, &format!("auth/token/{path}"), body)
                .await;
            assert_eq!(made.is_ok(), !sudo.is_empty(), "{path}: {made:?}");
        }
    }
}

#[tokio::test]
async fn root_stands_alone() {
    let vault = Vault::open().await;
    let settings = json!({"policies": ["root", "default", "x"]});
    let token = vault.token_of(&vault.root, settings).await;
    assert_eq!(token.policies, ["root"]);
    assert_eq!(token.lease_duration, 0);
}

#[tokio::test]
async fn a_chosen_token_is_made_once() {
    let vault = Vault::open().await;
    let settings = json!({"id": "chosen", "policies": "default", "ttl": 60});
    let token = vault.token_of(&vault.root, settings.clone()).await;
    assert_eq!(token.client_token, "chosen");
    for _ in 0..2 {
        let again = vault.write("auth/token/create", settings.clone()).await;
        assert!(matches!(again, Err(Fault::Invalid(_))), "{again:?}");
        // One whose time is over is still there until the janitor comes.
        vault.clock.advance(Duration::from_secs(60));
    }
}
