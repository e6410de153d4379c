//! Audit: nothing happens unrecorded, and nothing secret is recorded.

use crate::support::until;
use crate::support::vault::{Vault, ask};
use secretum_audit::verify::{Report, Verifier};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A vault whose requests are recorded in a file.
pub(super) struct Recorded {
    pub(super) vault: Vault,
    file: PathBuf,
    _folder: TempDir,
}

impl Recorded {
    pub(super) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.log");
        let vault = Vault::open().await;
        let body = json!({"type": "file", "options": {"file_path": file}});
        vault.write("sys/audit/file", body).await.unwrap();
        Self {
            vault,
            file,
            _folder: folder,
        }
    }

    pub(super) fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    fn records(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter(|line| !is_head(line));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Checks the whole log; with these devices' keys, where they are still there.
    async fn verify(&self, devices: &[&str]) -> Report {
        let mut keys = Vec::new();
        for device in devices {
            let key = self
                .vault
                .read(&format!("sys/audit-key/{device}"))
                .await
                .unwrap();
            keys.push(hex::decode(key.data["public_key"].as_str().unwrap()).unwrap());
        }
        let mut verifier = Verifier::new(keys);
        verifier
            .read("log", self.text().as_bytes(), |_| ())
            .unwrap();
        let report = verifier.finish();
        assert_eq!(report.told, []);
        report
    }

    /// How long the lines behind the first `records` records are.
    fn lengths_behind(&self, records: usize) -> Vec<usize> {
        let text = self.text();
        let lines = text.lines().filter(|line| !is_head(line));
        lines.skip(records).map(str::len).collect()
    }

    /// Waits until a head stands behind the last record: none comes until there is another.
    async fn is_covered(&self) {
        until("a head follows", async || {
            self.text().lines().last().is_some_and(is_head)
        })
        .await;
    }

    /// Leaves room for so many bytes in the file; returns its length before.
    pub(super) fn fill(&self, room: u64) -> u64 {
        let file = OpenOptions::new().write(true).open(&self.file).unwrap();
        let before = file.metadata().unwrap().len();
        file.set_len(longest(&self.file) - room).unwrap();
        before
    }

    /// Gives the file its old length back.
    pub(super) fn empty(&self, length: u64) {
        let file = OpenOptions::new().write(true).open(&self.file).unwrap();
        file.set_len(length).unwrap();
    }
}

fn is_head(line: &str) -> bool {
    line.contains("\"type\":\"head\"")
}

/// The length beyond which this file system lets no file grow. What is not written takes no room.
fn longest(beside: &Path) -> u64 {
    let probe = beside.with_extension("probe");
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(probe)
        .unwrap();
    let (mut fits, mut too_long) = (0_u64, u64::try_from(i64::MAX).unwrap() + 1);
    while too_long - fits > 1 {
        let middle = fits + (too_long - fits) / 2;
        if file.set_len(middle).is_ok() {
            fits = middle;
        } else {
            too_long = middle;
        }
    }
    fits
}

#[tokio::test]
async fn every_request_is_recorded_with_its_answer() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let stranger = vault.token_with(&["default"]).await;
    let start = recorded.records().len();
    vault.read("secret/data/missing").await.unwrap_err();
    vault
        .ask_as(&stranger, Verb::Read, "secret/data/a")
        .await
        .unwrap_err();
    ask(Verb::Read, "nowhere")
        .of(&vault.core)
        .await
        .unwrap_err();
    vault
        .ask_as("hvs.unknown", Verb::Delete, "sys/mounts/secret")
        .await
        .unwrap_err();
    let records = recorded.records().split_off(start);
    let facts: Vec<[&Value; 5]> = records
        .iter()
        .map(|record| {
            [
                &record["type"],
                &record["request"]["path"],
                &record["request"]["operation"],
                &record["policy"]["decision"],
                &record["error"],
            ]
        })
        .collect();
    let (null, allow, deny) = (Value::Null, json!("allow"), json!("deny"));
    let row = |kind: &str, path: &str, verb: &str| [json!(kind), json!(path), json!(verb)];
    let mut expected = Vec::new();
    for (path, verb, decision, error) in [
        ("secret/data/missing", "read", &allow, "not found"),
        ("secret/data/a", "read", &deny, "permission denied"),
        ("nowhere", "read", &null, "permission denied"),
        ("sys/mounts/secret", "delete", &null, "permission denied"),
    ] {
        for kind in ["request", "response"] {
            // What was permitted has no error before it was tried.
            let quiet = kind == "request" && *decision == allow;
            let error = if quiet { null.clone() } else { json!(error) };
            expected.push((row(kind, path, verb), decision.clone(), error));
        }
    }
    assert_eq!(facts.len(), expected.len());
    for (fact, (row, decision, error)) in facts.iter().zip(&expected) {
        assert_eq!(*fact, [&row[0], &row[1], &row[2], decision, error]);
    }
}

