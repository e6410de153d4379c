//! Rotation of the keyring: on demand, by age, and by number of encryptions.

use crate::support::until;
use crate::support::vault::{Answer, Vault};
use secretum_engine::Fault;
use serde_json::{Value, json};
use std::time::Duration;

const CONFIG: &str = "sys/rotate/config";
const DAY: u64 = 24 * 3600;

async fn configure(vault: &Vault, body: Value) -> Result<Answer, Fault> {
    vault.write(CONFIG, body).await
}

async fn term(vault: &Vault) -> u64 {
    let status = vault.read("sys/key-status").await.unwrap();
    status.data["term"].as_u64().unwrap()
}

#[tokio::test]
async fn the_settings_have_vaults_limits() {
    let vault = Vault::open().await;
    let read = async || vault.read(CONFIG).await.unwrap().data;
    let default = json!({"max_operations": 3_865_470_566_u64, "interval": 0, "enabled": true});
    assert_eq!(read().await, default);
    for refused in [
        json!({"max_operations": 999_999}),
        json!({"max_operations": 3_865_470_567_u64}),
        json!({"interval": "23h59m59s"}),
        json!({"interval": 1}),
    ] {
        let answer = configure(&vault, refused).await;
        assert!(matches!(answer, Err(Fault::Invalid(_))), "{answer:?}");
    }
    assert_eq!(read().await, default);
    configure(
        &vault,
        json!({"max_operations": 1_000_000, "interval": "24h"}),
    )
    .await
    .unwrap();
    // What is left out stays.
    configure(&vault, json!({"enabled": false})).await.unwrap();
    let expected = json!({"max_operations": 1_000_000, "interval": DAY, "enabled": false});
    assert_eq!(read().await, expected);
    vault.core.seal().await;
    vault.unseal().await;
    assert_eq!(read().await, expected);
    configure(&vault, json!({"interval": 0})).await.unwrap();
    assert_eq!(read().await["interval"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_term_rotates_when_it_is_as_old_as_is_said() {
    let vault = Vault::open().await;
    configure(&vault, json!({"interval": "48h"})).await.unwrap();
    vault.clock.advance(Duration::from_secs(2 * DAY - 1));
    // The janitor looks once a minute.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(term(&vault).await, 1);
    vault.clock.advance(Duration::from_secs(1));
    until("the keyring is rotated", async || term(&vault).await == 2).await;
    configure(&vault, json!({"enabled": false})).await.unwrap();
    vault.clock.advance(Duration::from_secs(10 * DAY));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(term(&vault).await, 2, "it is switched off");
}

#[tokio::test]
async fn a_term_rotates_before_it_has_encrypted_too_much() {
    let vault = Vault::open().await;
    configure(&vault, json!({"max_operations": 1_000_000}))
        .await
        .unwrap();
    let mut writes = 0;
    // What is left of a reservation counts as used when the vault was sealed.
    while term(&vault).await == 1 {
        let status = vault.read("sys/key-status").await.unwrap().data;
        assert!(
            status["encryptions"].as_u64().unwrap() <= 1_000_000,
            "{status}"
        );
        vault.core.seal().await;
        vault.unseal().await;
        let path = format!("secret/data/{writes}");
        vault
            .write(&path, json!({"data": {"number": writes}}))
            .await
            .unwrap();
        writes += 1;
        assert!(writes < 10, "it never rotates");
    }
    for number in 0..writes {
        let read = vault.read(&format!("secret/data/{number}")).await.unwrap();
        assert_eq!(read.data["data"]["number"], number);
    }
}
