//! Leases: issued, renewed, ended by hand, with their token, with their mount, and by time.

use crate::support::lender::World;
use crate::support::until;
use crate::support::vault::{DEFAULT_TTL, Vault, ask};
use secretum_engine::{Fault, LeaseGrant, Verb};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// A vault with the lender at `lender/`, and its world.
struct Lending {
    vault: Arc<Vault>,
    world: Arc<World>,
}

impl Lending {
    /// `name` is the world's, one for each test.
    async fn open(name: &str) -> Self {
        let vault = Vault::open().await;
        let options = json!({"type": "lender", "options": {"world": name}});
        vault.enable("lender", options).await;
        Self {
            vault: Arc::new(vault),
            world: World::of(name),
        }
    }

    async fn borrow_as(&self, token: &str, body: Value) -> LeaseGrant {
        let lent = self.vault.write_as(token, "lender/creds/a/b", body).await;
        lent.unwrap().lease.unwrap()
    }

    async fn borrow(&self, body: Value) -> LeaseGrant {
        self.borrow_as(&self.vault.root, body).await
    }

    async fn lookup(&self, lease: &LeaseGrant) -> Result<Value, Fault> {
        let body = json!({"lease_id": lease.id});
        Ok(self.vault.write("sys/leases/lookup", body).await?.data)
    }

    async fn renew(&self, lease: &LeaseGrant, increment: u64) -> Result<LeaseGrant, Fault> {
        let body = json!({"lease_id": lease.id, "increment": increment});
        let renewed = self.vault.write("sys/leases/renew", body).await?;
        Ok(renewed.lease.unwrap())
    }

    /// Everything that is stored because of leases.
    async fn records(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for prefix in [
            "sys/lease",
            "sys/token/lease/",
            "sys/irrevocable/",
            "sys/unmount/",
        ] {
            keys.extend(self.vault.storage.keys(prefix).await);
        }
        keys
    }