#[tokio::test]
async fn nothing_happens_that_cannot_be_recorded() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    vault
        .write("secret/data/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    let token = vault.token_with(&["default"]).await;
    let (length, commits) = (recorded.fill(0), vault.storage.commits());
    let keys = vault.storage.keys("").await;
    for answer in [
        vault.read("secret/data/a").await,
        vault.read("secret/data/missing").await,
        vault.read("probe/open").await,
        vault.ask(Verb::Delete, "secret/metadata/a").await,
        vault.ask(Verb::Delete, "sys/audit/file").await,
        vault.ask(Verb::Help, "secret/data/a").await,
        vault
            .write("secret/data/a", json!({"data": {"a": 2}}))
            .await,
        vault.write("auth/token/create", json!({})).await,
        vault.write("sys/seal", json!({})).await,
        // Not even a refusal is told.
        vault.ask_as(&token, Verb::Read, "secret/data/a").await,
        vault
            .ask_as("hvs.unknown", Verb::Read, "secret/data/a")
            .await,
        ask(Verb::Read, "nowhere").of(&vault.core).await,
    ] {
        assert!(matches!(answer, Err(Fault::Unrecorded)), "{answer:?}");
    }
    assert_eq!(vault.storage.commits(), commits, "something was written");
    assert_eq!(vault.storage.keys("").await, keys);
    // Lifecycle paths are not recorded, and still answer.
    ask(Verb::Read, "sys/health").of(&vault.core).await.unwrap();
    recorded.empty(length);
    let read = vault.read("secret/data/a").await.unwrap();
    assert_eq!(read.data["data"]["a"], 1);
}

#[tokio::test]
async fn one_device_that_works_is_enough() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let second = recorded.file.with_extension("second");
    let body = json!({"type": "file", "options": {"file_path": second}});
    vault.write("sys/audit/second", body).await.unwrap();
    recorded.fill(0);
    vault
        .write("secret/data/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    // Once it is gone, the answer that says so cannot be recorded either.
    let disabled = vault.ask(Verb::Delete, "sys/audit/second").await;
    assert!(matches!(disabled, Err(Fault::Unrecorded)), "{disabled:?}");
    let answer = vault.read("secret/data/a").await;
    assert!(matches!(answer, Err(Fault::Unrecorded)), "{answer:?}");
}

/// Lets the record of this request be written, and not that of its answer.
async fn unrecorded_answer(recorded: &Recorded, token: &str, path: &str, body: &Value) -> Fault {
    let vault = &recorded.vault;
    // The record of the same request tells how much room one takes.
    let records = recorded.records().len();
    let denied = vault.write_as("hvs.unknown", path, body.clone()).await;
    assert!(matches!(denied, Err(Fault::Denied)));
    vault.write_as(token, path, body.clone()).await.unwrap();
    let line = recorded.lengths_behind(records)[2];
    recorded.is_covered().await;
    let length = recorded.fill(u64::try_from(line).unwrap() + 20);
    let answer = vault.write_as(token, path, body.clone()).await;
    recorded.empty(length);
    answer.unwrap_err()
}

#[tokio::test]
async fn a_token_whose_answer_cannot_be_recorded_is_revoked() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let body = json!({"policies": "default"});
    let count = async || vault.storage.keys("sys/token/id/").await.len();
    let before = count().await;
    let fault = unrecorded_answer(&recorded, &vault.root, "auth/token/create", &body).await;
    assert!(matches!(fault, Fault::Unrecorded), "{fault:?}");
    assert_eq!(count().await, before + 1, "the one that was recorded");
}

