//! Revocation: of trees, of orphans, cut off and finished.

use crate::support::vault::Vault;
use crate::support::{poll_once, until};
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

const MAKER: &str = r#"path "auth/token/create" { capabilities = ["update"] }"#;

/// A tree of tokens below a first one: `width` children each, down to `depth`.
async fn tree(vault: &Vault, width: usize, depth: usize) -> Vec<String> {
    let mut tokens = vec![vault.token_under("maker", MAKER).await];
    let mut parents = tokens.clone();
    for _ in 0..depth {
        let mut children = Vec::new();
        for parent in &parents {
            for _ in 0..width {
                children.push(vault.token_of(parent, json!({})).await.client_token);
            }
        }
        tokens.extend_from_slice(&children);
        parents = children;
    }
    tokens
}

async fn records(vault: &Vault) -> Vec<String> {
    let mut keys = vault.storage.keys("sys/token/").await;
    for prefix in ["sys/expiry/", "sys/revoke/"] {
        keys.extend(vault.storage.keys(prefix).await);
    }
    keys
}

#[tokio::test]
async fn a_tree_of_a_thousand_ends_with_its_root() {
    let vault = Vault::open().await;
    let bystander = vault.token_with(&["default"]).await;
    let before = records(&vault).await;
    let tokens = tree(&vault, 10, 3).await;
    assert_eq!(tokens.len(), 1_111);
    // Some are cached, most are not.
    for token in tokens.iter().step_by(7) {
        assert!(vault.lives(token).await);
    }
    vault
        .write("auth/token/revoke", json!({"token": tokens[0]}))
        .await
        .unwrap();
    for token in &tokens {
        assert!(!vault.lives(token).await);
    }
    assert!(vault.lives(&bystander).await);
    until("every record is gone", async || {
        records(&vault).await == before
    })
    .await;
}

#[tokio::test]
async fn a_revocation_cut_off_at_any_commit_is_finished_later() {
    for commits in 1..16 {
        let vault = Vault::open().await;
        let before = records(&vault).await;
        let tokens = tree(&vault, 2, 2).await;
        vault.storage.fail_commits_after(commits);
        let revoked = vault
            .write("auth/token/revoke", json!({"token": tokens[0]}))
            .await;
        // From the first commit on nothing of it comes back.
        assert!(!vault.lives(&tokens[0]).await);
        vault.core.seal().await;
        vault.storage.heal();
        vault.unseal().await;
        assert!(!vault.lives(&tokens[0]).await);
        until("the rest is revoked, too", async || {
            records(&vault).await == before
        })
        .await;
        for token in &tokens {
            assert!(!vault.lives(token).await, "{commits}: {revoked:?}");
        }
    }
}

#[tokio::test]
async fn a_revocation_that_never_began_changed_nothing() {
    let vault = Vault::open().await;
    let tokens = tree(&vault, 2, 1).await;
    vault.storage.fail_commits_after(0);
    let revoked = vault
        .write("auth/token/revoke", json!({"token": tokens[0]}))
        .await;
    assert!(matches!(revoked, Err(Fault::Storage(_))), "{revoked:?}");
    vault.storage.heal();
    for token in &tokens {
        assert!(vault.lives(token).await);
    }
}

