//! Transit: what is encrypted opens, whatever became of the key, and for nobody else.

use crate::mount::{Ask, Mount};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use secretum_engine::{Fault, RawReply, Standing, Verb};
use secretum_storage::{Batch, Step};
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: u64 = 3_600;

fn of(reply: &RawReply) -> Value {
    serde_json::from_str(reply.data.as_ref().unwrap().get()).unwrap()
}

async fn write(mount: &Mount, path: &str, body: Value) -> Result<Value, Fault> {
    let ask = Ask::new(Verb::Write, path).body(body);
    Ok(of(&mount.run(&ask).await?))
}

async fn told(mount: &Mount, path: &str, body: Value) -> Value {
    write(mount, path, body).await.unwrap()
}

async fn refused(mount: &Mount, path: &str, body: Value) -> String {
    write(mount, path, body).await.unwrap_err().to_string()
}

async fn key(mount: &Mount, name: &str) -> Value {
    let ask = Ask::new(Verb::Read, format!("keys/{name}"));
    of(&mount.run(&ask).await.unwrap())
}

async fn encrypted(mount: &Mount, name: &str, text: &str) -> String {
    let body = json!({"plaintext": STANDARD.encode(text)});
    let made = told(mount, &format!("encrypt/{name}"), body).await;
    made["ciphertext"].as_str().unwrap().to_owned()
}

async fn opens(mount: &Mount, name: &str, ciphertext: &str, text: &str) {
    let body = json!({"ciphertext": ciphertext});
    let opened = told(mount, &format!("decrypt/{name}"), body).await;
    assert_eq!(opened["plaintext"], STANDARD.encode(text), "{ciphertext}");
}

#[tokio::test]
async fn every_kind_of_key_opens_what_it_encrypted() {
    let mount = Mount::transit();
    for kind in ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"] {
        let made = told(&mount, &format!("keys/{kind}"), json!({"type": kind})).await;
        assert_eq!(made["type"], kind);
        assert_eq!(made["keys"]["1"], 1_800_000_000_i64);
        for text in ["", "text", &"long ".repeat(10_000)] {
            let ciphertext = encrypted(&mount, kind, text).await;
            assert!(ciphertext.starts_with("vault:v1:"));
            assert!(!ciphertext.contains(&STANDARD.encode("long long")));
            opens(&mount, kind, &ciphertext, text).await;
        }
        // The same text twice has two ciphertexts.
        let both = [
            encrypted(&mount, kind, "t").await,
            encrypted(&mount, kind, "t").await,
        ];
        assert_ne!(both[0], both[1]);
    }
    let crossed = encrypted(&mount, "aes256-gcm96", "text").await;
    let refused = refused(
        &mount,
        "decrypt/chacha20-poly1305",
        json!({"ciphertext": crossed}),
    )
    .await;
    assert_eq!(refused, "cipher: message authentication failed");
    for (kind, wanted) in [
        ("rsa-2048", "are not served"),
        ("nonsense", "unknown key type"),
    ] {
        let refused = self::refused(&mount, "keys/other", json!({"type": kind})).await;
        assert!(refused.contains(wanted), "{refused}");
    }
}

#[tokio::test]
async fn a_changed_ciphertext_opens_nothing() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    let ciphertext = encrypted(&mount, "k", "text").await;
    let bytes = STANDARD.decode(ciphertext.strip_prefix("vault:v1:").unwrap());
    let bytes = bytes.unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = format!("vault:v1:{}", STANDARD.encode(changed));
        let refused = refused(&mount, "decrypt/k", json!({"ciphertext": changed})).await;
        assert_eq!(refused, "cipher: message authentication failed");
    }
    for (wrong, wanted) in [
        (json!({}), "missing ciphertext"),
        (json!({"ciphertext": ""}), "missing ciphertext"),
        (json!({"ciphertext": "nonsense"}), "it must be `vault:v`"),
        (
            json!({"ciphertext": "vault:v1:AAAA"}),
            "invalid ciphertext length",
        ),
        (
            json!({"ciphertext": ciphertext.replace("v1", "v2")}),
            "version is too new",
        ),
        (
            json!({"ciphertext": ciphertext, "associated_data": "YQ=="}),
            "authentication failed",
        ),
        (
            json!({"ciphertext": ciphertext, "associated_data": "a"}),
            "`associated_data` is no base64",
        ),
        (
            json!({"ciphertext": ciphertext, "context": "a"}),
            "`context` is no base64",
        ),
    ] {
        let refused = refused(&mount, "decrypt/k", wrong).await;
        assert!(refused.contains(wanted), "{refused}");
    }
    let refused = refused(&mount, "decrypt/none", json!({"ciphertext": ciphertext})).await;
    assert_eq!(refused, "encryption key not found");
}