#[tokio::test]
async fn a_token_whose_unwrapping_cannot_be_recorded_is_revoked() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let wrapped = async || {
        let create = ask(Verb::Write, "auth/token/create").token(&vault.root);
        let create = create.body(json!({"policies": "default"})).wrapped(60);
        create.of(&vault.core).await.unwrap().wrap_token.unwrap()
    };
    let path = "sys/wrapping/unwrap";
    let (first, second) = (wrapped().await, wrapped().await);
    let count = async || vault.storage.keys("sys/token/id/").await.len();
    let before = count().await;
    // The record of the same request tells how much room one takes.
    let records = recorded.records().len();
    vault.write_as(&first, path, json!({})).await.unwrap();
    assert_eq!(count().await, before - 1, "the wrapping token is gone");
    let line = recorded.lengths_behind(records)[0];
    recorded.is_covered().await;
    recorded.fill(u64::try_from(line).unwrap() + 20);
    let answer = vault.write_as(&second, path, json!({})).await;
    assert!(matches!(answer, Err(Fault::Unrecorded)), "{answer:?}");
    assert_eq!(count().await, before - 3, "and what it held");
}

#[tokio::test]
async fn a_token_that_was_renewed_is_not_what_the_answer_issued() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let token = vault.token_with(&["default"]).await;
    let body = json!({"increment": 60});
    let fault = unrecorded_answer(&recorded, &token, "auth/token/renew-self", &body).await;
    assert!(matches!(fault, Fault::Unrecorded), "{fault:?}");
    assert!(vault.lives(&token).await);
}

/// Requests that hold a secret where it does not belong.
fn misplaced(secret: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("secret/data/a", json!({"data": secret})),
        (
            "secret/data/a",
            json!({"data": {"a": 1}, "options": {"cas": secret}}),
        ),
        (
            "secret/data/a",
            json!({"data": {"a": 1}, "options": secret}),
        ),
        ("secret/data/a", json!({"data": [secret]})),
        ("secret/data/a", json!(secret)),
        ("secret/destroy/a", json!({"versions": secret})),
        ("secret/metadata/a", json!({"max_versions": secret})),
        ("secret/metadata/a", json!({"cas_required": secret})),
        ("secret/metadata/a", json!({"delete_version_after": secret})),
        (
            "secret/metadata/a",
            json!({"custom_metadata": {"a": [secret]}}),
        ),
        ("secret/config", json!({"max_versions": {"a": secret}})),
        ("auth/token/create", json!({"ttl": secret})),
        ("auth/token/create", json!({"num_uses": secret})),
        ("auth/token/create", json!({"renewable": secret})),
        ("auth/token/create", json!({"meta": secret})),
        ("auth/token/create", json!({"meta": {"a": [secret]}})),
        ("auth/token/create", json!({"type": secret})),
        (
            "sys/mounts/secret/tune",
            json!({"listing_visibility": secret}),
        ),
        ("sys/mounts/new", json!({"type": secret})),
        (
            "sys/mounts/new",
            json!({"type": "kv", "options": {"version": secret}}),
        ),
        ("sys/audit/new", json!({"type": secret})),
        (
            "sys/policies/acl/new",
            json!({"policy": format!("path {secret}")}),
        ),
        ("probe/count/a", json!({"wait": secret})),
    ]
}

#[tokio::test]
async fn nothing_secret_is_recorded() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let secret = "planted-hunter2";
    let fields = json!({"data": {"password": secret, "nested": [{"deep": secret}]}});
    vault.write("secret/data/a", fields).await.unwrap();
    vault.read("secret/data/a").await.unwrap();
    let patch = ask(Verb::Patch, "secret/data/a").token(&vault.root);
    patch
        .body(json!({"data": {"password": "planted-patched"}}))
        .of(&vault.core)
        .await
        .unwrap();
    let settings = json!({"id": "planted-token", "policies": "default"});
    let made = vault.token_of(&vault.root, settings).await;
    for path in ["auth/token/lookup", "auth/token/renew", "auth/token/revoke"] {
        let body = json!({"token": made.client_token});
        vault.write(path, body).await.unwrap();
    }
    vault
        .ask_as("hvs.planted-guess", Verb::Read, "secret/data/a")
        .await
        .unwrap_err();
    for (path, body) in misplaced(secret) {
        let answer = vault.write(path, body.clone()).await;
        assert!(answer.is_err(), "{path} {body}: {answer:?}");
    }
    let text = recorded.text();
    assert!(text.lines().count() > 60);
    for planted in ["planted-", vault.root.as_str(), &made.accessor] {
        let line = text.lines().find(|line| line.contains(planted));
        assert_eq!(line, None, "{planted}");
    }
    // What is concealed can still be found by who asks the vault.
    let hash = vault
        .write("sys/audit-hash/file", json!({"input": secret}))
        .await
        .unwrap();
    assert!(text.contains(hash.data["hash"].as_str().unwrap()));
}