    async fn nothing_is_left(&self) {
        until("all has ended", async || self.world.lent() == 0).await;
        until("no record is left", async || {
            self.records().await.is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_lease_is_issued_looked_up_renewed_and_revoked() {
    let lending = Lending::open("life").await;
    let lease = lending.borrow(json!({"ttl": 600, "max_ttl": 3_000})).await;
    assert!(lease.id.starts_with("lender/creds/a/b/"), "{}", lease.id);
    assert_eq!((lease.duration_seconds, lease.renewable), (600, true));
    let facts = lending.lookup(&lease).await.unwrap();
    assert_eq!(
        (&facts["ttl"], &facts["id"]),
        (&json!(600), &json!(lease.id))
    );
    assert_eq!(facts["last_renewal"], Value::Null);

    lending.vault.clock.advance(Duration::from_secs(500));
    assert_eq!(
        lending.renew(&lease, 0).await.unwrap().duration_seconds,
        600
    );
    assert_eq!(lending.lookup(&lease).await.unwrap()["ttl"], 600);
    lending.vault.clock.advance(Duration::from_secs(500));
    // 1,000 of 3,000 seconds are over.
    assert_eq!(
        lending.renew(&lease, 9_999).await.unwrap().duration_seconds,
        2_000
    );
    assert_eq!(lending.world.renewed(), [600, 2_000]);

    let body = json!({"lease_id": lease.id});
    lending
        .vault
        .write("sys/leases/revoke", body.clone())
        .await
        .unwrap();
    assert_eq!(lending.world.lent(), 0);
    assert!(lending.records().await.is_empty());
    // What has ended can be ended again, and nothing else be done with.
    lending
        .vault
        .write("sys/leases/revoke", body)
        .await
        .unwrap();
    for refused in [
        lending.lookup(&lease).await.unwrap_err(),
        lending.renew(&lease, 0).await.unwrap_err(),
    ] {
        assert!(matches!(&refused, Fault::Invalid(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn lives_come_from_the_mount_where_the_engine_gives_none() {
    let lending = Lending::open("mount lives").await;
    assert_eq!(
        lending.borrow(json!({})).await.duration_seconds,
        DEFAULT_TTL
    );
    let tuned = json!({"default_lease_ttl": 100, "max_lease_ttl": 200});
    lending
        .vault
        .write("sys/mounts/lender/tune", tuned)
        .await
        .unwrap();
    assert_eq!(lending.borrow(json!({})).await.duration_seconds, 100);
    let lent = lending
        .vault
        .write("lender/creds/a", json!({"ttl": 500}))
        .await
        .unwrap();
    assert_eq!(lent.lease.unwrap().duration_seconds, 200);
    assert!(
        lent.warnings[0].contains("exceeded the effective max_ttl"),
        "{:?}",
        lent.warnings
    );
}

#[tokio::test]
async fn what_cannot_be_renewed_is_not() {
    let lending = Lending::open("not renewed").await;
    let fixed = lending.borrow(json!({"fixed": true})).await;
    assert!(!fixed.renewable);
    let told = lending.renew(&fixed, 0).await.unwrap_err().to_string();
    assert_eq!(told, "lease is not renewable");
    let unknown = LeaseGrant {
        id: "lender/creds/a/none".to_owned(),
        ..fixed
    };
    assert_eq!(
        lending.renew(&unknown, 0).await.unwrap_err().to_string(),
        "lease not found"
    );
    let token = lending
        .vault
        .token_of(&lending.vault.root, json!({"ttl": 60}))
        .await;
    let listed = lending
        .vault
        .ask(Verb::List, "sys/leases/lookup/auth/token/create")
        .await
        .unwrap();
    let id = format!(
        "auth/token/create/{}",
        listed.data["keys"][0].as_str().unwrap()
    );
    let told = lending
        .renew(&LeaseGrant { id, ..unknown }, 0)
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("auth/token/renew"), "{told}");
    assert!(lending.vault.lives(&token.client_token).await);
}

#[tokio::test]
async fn a_lease_ends_with_its_time_and_not_before() {
    let lending = Lending::open("time").await;
    let short = lending.borrow(json!({"ttl": 60})).await;
    let renewed = lending.borrow(json!({"ttl": 60})).await;
    lending.vault.clock.advance(Duration::from_secs(59));
    lending.renew(&renewed, 60).await.unwrap();
    lending.vault.clock.advance(Duration::from_secs(1));
    until("the first has ended", async || lending.world.lent() == 1).await;
    assert!(lending.lookup(&short).await.is_err());
    assert_eq!(lending.lookup(&renewed).await.unwrap()["ttl"], 59);
    lending.vault.clock.advance(Duration::from_secs(59));
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn a_lease_ends_with_its_token_and_with_the_token_that_made_that() {
    let lending = Lending::open("token").await;
    let rights = r#"path "*" { capabilities = ["create", "read", "update", "sudo"] }"#;
    let parent = lending.vault.token_under("all", rights).await;
    let child = lending
        .vault
        .token_of(&parent, json!({}))
        .await
        .client_token;
    let batch = lending
        .vault
        .token_of(&parent, json!({"type": "batch", "ttl": 120}))
        .await;
    lending.borrow_as(&child, json!({})).await;
    // One of a batch token is its maker's, and no longer than the token.
    let short = lending.borrow_as(&batch.client_token, json!({})).await;
    assert_eq!(short.duration_seconds, 120);
    lending.vault.clock.advance(Duration::from_secs(20));
    let renewed = lending.renew(&short, 9_999).await.unwrap();
    assert_eq!(renewed.duration_seconds, 100);
    let kept = lending.borrow(json!({})).await;
    assert_eq!(lending.world.lent(), 3);
    let body = json!({"token": parent});
    lending
        .vault
        .write("auth/token/revoke", body)
        .await
        .unwrap();
    until("those of the tree have ended", async || {
        lending.world.lent() == 1
    })
    .await;
    assert!(lending.lookup(&kept).await.is_ok());
    let body = json!({"lease_id": kept.id});
    lending
        .vault
        .write("sys/leases/revoke", body)
        .await
        .unwrap();
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn the_last_use_of_a_token_gets_no_lease() {
    let lending = Lending::open("last use").await;
    let rights = r#"path "lender/*" { capabilities = ["update"] }"#;
    lending.vault.policy("lender", rights).await;
    let settings = json!({"policies": ["lender"], "num_uses": 2});
    let token = lending
        .vault
        .token_of(&lending.vault.root, settings)
        .await
        .client_token;
    lending.borrow_as(&token, json!({})).await;
    let refused = lending
        .vault
        .write_as(&token, "lender/creds/a/b", json!({}))
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .starts_with("Secret cannot be returned")
    );
    until("both have ended", async || lending.world.lent() == 0).await;
}

#[tokio::test]
async fn leases_are_listed_counted_and_ended_by_prefix() {
    let lending = Lending::open("prefix").await;
    let vault = &lending.vault;
    for path in ["a/b", "a/b", "a/c", "d"] {
        vault.read(&format!("lender/creds/{path}")).await.unwrap();
    }
    let list = async |prefix: &str| {
        let path = format!("sys/leases/lookup/{prefix}");
        let listed = vault
            .ask(Verb::List, path.trim_end_matches('/'))
            .await
            .unwrap();
        listed.data["keys"].as_array().unwrap().len()
    };
    assert_eq!(list("lender/creds/a/b").await, 2);
    assert_eq!(list("lender/creds/a").await, 2);
    assert_eq!(list("lender").await, 1);
    let all = vault.ask(Verb::List, "sys/leases/lookup").await.unwrap();
    assert_eq!(all.data["keys"], json!(["lender/"]));
    assert_eq!(
        vault.read("sys/leases/count").await.unwrap().data["lease_count"],
        4
    );

    vault
        .write("sys/leases/revoke-prefix/lender/creds/a/b", json!({}))
        .await
        .unwrap();
    assert_eq!(lending.world.lent(), 2);
    // One path is not the beginning of another one's name.
    vault
        .write("sys/leases/revoke-prefix/lender/cre", json!({}))
        .await
        .unwrap();
    assert_eq!(lending.world.lent(), 2);
    let soon = json!({"sync": false});
    vault
        .write("sys/leases/revoke-prefix/lender", soon)
        .await
        .unwrap();
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn tokens_are_found_and_ended_among_leases() {
    let vault = Vault::open().await;
    let tokens = [
        vault
            .token_of(&vault.root, json!({"ttl": 600}))
            .await
            .client_token,
        vault
            .token_of(&vault.root, json!({"ttl": 600}))
            .await
            .client_token,
    ];
    let listed = vault
        .ask(Verb::List, "sys/leases/lookup/auth/token/create")
        .await
        .unwrap();
    let word = listed.data["keys"][0].as_str().unwrap();
    let body = json!({"lease_id": format!("auth/token/create/{word}")});
    let facts = vault.write("sys/leases/lookup", body).await.unwrap();
    assert_eq!(facts.data["ttl"], 600);
    vault
        .write("sys/leases/revoke-prefix/auth/token/create", json!({}))
        .await
        .unwrap();
    for token in &tokens {
        assert!(!vault.lives(token).await);
    }
    assert!(vault.lives(&vault.root).await);
    assert!(vault.storage.keys("sys/lease/").await.is_empty());
    // By its own end, too, no mark of a token stays.
    vault.token_of(&vault.root, json!({"ttl": 60})).await;
    assert_eq!(vault.storage.keys("sys/lease/").await.len(), 1);
    vault.clock.advance(Duration::from_secs(61));
    until("no mark is left", async || {
        vault.storage.keys("sys/lease/").await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_ended_is_tried_again_and_then_given_to_an_operator() {
    let lending = Lending::open("irrevocable").await;
    let vault = &lending.vault;
    let lease = lending.borrow(json!({"ttl": 60})).await;
    lending.world.set_down(true);
    let body = json!({"lease_id": lease.id});
    let refused = vault
        .write("sys/leases/revoke", body.clone())
        .await
        .unwrap_err();
    assert!(matches!(&refused, Fault::Unavailable(_)), "{refused:?}");
    assert_eq!(lending.world.lent(), 1);
    let of_kind = async |path: &str| {
        let asked = ask(Verb::Read, path)
            .token(&vault.root)
            .query("type", "irrevocable");
        asked.of(&vault.core).await.unwrap().data
    };
    for tries in 1..=6 {
        assert_eq!(of_kind("sys/leases/count").await["lease_count"], 0);
        let before = lending.world.asked_to_end();
        // No wait is longer.
        vault.clock.advance(Duration::from_secs(700));
        until(&format!("try {tries}"), async || {
            lending.world.asked_to_end() > before
        })
        .await;
        until("it is put off", async || {
            let facts = lending.lookup(&lease).await.unwrap();
            facts["revoke_error"] == "the world is down"
        })
        .await;
    }
    until("it is given up", async || {
        of_kind("sys/leases/count").await["lease_count"] == 1
    })
    .await;
    let listed = of_kind("sys/leases").await;
    assert_eq!(listed["leases"][0]["lease_id"], json!(lease.id));
    assert_eq!(listed["leases"][0]["error"], "the world is down");
    let before = lending.world.asked_to_end();
    vault.clock.advance(Duration::from_secs(7_000));
    assert_eq!(
        lending.renew(&lease, 0).await.unwrap_err().to_string(),
        "lease expired"
    );

    // An operator tries again once it can be ended.
    lending.world.set_down(false);
    assert_eq!(
        lending.world.asked_to_end(),
        before,
        "it was not tried by itself"
    );
    vault.write("sys/leases/revoke", body).await.unwrap();
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn one_mount_that_is_down_is_asked_seldom_and_holds_up_no_other() {
    let down = Lending::open("down").await;
    let vault = &down.vault;
    vault
        .enable(
            "other",
            json!({"type": "lender", "options": {"world": "up"}}),
        )
        .await;
    let up = World::of("up");
    for _ in 0..300 {
        down.borrow(json!({"ttl": 60})).await;
    }
    vault
        .write("other/creds/a", json!({"ttl": 61}))
        .await
        .unwrap();
    down.world.set_down(true);
    vault.clock.advance(Duration::from_secs(61));
    until("the other has ended", async || up.lent() == 0).await;
    until("all wait", async || {
        down.vault.storage.keys("sys/lease-expiry/").await.len() == 300
    })
    .await;
    let asked = down.world.asked_to_end();
    assert!(asked < 150, "{asked} of 300 were tried");
    down.world.set_down(false);
    until("all have ended", async || {
        vault.clock.advance(Duration::from_secs(60));
        down.world.lent() == 0
    })
    .await;
}

#[tokio::test]
async fn force_gives_up_what_cannot_be_ended() {
    let lending = Lending::open("force").await;
    lending.borrow(json!({})).await;
    lending.world.set_down(true);
    let vault = &lending.vault;
    let refused = vault
        .write("sys/leases/revoke-prefix/lender", json!({}))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("the world is down"),
        "{refused}"
    );
    vault
        .write("sys/leases/revoke-force/lender", json!({}))
        .await
        .unwrap();
    assert!(lending.records().await.is_empty());
    assert_eq!(lending.world.lent(), 1, "it goes on where it was made");
}

#[tokio::test]
async fn a_mount_goes_when_its_leases_have_ended() {
    let lending = Lending::open("disabled").await;
    let vault = &lending.vault;
    lending.borrow(json!({})).await;
    lending.world.set_down(true);
    let refused = vault
        .ask(Verb::Delete, "sys/mounts/lender")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("sys/leases/revoke-force/lender/"),
        "{refused}"
    );
    // It is still there, and hands out nothing more: what it makes is ended at once.
    lending.world.set_down(false);
    assert!(vault.write("lender/creds/a", json!({})).await.is_err());
    assert_eq!(lending.world.lent(), 1);
    vault.ask(Verb::Delete, "sys/mounts/lender").await.unwrap();
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn a_mount_that_moves_takes_no_lease_along() {
    let lending = Lending::open("moved").await;
    let vault = &lending.vault;
    let lease = lending.borrow(json!({})).await;
    let body = json!({"from": "lender", "to": "other"});
    vault.write("sys/remount", body).await.unwrap();
    assert_eq!(lending.world.lent(), 0);
    assert!(lending.lookup(&lease).await.is_err());
    let lent = vault.write("other/creds/a", json!({})).await.unwrap();
    assert!(lent.lease.unwrap().id.starts_with("other/creds/a/"));
}

#[tokio::test]
async fn what_was_made_for_a_lease_that_cannot_be_stored_is_ended() {
    let lending = Lending::open("not stored").await;
    lending.vault.storage.fail_commits_after(0);
    let refused = lending
        .vault
        .write("lender/creds/a", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(refused, Fault::Storage(_)), "{refused:?}");
    lending.vault.storage.heal();
    assert_eq!(lending.world.asked_to_end(), 1);
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn a_wrapped_lease_is_told_to_who_unwraps_it() {
    let lending = Lending::open("wrapped").await;
    let vault = &lending.vault;
    let wrapped = ask(Verb::Read, "lender/creds/a")
        .token(&vault.root)
        .wrapped(60);
    let token = wrapped.of(&vault.core).await.unwrap().wrap_token.unwrap();
    let opened = vault
        .write_as(&token, "sys/wrapping/unwrap", json!({}))
        .await
        .unwrap();
    let lease = opened.lease.unwrap();
    assert_eq!(lending.lookup(&lease).await.unwrap()["ttl"], DEFAULT_TTL);
    assert_eq!(opened.data["name"], "thing-1");
}

#[tokio::test]
async fn an_engine_that_hangs_holds_up_no_seal() {
    let lending = Lending::open("hangs").await;
    lending.borrow(json!({"ttl": 60})).await;
    lending.world.set_hangs(true);
    lending.vault.clock.advance(Duration::from_secs(60));
    until("it was asked", async || lending.world.asked_to_end() > 0).await;
    lending.vault.core.seal().await;
    lending.world.set_hangs(false);
    lending.vault.unseal().await;
    lending.nothing_is_left().await;
}

/// However issuing, renewing, revoking and the end of a token cross each other, nothing is lent without
/// a lease, and no lease is left without what leads to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_crosses_nothing_is_lost() {
    let lending = Arc::new(Lending::open("crossing").await);
    let rights = r#"path "*" { capabilities = ["create", "read", "update", "sudo"] }"#;
    lending.vault.policy("all", rights).await;
    lending.vault.storage.slow_commits(5);
    let mut crossing = JoinSet::new();
    for _ in 0..40 {
        let settings = json!({"policies": ["all"]});
        let token = lending
            .vault
            .token_of(&lending.vault.root, settings)
            .await
            .client_token;
        for step in 0..3 {
            let (lending, token) = (Arc::clone(&lending), token.clone());
            crossing.spawn(async move {
                let vault = &lending.vault;
                if step == 2 {
                    let body = json!({"token": token});
                    vault.write("auth/token/revoke", body).await.unwrap();
                    return;
                }
                let Ok(lent) = vault.write_as(&token, "lender/creds/a/b", json!({})).await else {
                    return;
                };
                let body = json!({"lease_id": lent.lease.unwrap().id});
                let path = ["sys/leases/renew", "sys/leases/revoke"][step];
                let _ = vault.write(path, body).await;
            });
        }
    }
    while let Some(joined) = crossing.join_next().await {
        joined.unwrap();
    }
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn tidying_mends_what_leads_to_leases() {
    let lending = Lending::open("tidy").await;
    let vault = &lending.vault;
    lending.borrow(json!({"ttl": 60})).await;
    let entry = vault.storage.keys("sys/lease-expiry/").await;
    vault.storage.remove(&entry[0]).await;
    vault.write("sys/leases/tidy", json!({})).await.unwrap();
    until("it is found again", async || {
        vault.storage.keys("sys/lease-expiry/").await == entry
    })
    .await;
    vault.clock.advance(Duration::from_secs(60));
    lending.nothing_is_left().await;
}

#[tokio::test]
async fn leases_are_counted_for_metrics_by_the_time_until_they_end() {
    let lending = Lending::open("metrics").await;
    lending.borrow(json!({"ttl": 300})).await;
    lending.borrow(json!({"ttl": 300})).await;
    lending.borrow(json!({"ttl": 3_000})).await;
    // They are counted as the vault opens, and then every so often.
    lending.vault.core.seal().await;
    lending.vault.unseal().await;
    let report = || lending.vault.core.report("prometheus").unwrap().to_string();
    until("a count of leases", async || {
        report().contains("secretum_vault_leases 3\n")
    })
    .await;
    let text = report();
    assert!(
        text.contains("secretum_vault_secret_lease_expiry{within=\"10m\"} 2\n"),
        "{text}"
    );
    assert!(
        text.contains("secretum_vault_secret_lease_expiry{within=\"1h\"} 1\n"),
        "{text}"
    );
    assert!(lending.vault.core.report("xml").is_err());
}