#[tokio::test]
async fn associated_data_and_context_are_asked_for_again() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    told(&mount, "keys/derived", json!({"derived": true})).await;
    let bound = json!({"plaintext": "aGk=", "associated_data": "YQ=="});
    let made = told(&mount, "encrypt/k", bound).await;
    let body = json!({"ciphertext": made["ciphertext"], "associated_data": "YQ=="});
    assert_eq!(told(&mount, "decrypt/k", body).await["plaintext"], "aGk=");
    let refused = refused(&mount, "encrypt/derived", json!({"plaintext": "aGk="})).await;
    assert!(refused.contains("missing 'context'"), "{refused}");
    let made = told(
        &mount,
        "encrypt/derived",
        json!({"plaintext": "aGk=", "context": "YQ=="}),
    )
    .await;
    for (context, opens) in [("YQ==", true), ("Yg==", false)] {
        let body = json!({"ciphertext": made["ciphertext"], "context": context});
        let opened = write(&mount, "decrypt/derived", body).await;
        assert_eq!(opened.is_ok(), opens, "{context}");
    }
    let facts = key(&mount, "derived").await;
    assert_eq!(
        (&facts["kdf"], &facts["derived"]),
        (&json!("hkdf_sha256"), &json!(true))
    );
}

#[tokio::test]
async fn versions_come_and_go() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    let mut made = vec![encrypted(&mount, "k", "1").await];
    for version in ["2", "3"] {
        mount.clock.advance(Duration::from_secs(10));
        told(&mount, "keys/k/rotate", json!({})).await;
        made.push(encrypted(&mount, "k", version).await);
    }
    for (ciphertext, version) in made.iter().zip(["1", "2", "3"]) {
        assert!(ciphertext.starts_with(&format!("vault:v{version}:")));
        opens(&mount, "k", ciphertext, version).await;
    }
    let rewrapped = told(&mount, "rewrap/k", json!({"ciphertext": made[0]})).await;
    assert_eq!(rewrapped["key_version"], 3);
    opens(&mount, "k", rewrapped["ciphertext"].as_str().unwrap(), "1").await;
    let older = told(
        &mount,
        "encrypt/k",
        json!({"plaintext": "", "key_version": 2}),
    )
    .await;
    assert_eq!(older["key_version"], 2);

    let trim = |oldest: u32| json!({"min_available_version": oldest});
    assert!(
        refused(&mount, "keys/k/trim", trim(2))
            .await
            .contains("not set")
    );
    let oldest = json!({"min_decryption_version": 2, "min_encryption_version": 2});
    let facts = told(&mount, "keys/k/config", oldest).await;
    assert_eq!(
        facts["keys"],
        json!({"2": 1_800_000_010_i64, "3": 1_800_000_020_i64})
    );
    let old = refused(&mount, "decrypt/k", json!({"ciphertext": made[0]})).await;
    assert!(old.contains("too old"), "{old}");
    for (version, wanted) in [(1, "less than the minimum"), (4, "higher than the latest")] {
        let body = json!({"plaintext": "", "key_version": version});
        let refused = refused(&mount, "encrypt/k", body).await;
        assert!(refused.contains(wanted), "{refused}");
    }
    assert!(
        refused(&mount, "keys/k/trim", trim(3))
            .await
            .contains("greater")
    );
    told(&mount, "keys/k/trim", trim(2)).await;
    assert!(
        refused(&mount, "keys/k/trim", trim(1))
            .await
            .contains("decremented")
    );
    let back = refused(
        &mount,
        "keys/k/config",
        json!({"min_decryption_version": 1}),
    )
    .await;
    assert!(back.contains("trimmed"), "{back}");
    let stored = mount.keys().await;
    let versions = stored.iter().filter(|key| key.starts_with("version/"));
    let versions: Vec<_> = versions
        .map(|key| key.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(versions, ["2", "3"]);
    opens(&mount, "k", &made[2], "3").await;
}