/// A token, its child and its grandchild; and where the records of the last two stand.
async fn line(vault: &Vault) -> ([String; 3], [&'static str; 2]) {
    let first = vault.token_under("maker", MAKER).await;
    let before_both = vault.storage.keys("sys/token/id/").await;
    let second = vault.token_of(&first, json!({})).await.client_token;
    let before_third = vault.storage.keys("sys/token/id/").await;
    let third = vault.token_of(&second, json!({})).await.client_token;
    let all = vault.storage.keys("sys/token/id/").await;
    let new = |now: &[String], before: &[String]| {
        let mut new = now.iter().filter(|key| !before.contains(key));
        let key: &'static str = new.next().unwrap().clone().leak();
        key
    };
    let keys = [new(&before_third, &before_both), new(&all, &before_third)];
    ([first, second, third], keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_answered_when_the_whole_tree_is_gone_whoever_ended_it() {
    let vault = Arc::new(Vault::open().await);
    let before = records(&vault).await;
    let (tokens, [second, third]) = line(&vault).await;
    let revoke = |token: &str| {
        let (vault, body) = (Arc::clone(&vault), json!({"token": token}));
        tokio::spawn(async move { vault.write("auth/token/revoke", body).await })
    };
    // The request ends the child a moment after the janitor, who then is slow to end the grandchild.
    vault.storage.hold_next_commit(second);
    let revoked = revoke(&tokens[0]);
    vault.storage.wait_until_held().await;
    vault.storage.hold_next_commit(third);
    until("the janitor is at the grandchild", async || {
        vault.storage.has_taken()
    })
    .await;
    assert!(!vault.lives(&tokens[1]).await && vault.lives(&tokens[2]).await);
    vault.storage.let_go().await;
    revoked.await.unwrap().unwrap();
    assert!(!vault.lives(&tokens[2]).await);
    vault.storage.let_go().await;
    until("every record is gone", async || {
        records(&vault).await == before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_being_revoked_is_revoked_when_its_tree_is_gone() {
    let vault = Arc::new(Vault::open().await);
    let (tokens, [second, _]) = line(&vault).await;
    vault.storage.hold_next_commit(second);
    let first = {
        let (vault, body) = (Arc::clone(&vault), json!({"token": tokens[0]}));
        tokio::spawn(async move { vault.write("auth/token/revoke", body).await })
    };
    vault.storage.wait_until_held().await;
    // Who asks again, as clients do that lost their connection, is told the truth.
    vault
        .write("auth/token/revoke", json!({"token": tokens[0]}))
        .await
        .unwrap();
    for token in &tokens {
        assert!(!vault.lives(token).await);
    }
    vault.storage.let_go().await;
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_text_is_no_token_again_before_what_its_first_one_made_has_ended() {
    let vault = Vault::open().await;
    vault.policy("maker", MAKER).await;
    let chosen = json!({"id": "chosen", "policies": ["maker"]});
    let token = vault
        .token_of(&vault.root, chosen.clone())
        .await
        .client_token;
    vault.token_of(&token, json!({})).await;
    // The token ends; nothing that follows does, and the janitor is slow to go on.
    vault.storage.fail_commits_after(1);
    let gone = json!({"token": token});
    vault
        .write("auth/token/revoke", gone.clone())
        .await
        .unwrap_err();
    vault.storage.slow_commits(1_000);
    vault.storage.heal();
    vault
        .write("auth/token/create", chosen.clone())
        .await
        .unwrap_err();
    vault.storage.slow_commits(0);
    vault.write("auth/token/revoke", gone).await.unwrap();
    vault.write("auth/token/create", chosen).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_child_outlives_a_parent_that_ends_meanwhile() {
    for _ in 0..10 {
        let vault = Arc::new(Vault::open().await);
        vault.policy("maker", MAKER).await;
        let before = records(&vault).await;
        let parent = vault.token_with(&["maker"]).await;
        vault.storage.slow_commits(3);
        let mut births = JoinSet::new();
        for _ in 0..20 {
            let (vault, parent) = (Arc::clone(&vault), parent.clone());
            births.spawn(async move {
                vault
                    .write_as(&parent, "auth/token/create", json!({}))
                    .await
            });
        }
        vault
            .write_as(&parent, "auth/token/revoke-self", json!({}))
            .await
            .unwrap();
        let mut children = Vec::new();
        while let Some(birth) = births.join_next().await {
            match birth.unwrap() {
                Ok(answer) => children.push(answer.auth.unwrap().client_token),
                Err(Fault::Denied) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        for child in children {
            assert!(!vault.lives(&child).await);
        }
        until("every record is gone", async || {
            records(&vault).await == before
        })
        .await;
    }
}

#[tokio::test]
async fn orphans_outlive_who_made_them() {
    let vault = Vault::open().await;
    let parent = vault
        .token_under(
            "maker",
            r#"path "auth/token/*" { capabilities = ["update", "sudo"] }"#,
        )
        .await;
    let create = async |path: &str, body| {
        let made = vault.write_as(&parent, path, body).await.unwrap();
        made.auth.unwrap()
    };
    let orphan = create("auth/token/create-orphan", json!({})).await;
    let no_parent = create("auth/token/create", json!({"no_parent": true})).await;
    let child = create("auth/token/create", json!({})).await;
    assert!(orphan.orphan && no_parent.orphan && !child.orphan);
    vault
        .write("auth/token/revoke", json!({"token": parent}))
        .await
        .unwrap();
    assert!(vault.lives(&orphan.client_token).await);
    assert!(vault.lives(&no_parent.client_token).await);
    assert!(!vault.lives(&child.client_token).await);
}

#[tokio::test]
async fn revoke_orphan_leaves_the_children() {
    let vault = Vault::open().await;
    let tokens = tree(&vault, 3, 2).await;
    vault
        .write("auth/token/revoke-orphan", json!({"token": tokens[0]}))
        .await
        .unwrap();
    assert!(!vault.lives(&tokens[0]).await);
    for token in &tokens[1..] {
        assert!(vault.lives(token).await);
    }
    let facts = vault
        .ask_as(&tokens[1], Verb::Read, "auth/token/lookup-self")
        .await
        .unwrap();
    assert_eq!(facts.data["orphan"], true);
    // The rest of the tree holds together.
    vault
        .write("auth/token/revoke", json!({"token": tokens[1]}))
        .await
        .unwrap();
    let left: Vec<bool> = {
        let mut left = Vec::new();
        for token in &tokens[1..] {
            left.push(vault.lives(token).await);
        }
        left
    };
    assert_eq!(left.iter().filter(|lives| **lives).count(), 8, "{left:?}");
}

#[tokio::test]
async fn revoking_by_accessor_ends_the_tree_and_what_is_gone_is_gone() {
    let vault = Vault::open().await;
    vault.policy("maker", MAKER).await;
    let settings = json!({"policies": "maker"});
    let parent = vault.token_of(&vault.root, settings).await;
    let child = vault.token_of(&parent.client_token, json!({})).await;
    let by_accessor = json!({"accessor": parent.accessor});
    for warnings in [0, 1] {
        let revoked = vault
            .write("auth/token/revoke-accessor", by_accessor.clone())
            .await
            .unwrap();
        assert_eq!(revoked.warnings.len(), warnings);
    }
    assert!(!vault.lives(&child.client_token).await);
    let gone = json!({"token": parent.client_token});
    vault
        .write("auth/token/revoke", gone.clone())
        .await
        .unwrap();
    let orphan = vault.write("auth/token/revoke-orphan", gone).await;
    assert!(matches!(orphan, Err(Fault::Invalid(_))));
}

#[tokio::test]
async fn nothing_is_left_in_the_cubbyhole_of_a_token_that_ended() {
    for polls in 1..60 {
        let vault = Vault::open().await;
        let settings = json!({"policies": "default"});
        let token = vault.token_of(&vault.root, settings).await.client_token;
        vault.storage.slow_reads(1);
        vault.storage.slow_commits(1);
        let held = vault.write_as(&token, "cubbyhole/a", json!({"a": 1}));
        let mut held = Box::pin(held);
        let mut is_done = false;
        for _ in 0..polls {
            is_done = is_done || poll_once(&mut held).await;
        }
        let body = json!({"token": token});
        vault.write("auth/token/revoke", body).await.unwrap();
        if !is_done {
            // It came first, or was refused; there is no third way.
            let answer = held.await;
            let expected = matches!(answer, Ok(_) | Err(Fault::Denied));
            assert!(expected, "{polls}: {answer:?}");
        }
        until("the cubbyhole is empty", async || {
            vault.storage.keys("mount/cubbyhole/").await.is_empty()
        })
        .await;
    }
}
