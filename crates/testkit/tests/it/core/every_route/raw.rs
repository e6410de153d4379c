//! `sys/raw` where it is on: every key of a vault, and what is none.

use super::generate::{Dice, Generator};
use super::{SEED, from_environment};
use crate::support::vault::{Vault, ask, core_with_raw};
use secretum_api::RequestPath;
use secretum_engine::{Fault, Verb};
use serde_json::{Map, Value, json};

/// Requests of a normal run.
const REQUESTS: u64 = 2_000;

#[tokio::test]
async fn nothing_of_the_storage_is_asked_for_in_vain() {
    let seed = from_environment("FUZZ_SEED", SEED);
    let vault = raw_vault().await;
    let keys = keys(&vault).await;
    assert!(keys.len() > 10, "{keys:?}");
    assert!(!keys.iter().any(|key| key.starts_with("core/")), "{keys:?}");
    for key in &keys {
        let read = asked(&vault, Verb::Read, key).query("encoding", "base64");
        let read = read.of(&vault.core).await.expect(key);
        assert!(read.data["value"].is_string(), "{key}");
    }
    let mut dice = Dice::new(seed);
    let mut done = 0_u64;
    for _ in 0..REQUESTS * from_environment("FUZZ_FACTOR", 1) {
        let verb = [Verb::Read, Verb::List, Verb::Write, Verb::Delete][dice.below(4)];
        let writes = matches!(verb, Verb::Write | Verb::Delete);
        let path = match dice.one_in(2) && !writes {
            true => cut(&keys[dice.below(keys.len())], &mut dice),
            false => generated(&mut dice),
        };
        if RequestPath::parse(format!("sys/raw/{path}").as_str()).is_err() {
            continue;
        }
        let mut asked = asked(&vault, verb, &path);
        if verb == Verb::Write {
            asked = asked.text(&body(&mut dice));
        }
        match asked.of(&vault.core).await {
            Ok(_) => done += 1,
            Err(Fault::Invalid(_) | Fault::NotFound | Fault::NotFoundBecause(_)) => {}
            Err(Fault::Storage(error)) if error.is_for_callers() => {}
            Err(fault) => panic!("seed {seed}: {verb:?} sys/raw/{path}: {fault:?}"),
        }
    }
    assert!(done > REQUESTS / 10, "{done}");
}

/// A vault with a secret in it that serves `sys/raw`.
async fn raw_vault() -> Vault {
    let before = Vault::open().await;
    before
        .write("secret/data/a/b", json!({"data": {"x": "y"}}))
        .await
        .unwrap();
    before.write("sys/seal", json!({})).await.unwrap();
    let vault = Vault {
        core: core_with_raw(&before.storage, &before.clock),
        ..before
    };
    vault.unseal().await;
    vault
}

fn asked(vault: &Vault, verb: Verb, path: &str) -> crate::support::vault::Ask {
    ask(verb, &format!("sys/raw/{path}")).token(&vault.root)
}

/// Every key that listings lead to.
async fn keys(vault: &Vault) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let listed = asked(vault, Verb::List, &folder).of(&vault.core).await;
        let listed = listed.expect(&folder).data;
        for name in listed["keys"].as_array().unwrap() {
            let key = format!("{folder}{}", name.as_str().unwrap());
            match key.ends_with('/') {
                true => folders.push(key),
                false => keys.push(key),
            }
        }
    }
    keys
}

/// A key, or some of its beginning.
fn cut(key: &str, dice: &mut Dice) -> String {
    let end = match dice.one_in(2) {
        true => key.len(),
        false => dice.below(key.len()),
    };
    key.get(..end).unwrap_or(key).to_owned()
}

fn generated(dice: &mut Dice) -> String {
    let schemas = Map::new();
    let segments = 1 + dice.below(3);
    let mut generator = Generator {
        dice,
        schemas: &schemas,
    };
    let segments: Vec<String> = (0..segments).map(|_| generator.segment()).collect();
    // Beside what the vault needs.
    format!("made/{}", segments.join("/"))
}

fn body(dice: &mut Dice) -> String {
    let schemas = Map::new();
    let text = json!({"type": "string"});
    let mut generator = Generator {
        dice,
        schemas: &schemas,
    };
    let value = match generator.dice.one_in(8) {
        true => generator.nonsense(),
        false => generator.value(&text, 0),
    };
    let encoding = ["", "base64", "gzip"][generator.dice.below(3)];
    let body: Value = json!({"value": value, "encoding": encoding});
    body.to_string()
}