#[tokio::test]
async fn settings_say_what_is_wrong_and_keep_what_is_not_named() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    let config = "keys/k/config";
    for (body, wanted) in [
        (
            json!({"min_decryption_version": 2}),
            "latest key version is 1",
        ),
        (
            json!({"min_encryption_version": u64::MAX}),
            "latest key version is 1",
        ),
        (json!({"auto_rotate_period": 3_599}), "at least an hour"),
        (
            json!({"auto_rotate_period": "100000000h"}),
            "at most a hundred years",
        ),
    ] {
        let refused = refused(&mount, config, body).await;
        assert!(refused.contains(wanted), "{refused}");
    }
    told(&mount, config, json!({"auto_rotate_period": 3_600})).await;
    let facts = told(
        &mount,
        config,
        json!({"exportable": true, "deletion_allowed": true}),
    )
    .await;
    assert_eq!(
        (&facts["exportable"], &facts["deletion_allowed"]),
        (&json!(true), &json!(true))
    );
    // What can be read once could have been read.
    let facts = told(&mount, config, json!({"exportable": false})).await;
    assert_eq!(
        (&facts["exportable"], &facts["deletion_allowed"]),
        (&json!(true), &json!(true))
    );
    assert!(
        refused(&mount, "keys/none/config", json!({}))
            .await
            .contains("not found")
    );
    let again = Ask::new(Verb::Write, "keys/k").body(json!({"type": "aes128-gcm96"}));
    let again = mount.run(&again).await.unwrap();
    assert_eq!(again.warnings, ["key k already existed"]);
    assert_eq!(of(&again)["type"], "aes256-gcm96");
}

#[tokio::test]
async fn a_key_goes_with_all_its_versions_where_it_may() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({"auto_rotate_period": "1h"})).await;
    told(&mount, "keys/k/rotate", json!({})).await;
    let delete = Ask::new(Verb::Delete, "keys/k");
    let refused = mount.run(&delete).await.unwrap_err().to_string();
    assert!(refused.contains("deletion is not allowed"), "{refused}");
    told(&mount, "keys/k/config", json!({"deletion_allowed": true})).await;
    mount.run(&delete).await.unwrap();
    assert!(mount.keys().await.is_empty() && mount.timers().is_empty());
    assert!(mount.run(&delete).await.is_err());
    // A key of its name is another one.
    told(&mount, "keys/k", json!({})).await;
    assert_eq!(key(&mount, "k").await["latest_version"], 1);
}

#[tokio::test]
async fn a_key_rotates_by_itself_after_its_time() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({"auto_rotate_period": "2h"})).await;
    assert_eq!(mount.timers(), [(1_800_007_200, "k".to_owned())]);
    mount.clock.advance(Duration::from_secs(HOUR));
    // By hand, an hour before it would have been.
    told(&mount, "keys/k/rotate", json!({})).await;
    assert_eq!(mount.timers(), [(1_800_010_800, "k".to_owned())]);
    mount.clock.advance(Duration::from_secs(2 * HOUR));
    mount.serve_timers().await;
    assert_eq!(key(&mount, "k").await["latest_version"], 3);
    assert_eq!(mount.timers(), [(1_800_018_000, "k".to_owned())]);
    told(&mount, "keys/k/config", json!({"auto_rotate_period": 0})).await;
    assert!(mount.timers().is_empty());
}

#[tokio::test]
async fn data_keys_open_and_have_their_lengths() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    for (bits, bytes) in [(json!(128), 16), (Value::Null, 32), (json!("512"), 64)] {
        let made = told(&mount, "datakey/plaintext/k", json!({"bits": bits})).await;
        let plaintext = STANDARD
            .decode(made["plaintext"].as_str().unwrap())
            .unwrap();
        assert_eq!(plaintext.len(), bytes);
        let opened = told(
            &mount,
            "decrypt/k",
            json!({"ciphertext": made["ciphertext"]}),
        )
        .await;
        assert_eq!(opened["plaintext"], made["plaintext"]);
    }
    let wrapped = told(&mount, "datakey/wrapped/k", json!({})).await;
    assert!(wrapped.get("plaintext").is_none() && wrapped["key_version"] == 1);
    assert!(
        refused(&mount, "datakey/wrapped/k", json!({"bits": 300}))
            .await
            .contains("bit length")
    );
    assert!(
        write(&mount, "datakey/nonsense/k", json!({}))
            .await
            .is_err()
    );
    assert!(
        refused(&mount, "datakey/wrapped/none", json!({}))
            .await
            .contains("not found")
    );
}

