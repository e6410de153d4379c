//! Shares and tokens for the holders of PGP keys. What they hold, `gpg` opens in the peer tests.

use super::{begin, complete, keys, open, told, vault};
use crate::support::faults::Faulty;
use crate::support::vault::{ask, clock, core};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_engine::Verb;
use serde_json::{Value, json};

const RSA: &[u8] = include_bytes!("../../../../../crypto/tests/vectors/pgp/rsa.pgp");
const RSA_ARMOR: &str = include_str!("../../../../../crypto/tests/vectors/pgp/rsa.asc");
const CURVE: &[u8] = include_bytes!("../../../../../crypto/tests/vectors/pgp/curve.asc");
const SIGN: &[u8] = include_bytes!("../../../../../crypto/tests/vectors/pgp/sign.asc");

const RSA_PRINT: &str = "64b6674e74ceaa8692966835ecc56bf366cdb36c";
const CURVE_PRINT: &str = "57c30286d681018d059d8ee0e5e25c51cc143cec";

fn for_two() -> Value {
    json!({
        "secret_shares": 2,
        "secret_threshold": 2,
        "pgp_keys": [STANDARD.encode(RSA), STANDARD.encode(CURVE)],
    })
}

/// Whether these are binary messages of OpenPGP, for one recipient each.
fn are_messages(keys: &[String]) -> bool {
    let is_message = |key: &String| {
        let bytes = hex::decode(key).unwrap();
        // The first packet is the session key, encrypted with a public key (tag 1).
        bytes.len() > 100 && (bytes[0] & 0xc0 == 0xc0 && bytes[0] & 0x3f == 1)
    };
    keys.iter().all(is_message)
}

#[tokio::test]
async fn shares_are_encrypted_for_their_holders_and_kept() {
    let vault = vault(1, 1).await;
    let mut plan = for_two();
    plan["backup"] = json!(true);
    let begun = vault.write("sys/rekey/init", plan).await.unwrap().data;
    let prints = json!([RSA_PRINT, CURVE_PRINT]);
    assert_eq!(
        (&begun["pgp_fingerprints"], &begun["backup"]),
        (&prints, &json!(true))
    );
    let nonce = begun["nonce"].as_str().unwrap();
    let done = complete(&vault, "sys/rekey/update", nonce, &vault.shares).await;
    assert_eq!(
        (&done["pgp_fingerprints"], &done["backup"]),
        (&prints, &json!(true))
    );
    let shares = keys(&done);
    assert!(are_messages(&shares));
    let base64 = done["keys_base64"][1].as_str().unwrap();
    assert_eq!(
        STANDARD.decode(base64).unwrap(),
        hex::decode(&shares[1]).unwrap()
    );
    let backup = vault.read("sys/rekey/backup").await.unwrap().data;
    assert_eq!(backup["nonce"], nonce);
    assert_eq!(backup["keys"][RSA_PRINT], json!([shares[0]]));
    assert_eq!(backup["keys_base64"][CURVE_PRINT], json!([base64]));
    assert!(!open(&vault, &vault.shares).await);
}

#[tokio::test]
async fn a_backup_is_there_until_it_is_deleted() {
    let vault = vault(1, 1).await;
    let mut plan = for_two();
    plan["backup"] = json!(true);
    let nonce = begin(&vault, "sys/rekey/init", plan).await;
    complete(&vault, "sys/rekey/update", &nonce, &vault.shares).await;
    vault.ask(Verb::Delete, "sys/rekey/backup").await.unwrap();
    let gone = told(vault.read("sys/rekey/backup").await);
    assert_eq!(gone, "no backed-up keys found");
    vault.ask(Verb::Delete, "sys/rekey/backup").await.unwrap();
}

#[tokio::test]
async fn shares_that_are_never_verified_are_never_kept() {
    let vault = vault(1, 1).await;
    let mut plan = for_two();
    plan["backup"] = json!(true);
    plan["require_verification"] = json!(true);
    let nonce = begin(&vault, "sys/rekey/init", plan).await;
    complete(&vault, "sys/rekey/update", &nonce, &vault.shares).await;
    told(vault.read("sys/rekey/backup").await);
    vault.ask(Verb::Delete, "sys/rekey/init").await.unwrap();
    told(vault.read("sys/rekey/backup").await);
    assert!(open(&vault, &vault.shares).await);
}

#[tokio::test]
async fn a_root_token_is_encrypted_for_its_holder() {
    let vault = vault(1, 1).await;
    let body = json!({"pgp_key": STANDARD.encode(RSA_ARMOR)});
    let begun = vault.write("sys/generate-root/attempt", body).await;
    let begun = begun.unwrap().data;
    assert_eq!(begun["pgp_fingerprint"], RSA_PRINT);
    assert_eq!(begun["otp"], "");
    let nonce = begun["nonce"].as_str().unwrap();
    let done = complete(&vault, "sys/generate-root/update", nonce, &vault.shares).await;
    let message = STANDARD.decode(done["encoded_token"].as_str().unwrap());
    assert!(are_messages(&[hex::encode(message.unwrap())]));
    assert_eq!(done["pgp_fingerprint"], RSA_PRINT);
}

#[tokio::test]
async fn a_vault_is_made_for_holders_or_not_at_all() {
    let storage = Faulty::new();
    let core = core(&storage, &clock());
    let init = |body: Value| ask(Verb::Write, "sys/init").body(body).of(&core);
    let mut wrong = for_two();
    for (keys, token) in [
        (json!([STANDARD.encode(RSA)]), json!("")),
        (
            json!([STANDARD.encode(RSA), STANDARD.encode(SIGN)]),
            json!(""),
        ),
        (json!([STANDARD.encode(RSA), "not base64!"]), json!("")),
        (
            json!([STANDARD.encode(RSA), "A".repeat(300_000)]),
            json!(""),
        ),
        (json!([]), json!(STANDARD.encode(SIGN))),
    ] {
        (wrong["pgp_keys"], wrong["root_token_pgp_key"]) = (keys, token);
        told(init(wrong.clone()).await);
    }
    assert!(storage.keys("").await.is_empty());
    let mut right = for_two();
    // An armored key may come as it is.
    right["pgp_keys"][0] = json!(RSA_ARMOR);
    right["root_token_pgp_key"] = json!(STANDARD.encode(CURVE));
    let made = init(right).await.unwrap().data;
    assert!(are_messages(&keys(&made)));
    let token = STANDARD.decode(made["root_token"].as_str().unwrap());
    assert!(are_messages(&[hex::encode(token.unwrap())]));
}
