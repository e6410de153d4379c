//! Generating a root token.

use super::super::audit::Recorded;
use super::{begin, complete, give, told, vault};
use crate::support::vault::{Vault, ask, clock, core_open_to_strangers};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::time::Duration;

const ATTEMPT: &str = "sys/generate-root/attempt";
const UPDATE: &str = "sys/generate-root/update";

/// Takes the cover of a password off.
async fn decode(vault: &Vault, encoded: &Value, otp: &str) -> String {
    let body = json!({"encoded_token": encoded, "otp": otp});
    // Nobody needs a token for that.
    let decoded = ask(Verb::Write, "sys/decode-token").body(body);
    let decoded = decoded.of(&vault.core).await.unwrap().data;
    decoded["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_root_token_leaves_under_a_password_that_the_vault_makes() {
    let vault = vault(3, 2).await;
    let idle = vault.read(ATTEMPT).await.unwrap().data;
    assert_eq!(idle["otp_length"], vault.root.len());
    assert_eq!(
        (&idle["started"], &idle["required"]),
        (&json!(false), &json!(2))
    );
    let begun = vault.write(ATTEMPT, json!({})).await.unwrap().data;
    let otp = begun["otp"].as_str().unwrap().to_owned();
    assert_eq!(otp.len(), vault.root.len());
    assert!(otp.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(vault.read(ATTEMPT).await.unwrap().data["otp"], "");
    let nonce = begun["nonce"].as_str().unwrap();
    let first = give(&vault, UPDATE, nonce, &vault.shares[2])
        .await
        .unwrap()
        .data;
    assert_eq!(
        (&first["progress"], &first["complete"]),
        (&json!(1), &json!(false))
    );
    let done = give(&vault, UPDATE, nonce, &vault.shares[0])
        .await
        .unwrap()
        .data;
    assert_eq!(
        (&done["progress"], &done["complete"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(done["encoded_token"], done["encoded_root_token"]);
    let token = decode(&vault, &done["encoded_token"], &otp).await;
    let looked_up = vault
        .ask_as(&token, Verb::Read, "auth/token/lookup-self")
        .await
        .unwrap()
        .data;
    assert_eq!(looked_up["policies"], json!(["root"]));
    assert_eq!(
        (&looked_up["orphan"], &looked_up["ttl"]),
        (&json!(true), &json!(0))
    );
    vault.ask_as(&token, Verb::Read, "sys/audit").await.unwrap();
    assert_eq!(vault.read(ATTEMPT).await.unwrap().data["started"], false);
}

#[tokio::test]
async fn the_password_may_be_the_callers() {
    let vault = vault(1, 1).await;
    let long = vault.root.len();
    for wrong in [1, long - 1, long + 1] {
        let refused = told(
            vault
                .write(ATTEMPT, json!({"otp": "x".repeat(wrong)}))
                .await,
        );
        assert!(
            refused.starts_with("OTP string is wrong length"),
            "{refused}"
        );
    }
    let otp = "0aZ".repeat(long).split_off(long * 2);
    let nonce = begin(&vault, ATTEMPT, json!({"otp": otp})).await;
    let done = complete(&vault, UPDATE, &nonce, &vault.shares).await;
    assert_eq!(done["otp"], "");
    let token = decode(&vault, &done["encoded_token"], &otp).await;
    assert!(vault.lives(&token).await);
    let both = json!({"otp": otp, "pgp_key": "x"});
    assert!(told(vault.write(ATTEMPT, both).await).contains("exclude each other"));
}

#[tokio::test]
async fn what_is_no_covered_token_is_not_decoded() {
    let vault = vault(1, 1).await;
    for (encoded, otp) in [
        ("", "a"),
        ("AAAA", ""),
        ("!", "a"),
        ("AAAA", "ab"),
        ("gICA", "abc"),
    ] {
        let body = json!({"encoded_token": encoded, "otp": otp});
        told(vault.write("sys/decode-token", body).await);
    }
}

#[tokio::test]
async fn wrong_shares_make_no_token() {
    let (vault, other) = (vault(3, 2).await, vault(3, 2).await);
    let none = told(give(&vault, UPDATE, "x", &vault.shares[0]).await);
    assert_eq!(none, "no root generation in progress");
    let nonce = begin(&vault, ATTEMPT, json!({})).await;
    let second = told(vault.write(ATTEMPT, json!({})).await);
    assert_eq!(second, "root generation already in progress");
    let wrong = told(give(&vault, UPDATE, "x", &vault.shares[0]).await);
    assert!(wrong.contains(&format!("root generation operation is \"{nonce}\"")));
    give(&vault, UPDATE, &nonce, &vault.shares[0])
        .await
        .unwrap();
    let twice = told(give(&vault, UPDATE, &nonce, &vault.shares[0]).await);
    assert!(twice.contains("already been provided during this generation operation"));
    let before = vault.storage.commits();
    let mixed = told(give(&vault, UPDATE, &nonce, &other.shares[0]).await);
    assert!(mixed.starts_with("root generation aborted"), "{mixed}");
    assert_eq!(vault.storage.commits(), before);
    assert_eq!(vault.read(ATTEMPT).await.unwrap().data["progress"], 0);
    complete(&vault, UPDATE, &nonce, &vault.shares).await;
}

#[tokio::test]
async fn a_generation_ends_when_it_is_cancelled_rests_or_the_vault_is_sealed() {
    let vault = vault(2, 2).await;
    for how in ["cancel", "rest", "seal"] {
        let nonce = begin(&vault, ATTEMPT, json!({})).await;
        give(&vault, UPDATE, &nonce, &vault.shares[0])
            .await
            .unwrap();
        match how {
            "cancel" => drop(vault.ask(Verb::Delete, ATTEMPT).await.unwrap()),
            "rest" => vault.clock.advance(Duration::from_secs(6 * 3600)),
            _ => {
                vault.core.seal().await;
                vault.unseal().await;
            }
        }
        let late = told(give(&vault, UPDATE, &nonce, &vault.shares[1]).await);
        assert_eq!(late, "no root generation in progress", "{how}");
    }
}

#[tokio::test]
async fn a_rekey_and_a_generation_do_not_disturb_each_other() {
    let vault = vault(2, 2).await;
    let rekey = json!({"secret_shares": 1, "secret_threshold": 1});
    let rekey = begin(&vault, "sys/rekey/init", rekey).await;
    let root = begin(&vault, ATTEMPT, json!({})).await;
    give(&vault, "sys/rekey/update", &rekey, &vault.shares[0])
        .await
        .unwrap();
    give(&vault, UPDATE, &root, &vault.shares[0]).await.unwrap();
    complete(&vault, "sys/rekey/update", &rekey, &vault.shares[1..]).await;
    // The shares that were given so far are of a seal that is gone: they make nothing.
    let late = told(give(&vault, UPDATE, &root, &vault.shares[1]).await);
    assert!(late.starts_with("root generation aborted"), "{late}");
}

#[tokio::test]
async fn a_root_token_whose_answer_cannot_be_recorded_is_revoked() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let nonce = begin(vault, ATTEMPT, json!({})).await;
    // The record of the same request tells how much room one takes.
    let lines = recorded.text().lines().count();
    complete(vault, UPDATE, &nonce, &vault.shares).await;
    let line = recorded.text().lines().nth(lines).unwrap().len();
    let count = async || vault.storage.keys("sys/token/id/").await.len();
    let before = count().await;
    let nonce = begin(vault, ATTEMPT, json!({})).await;
    let length = recorded.fill(u64::try_from(line).unwrap() + 20);
    let refused = give(vault, UPDATE, &nonce, &vault.shares[0]).await;
    assert!(matches!(refused, Err(Fault::Unrecorded)), "{refused:?}");
    recorded.empty(length);
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn nothing_of_a_ceremony_is_recorded_in_the_clear() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let begun = vault.write(ATTEMPT, json!({})).await.unwrap().data;
    let nonce = begun["nonce"].as_str().unwrap();
    let done = complete(vault, UPDATE, nonce, &vault.shares).await;
    let token = decode(
        vault,
        &done["encoded_token"],
        begun["otp"].as_str().unwrap(),
    )
    .await;
    let text = recorded.text();
    let encoded = done["encoded_token"].as_str().unwrap();
    for planted in [
        &*vault.shares[0],
        encoded,
        &token,
        begun["otp"].as_str().unwrap(),
    ] {
        assert!(!text.contains(planted));
    }
    assert!(text.contains("sys/generate-root/update"));
}

#[tokio::test]
async fn strangers_take_part_where_the_server_is_set_so() {
    let made = Vault::sealed(1, 1).await;
    let vault = Vault {
        core: core_open_to_strangers(&made.storage, &clock()),
        ..made
    };
    vault.unseal().await;
    let begun = ask(Verb::Write, ATTEMPT).body(json!({})).of(&vault.core);
    let begun = begun.await.unwrap().data;
    let body = json!({"nonce": begun["nonce"], "key": vault.shares[0]});
    let done = ask(Verb::Write, UPDATE).body(body).of(&vault.core).await;
    let done = done.unwrap().data;
    let token = decode(
        &vault,
        &done["encoded_token"],
        begun["otp"].as_str().unwrap(),
    )
    .await;
    assert!(vault.lives(&token).await);
    let rekey = ask(Verb::Read, "sys/rekey/init").of(&vault.core).await;
    rekey.unwrap();
    // Not so what newer clients ask for, and what is kept.
    for path in [
        "sys/generate-root-token/attempt",
        "sys/rotate/root/init",
        "sys/rekey/backup",
    ] {
        let refused = ask(Verb::Read, path).of(&vault.core).await;
        assert!(matches!(refused, Err(Fault::Denied)), "{path}");
    }
}

#[tokio::test]
async fn generate_root_token_is_the_same_ceremony() {
    let vault = vault(1, 1).await;
    let path = "sys/generate-root-token";
    let nonce = begin(&vault, &format!("{path}/attempt"), json!({})).await;
    assert_eq!(
        vault.read(ATTEMPT).await.unwrap().data["nonce"],
        nonce.as_str()
    );
    complete(&vault, &format!("{path}/update"), &nonce, &vault.shares).await;
}