#[tokio::test]
async fn bytes_are_told_of_keys_that_were_made_for_it_only() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    let read = async |path: &str| mount.run(&Ask::new(Verb::Read, path)).await;
    let refused = read("export/encryption-key/k")
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not exportable"), "{refused}");
    told(&mount, "keys/k/config", json!({"exportable": true})).await;
    told(&mount, "keys/k/rotate", json!({})).await;
    let all = of(&read("export/encryption-key/k").await.unwrap());
    assert_eq!(all["keys"].as_object().unwrap().len(), 2);
    for (version, named) in [("1", "1"), ("latest", "2")] {
        let one = of(&read(&format!("export/encryption-key/k/{version}"))
            .await
            .unwrap());
        assert_eq!(one["keys"], json!({ named: all["keys"][named] }));
    }
    let second = of(&read("export/encryption-key/k/v2").await.unwrap());
    assert_eq!(second["keys"]["2"], all["keys"]["2"]);
    assert!(matches!(
        read("export/encryption-key/none").await,
        Err(Fault::NotFound)
    ));
    for path in [
        "export/encryption-key/k/3",
        "export/encryption-key/k/x",
        "export/signing-key/k",
    ] {
        assert!(read(path).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn many_at_once_are_done_each_on_its_own() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    let ask =
        |path: &str, items: Value| Ask::new(Verb::Write, path).body(json!({"batch_input": items}));
    let items = json!([{"plaintext": "aGk="}, {"plaintext": "aG8=", "reference": "r"}]);
    let made = mount.run(&ask("encrypt/k", items)).await.unwrap();
    assert_eq!(made.standing, Standing::Done);
    let made = of(&made)["batch_results"].clone();
    assert_eq!(made[1]["reference"], "r");
    let items = json!([
        {"ciphertext": made[1]["ciphertext"]},
        {"ciphertext": "vault:v1:AAAA", "reference": "broken"},
        {"ciphertext": made[0]["ciphertext"]},
    ]);
    let opened = mount.run(&ask("decrypt/k", items)).await.unwrap();
    assert_eq!(opened.standing, Standing::RefusedInPart);
    let opened = of(&opened)["batch_results"].clone();
    assert_eq!(
        (&opened[0]["plaintext"], &opened[2]["plaintext"]),
        (&json!("aG8="), &json!("aGk="))
    );
    assert_eq!(
        opened[1],
        json!({"error": "invalid ciphertext length", "reference": "broken"})
    );
    let empty = mount.run(&ask("encrypt/k", json!([]))).await.unwrap_err();
    assert_eq!(empty.to_string(), "missing batch input to process");
}

#[tokio::test]
async fn who_may_create_has_a_key_made_by_the_first_text() {
    let mount = Mount::transit();
    let ciphertext = encrypted(&mount, "new", "text").await;
    opens(&mount, "new", &ciphertext, "text").await;
    let made = told(
        &mount,
        "encrypt/derived",
        json!({"plaintext": "", "context": "YQ==", "type": "chacha20-poly1305"}),
    );
    assert_eq!(made.await["key_version"], 1);
    let facts = key(&mount, "derived").await;
    assert_eq!(
        (&facts["type"], &facts["derived"]),
        (&json!("chacha20-poly1305"), &json!(true))
    );
    let items = json!([{"plaintext": "", "context": "YQ=="}]);
    let batch = json!({"batch_input": items});
    told(&mount, "encrypt/batch", batch).await;
    assert_eq!(key(&mount, "batch").await["derived"], true);
    let convergent = json!({"plaintext": "", "convergent_encryption": true});
    let refused = refused(&mount, "encrypt/other", convergent).await;
    assert!(refused.contains("convergent"), "{refused}");
    // What cannot be encrypted leaves no key.
    assert!(
        write(&mount, "encrypt/other", json!({"plaintext": "no base64"}))
            .await
            .is_err()
    );
    let names = of(&mount.run(&Ask::new(Verb::List, "keys")).await.unwrap());
    assert_eq!(names["keys"], json!(["batch", "derived", "new"]));
}

/// What makes a key anew in the place of the one that is there, as others may between two reads.
async fn made_anew(mount: &Mount, name: &str) -> Batch {
    let made = Ask::new(Verb::Write, format!("keys/{name}"));
    let made = Mount::transit().call(&made).await.unwrap();
    let stored = mount.keys().await;
    let old = stored.iter().filter(|key| key.starts_with("version/"));
    let gone = old.fold(Batch::new(), |batch, key| batch.delete(mount.key(key)));
    let steps = made.writes.into_steps().into_iter();
    steps.fold(gone, |batch, step| {
        batch.step(Step {
            expect: None,
            ..step
        })
    })
}

#[tokio::test]
async fn a_key_that_is_made_anew_meanwhile_is_another_one() {
    let mount = Mount::transit();
    told(
        &mount,
        "keys/k",
        json!({"exportable": true, "type": "chacha20-poly1305"}),
    )
    .await;
    let ciphertext = encrypted(&mount, "k", "text").await;
    for (reads, ask) in [
        (1, Ask::new(Verb::Read, "export/encryption-key/k")),
        (
            2,
            Ask::new(Verb::Write, "encrypt/k").body(json!({"plaintext": ""})),
        ),
        (
            1,
            Ask::new(Verb::Write, "decrypt/k").body(json!({"ciphertext": ciphertext})),
        ),
        (1, Ask::new(Verb::Write, "datakey/wrapped/k")),
    ] {
        let raced = mount.with_commit_before_read(reads, made_anew(&mount, "k").await);
        let refused = raced.call(&ask).await.unwrap_err().to_string();
        assert_eq!(refused, "the key has no such version", "{ask:?}");
    }
    let facts = key(&mount, "k").await;
    assert_eq!(
        (&facts["exportable"], &facts["type"]),
        (&json!(false), &json!("aes256-gcm96"))
    );
}

#[tokio::test]
async fn of_two_who_change_a_key_at_once_none_is_lost() {
    let mount = Mount::transit();
    told(&mount, "keys/k", json!({})).await;
    let ask = |path: &str, body: Value| Ask::new(Verb::Write, path).body(body);
    // Both were asked before either is written, and the later one is asked again.
    let rotate = ask("keys/k/rotate", json!({}));
    let change = ask("keys/k/config", json!({"deletion_allowed": true}));
    let (first, second) = (
        mount.call(&rotate).await.unwrap(),
        mount.call(&change).await.unwrap(),
    );
    assert!(mount.commit(first.writes).await);
    assert!(!mount.commit(second.writes).await);
    mount.run(&change).await.unwrap();
    let facts = key(&mount, "k").await;
    assert_eq!(
        (&facts["latest_version"], &facts["deletion_allowed"]),
        (&json!(2), &json!(true))
    );
    // Two first encryptions: the later one takes the key of the other.
    let encrypt = ask("encrypt/new", json!({"plaintext": "aGk="}));
    let (first, second) = (
        mount.call(&encrypt).await.unwrap(),
        mount.call(&encrypt).await.unwrap(),
    );
    let ciphertext = of(&first)["ciphertext"].as_str().unwrap().to_owned();
    assert!(mount.commit(first.writes).await);
    assert!(!mount.commit(second.writes).await);
    let again = of(&mount.run(&encrypt).await.unwrap())["ciphertext"].clone();
    for ciphertext in [ciphertext.as_str(), again.as_str().unwrap()] {
        opens(&mount, "new", ciphertext, "hi").await;
    }
}

#[test]
fn a_key_is_one_resource_whatever_is_done_with_it() {
    let mount = Mount::transit();
    for aspect in [
        "keys",
        "encrypt",
        "decrypt",
        "rewrap",
        "datakey/plaintext",
        "datakey/wrapped",
        "export/encryption-key",
    ] {
        assert_eq!(mount.logical(&format!("{aspect}/k")), "k");
    }
    for (path, logical) in [
        ("keys", ""),
        ("keys/k/rotate", "k/rotate"),
        ("keysmith/k", "keysmith/k"),
        ("export/other/k", "export/other/k"),
    ] {
        assert_eq!(mount.logical(path), logical);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is rotated in between, what was encrypted opens, and says what it was.
    #[test]
    fn what_was_encrypted_opens(steps in proptest::collection::vec((any::<bool>(), ".{0,40}"), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mount = Mount::transit();
            let mut made = Vec::new();
            for (rotates, text) in steps {
                made.push((encrypted(&mount, "k", &text).await, text));
                if rotates {
                    told(&mount, "keys/k/rotate", json!({})).await;
                }
            }
            for (ciphertext, text) in made {
                opens(&mount, "k", &ciphertext, &text).await;
            }
        });
    }
}