#[tokio::test]
async fn a_vault_whose_device_cannot_open_stays_sealed() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    vault.core.seal().await;
    let aside = recorded.file.with_extension("aside");
    std::fs::rename(&recorded.file, &aside).unwrap();
    std::fs::create_dir(&recorded.file).unwrap();
    assert!(vault.give_share(&vault.shares[0]).await.is_err());
    let state = vault.core.status().await.unwrap().state;
    assert_eq!(state, secretum_core::NodeState::Sealed);
    std::fs::remove_dir(&recorded.file).unwrap();
    std::fs::rename(&aside, &recorded.file).unwrap();
    vault.unseal().await;
    assert!(vault.lives(&vault.root).await);
}

#[tokio::test]
async fn nothing_secret_shows_in_debug() {
    let vault = Vault::open().await;
    let create = secretum_core::Request {
        id: "request".to_owned(),
        verb: Verb::Write,
        path: secretum_api::RequestPath::parse("auth/token/create").unwrap(),
        query: Vec::new(),
        body: Some(serde_json::from_str(r#"{"id":"planted-token"}"#).unwrap()),
        token: Some(secretum_crypto::SecretString::new(vault.root.clone())),
        remote_address: None,
        client_certificates: secretum_core::VerifiedCertificates::default(),
        wrap_ttl: None,
        headers: Vec::new(),
    };
    let shown = format!("{create:?}");
    let response = vault.core.handle(create).await;
    assert!(response.outcome.is_ok());
    let shown = format!("{shown} {response:?} {:?}", vault.core);
    for planted in ["planted-token", vault.root.as_str(), &vault.shares[0]] {
        assert!(!shown.contains(planted), "{planted}: {shown}");
    }
}

#[tokio::test]
async fn a_file_belongs_to_one_device() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let body = json!({"type": "file", "options": {"file_path": recorded.file}});
    let refused = vault.write("sys/audit/second", body.clone()).await;
    assert!(
        matches!(&refused, Err(Fault::Invalid(told)) if told.contains("`file/`")),
        "{refused:?}"
    );
    // The same after it was moved away, before and after it is opened anew.
    let moved = recorded.file.with_extension("1");
    std::fs::rename(&recorded.file, &moved).unwrap();
    for _ in 0..2 {
        let refused = vault.write("sys/audit/second", body.clone()).await;
        assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
        vault.core.reopen_audit().await.unwrap();
    }
    let freed = json!({"type": "file", "options": {"file_path": moved}});
    vault.write("sys/audit/second", freed).await.unwrap();
    // Of two additions at once for one new file, one is refused, whoever is first.
    let file = recorded.file.with_extension("new");
    let body = json!({"type": "file", "options": {"file_path": file}});
    let (one, two) = tokio::join!(
        vault.write("sys/audit/one", body.clone()),
        vault.write("sys/audit/two", body)
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

#[tokio::test]
async fn a_file_opened_anew_again_and_again_under_load_keeps_one_chain() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    let load = async {
        for _ in 0..200 {
            vault.read("sys/mounts").await.unwrap();
        }
    };
    let reopening = async {
        for _ in 0..20 {
            vault.core.reopen_audit().await.unwrap();
        }
    };
    tokio::join!(load, reopening);
    let report = recorded.verify(&["file"]).await;
    assert_eq!(report.first_sequence, Some(0));
}

#[tokio::test]
async fn callers_who_are_not_known_are_recorded_before_their_body_comes() {
    let recorded = Recorded::open().await;
    let root = recorded.vault.root.clone();
    let request = |token: &str| ask(Verb::Write, "secret/data/a").token(token).request;
    let before = recorded.records().len();
    let core = &recorded.vault.core;
    core.admit(&request(&root)).await.unwrap();
    assert_eq!(recorded.records().len(), before, "nothing was done yet");
    let refused = core.admit(&request("hvs.nobody")).await;
    assert!(matches!(refused, Err(Fault::Denied)), "{refused:?}");
    let records = recorded.records();
    let [.., request, response] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(records.len(), before + 2);
    assert_eq!(request["request"]["path"], "secret/data/a");
    assert_eq!(response["error"], "permission denied");
    recorded.vault.core.seal().await;
    let sealed = core
        .admit(&self::ask(Verb::Write, "a").token(&root).request)
        .await;
    assert!(matches!(sealed, Err(Fault::Sealed)), "{sealed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_goes_from_device_to_device_under_load_keeps_one_chain() {
    let recorded = Arc::new(Recorded::open().await);
    let vault = &recorded.vault;
    let load: Vec<_> = (0..8)
        .map(|_| {
            let recorded = Arc::clone(&recorded);
            tokio::spawn(async move {
                for _ in 0..100 {
                    recorded.vault.read("sys/mounts").await.unwrap();
                }
            })
        })
        .collect();
    let body = json!({"type": "file", "options": {"file_path": recorded.file}});
    let mut last = "file".to_owned();
    for round in 0..20 {
        let path = format!("sys/audit/{last}");
        vault.ask(Verb::Delete, &path).await.unwrap();
        last = format!("round-{}", round % 3);
        let path = format!("sys/audit/{last}");
        vault.write(&path, body.clone()).await.unwrap();
    }
    for reader in load {
        reader.await.unwrap();
    }
    // The devices, and their keys, came and went.
    let report = recorded.verify(&[]).await;
    assert_eq!((report.first_sequence, report.not_closed), (Some(0), 0));
}

/// A request's headers as the server hands them in.
fn headers_of(vault: &Vault, sent: &[(&str, &str)]) -> Vec<secretum_core::RecordedHeader> {
    vault.core.recorded_headers(|name| {
        let own = sent.iter().filter(|(own, _)| *own == name);
        own.map(|(_, value)| (*value).to_owned()).collect()
    })
}

#[tokio::test]
async fn configured_headers_outlive_a_seal_and_others_are_not_collected() {
    let vault = Vault::open().await;
    assert!(headers_of(&vault, &[("x-a", "1")]).is_empty());
    for (name, hmac) in [("X-A", false), ("x-b", true)] {
        let path = format!("sys/config/auditing/request-headers/{name}");
        vault.write(&path, json!({"hmac": hmac})).await.unwrap();
    }
    let sent = [("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("x-c", "4")];
    let shown = |vault: &Vault| -> Vec<(String, Vec<String>, bool)> {
        let headers = headers_of(vault, &sent).into_iter();
        headers
            .map(|own| (own.name, own.values, own.concealed))
            .collect()
    };
    let wanted = [
        (
            "x-a".to_owned(),
            vec!["1".to_owned(), "3".to_owned()],
            false,
        ),
        ("x-b".to_owned(), vec!["2".to_owned()], true),
    ];
    assert_eq!(shown(&vault), wanted);
    vault.core.seal().await;
    assert!(shown(&vault).is_empty());
    vault.unseal().await;
    assert_eq!(shown(&vault), wanted);
}

#[tokio::test]
async fn recorded_headers_end_at_their_number() {
    let vault = Vault::open().await;
    let add = async |number: usize| {
        let path = format!("sys/config/auditing/request-headers/x-{number}");
        vault.write(&path, json!({"hmac": true})).await
    };
    for number in 0..64 {
        add(number).await.unwrap();
    }
    assert!(matches!(add(64).await, Err(Fault::Invalid(_))));
    // One that is there can be changed, and one that went makes room.
    add(63).await.unwrap();
    let gone = "sys/config/auditing/request-headers/x-0";
    vault.ask(Verb::Delete, gone).await.unwrap();
    add(64).await.unwrap();
}
