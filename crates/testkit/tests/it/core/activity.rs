//! Clients, month by month. Tests begin in January 2027.

use crate::support::until;
use crate::support::vault::{Vault, ask};
use secretum_crypto::Timestamp;
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};

async fn report(vault: &Vault, start: &str, end: &str) -> Value {
    let asked = ask(Verb::Read, "sys/internal/counters/activity").token(&vault.root);
    let asked = asked.query("start_time", start).query("end_time", end);
    asked.of(&vault.core).await.unwrap().data
}

fn set(vault: &Vault, text: &str) {
    vault.clock.set(Timestamp::parse_rfc3339(text).unwrap());
}

async fn use_token(vault: &Vault, token: &str) {
    let used = vault.ask_as(token, Verb::Read, "auth/token/lookup-self");
    used.await.unwrap();
}

#[tokio::test]
async fn clients_are_counted_once_a_month_and_once_in_all() {
    let vault = Vault::open().await;
    vault
        .policy("one", r#"path "a" { capabilities = ["read"] }"#)
        .await;
    vault
        .policy("two", r#"path "b" { capabilities = ["read"] }"#)
        .await;
    let settings = |policy: &str| json!({"policies": [policy], "ttl": "0", "period": "9000h"});
    for policy in ["one", "one", "two"] {
        let token = vault.token_of(&vault.root, settings(policy)).await;
        use_token(&vault, &token.client_token).await;
        use_token(&vault, &token.client_token).await;
    }
    let january = report(&vault, "2027-01-01T00:00:00Z", "2027-01-31T00:00:00Z").await;
    assert_eq!(january["total"]["clients"], 2, "{january}");
    assert_eq!(january["total"]["non_entity_clients"], 2);
    assert_eq!(january["total"]["entity_clients"], 0);
    let mounts = &january["by_namespace"][0]["mounts"];
    assert_eq!(mounts[0]["mount_path"], "auth/token/");
    assert_eq!(mounts[0]["counts"]["clients"], 2);

    set(&vault, "2027-02-01T00:00:00Z");
    until("the new month is noticed", async || {
        let again = vault.token_of(&vault.root, settings("one")).await;
        use_token(&vault, &again.client_token).await;
        let this = vault.read("sys/internal/counters/activity/monthly").await;
        this.unwrap().data["clients"] == 1
    })
    .await;
    let both = report(&vault, "2027-01-01T00:00:00Z", "2027-02-28T00:00:00Z").await;
    assert_eq!(both["total"]["clients"], 2, "{both}");
    let month = |index: usize| {
        let month = &both["months"][index];
        (
            month["timestamp"].as_str().unwrap(),
            month["counts"]["clients"].as_u64().unwrap(),
            month["new_clients"]["counts"]["clients"].as_u64().unwrap(),
        )
    };
    assert_eq!(month(0), ("2027-01-01T00:00:00Z", 2, 2));
    assert_eq!(month(1), ("2027-02-01T00:00:00Z", 1, 0));
}

#[tokio::test]
async fn root_tokens_and_wrapping_tokens_are_no_clients() {
    let vault = Vault::open().await;
    let wrapped = ask(Verb::Read, "sys/mounts").token(&vault.root).wrapped(60);
    let token = wrapped.of(&vault.core).await.unwrap().wrap_token.unwrap();
    let unwrapped = vault
        .write_as(&token, "sys/wrapping/unwrap", json!({}))
        .await;
    unwrapped.unwrap();
    use_token(&vault, &vault.root).await;
    let none = report(&vault, "", "").await;
    assert_eq!(none["total"]["clients"], 0, "{none}");
    assert_eq!(none["months"].as_array().unwrap().len(), 12);
}

#[tokio::test]
async fn what_was_counted_outlives_a_seal_and_ends_with_its_retention() {
    let mut vault = Vault::open().await;
    let token = vault.token_with(&["default"]).await;
    use_token(&vault, &token).await;
    vault.core.seal().await;
    vault.unseal().await;
    let kept = report(&vault, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z").await;
    assert_eq!(kept["total"]["clients"], 1, "{kept}");
    let settings = json!({"retention_months": 2});
    vault
        .write("sys/internal/counters/config", settings)
        .await
        .unwrap();
    let told = vault
        .read("sys/internal/counters/config")
        .await
        .unwrap()
        .data;
    assert_eq!(
        (&told["enabled"], &told["retention_months"]),
        (&json!("enable"), &json!(2))
    );
    vault.core.seal().await;
    for (now, clients) in [("2027-03-31T00:00:00Z", 1), ("2027-04-01T00:00:00Z", 0)] {
        set(&vault, now);
        vault = Vault::on(vault.storage.clone(), &vault);
        vault.unseal().await;
        let left = async || {
            let left = report(&vault, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z").await;
            left["total"]["clients"] == clients
        };
        until("what is too old goes, and nothing else", left).await;
        vault.core.seal().await;
    }
}

#[tokio::test]
async fn nothing_is_counted_where_nobody_wants_it() {
    let vault = Vault::open().await;
    let settings = json!({"enabled": "disable"});
    vault
        .write("sys/internal/counters/config", settings)
        .await
        .unwrap();
    let token = vault.token_with(&["default"]).await;
    use_token(&vault, &token).await;
    assert_eq!(report(&vault, "", "").await["total"]["clients"], 0);
    for (name, value, said) in [
        ("enabled", json!("perhaps"), "`enabled` must be"),
        ("retention_months", json!(0), "from 1 to 120"),
        ("retention_months", json!(121), "from 1 to 120"),
    ] {
        let refused = vault
            .write("sys/internal/counters/config", json!({name: value}))
            .await;
        assert!(
            matches!(&refused, Err(Fault::Invalid(told)) if told.contains(said)),
            "{refused:?}"
        );
    }
    for (start, end, said) in [
        ("soon", "", "neither a time"),
        (
            "2027-02-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            "later than end_time",
        ),
        (
            "1700-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            "at most 120 months",
        ),
    ] {
        let asked = ask(Verb::Read, "sys/internal/counters/activity").token(&vault.root);
        let asked = asked.query("start_time", start).query("end_time", end);
        let refused = asked.of(&vault.core).await;
        assert!(
            matches!(&refused, Err(Fault::Invalid(told)) if told.contains(said)),
            "{refused:?}"
        );
    }
}
