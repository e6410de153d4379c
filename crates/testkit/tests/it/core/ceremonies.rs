//! Ceremonies: who may take part, what a share brings about, and what is left when something fails.

mod pgp;
mod rekey;
mod root;

use crate::support::vault::{Answer, Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};

/// An unsealed vault of this many shares.
async fn vault(shares: u64, threshold: u64) -> Vault {
    let vault = Vault::sealed(shares, threshold).await;
    vault.unseal().await;
    vault
}

/// Begins a ceremony; gives its nonce.
async fn begin(vault: &Vault, path: &str, body: Value) -> String {
    let begun = vault.write(path, body).await.unwrap().data;
    assert_eq!(begun["started"], true, "{begun}");
    begun["nonce"].as_str().unwrap().to_owned()
}

async fn give(vault: &Vault, path: &str, nonce: &str, share: &str) -> Result<Answer, Fault> {
    let body = json!({"nonce": nonce, "key": share});
    vault.write(path, body).await
}

/// Gives shares until the ceremony is complete.
async fn complete(vault: &Vault, path: &str, nonce: &str, shares: &[String]) -> Value {
    for share in shares {
        let answer = give(vault, path, nonce, share).await.unwrap().data;
        if answer["complete"] == true {
            return answer;
        }
    }
    panic!("more shares are needed");
}

fn keys(answer: &Value) -> Vec<String> {
    let keys = answer["keys"].as_array().unwrap().iter();
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// Whether these shares open the vault, which is then as it was.
async fn open(vault: &Vault, shares: &[String]) -> bool {
    vault.core.seal().await;
    ask(Verb::Write, "sys/unseal")
        .body(json!({"reset": true}))
        .of(&vault.core)
        .await
        .unwrap();
    let mut opened = false;
    for share in shares {
        if let Ok(answer) = vault.give_share(share).await {
            opened = answer.data["sealed"] == false;
        }
    }
    opened
}

/// The text of a refusal.
fn told(answer: Result<Answer, Fault>) -> String {
    match answer {
        Err(Fault::Invalid(text)) => text.into_owned(),
        other => panic!("{other:?}"),
    }
}
