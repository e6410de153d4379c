//! What is refused before the key service is asked is recorded, too.

use crate::access::token;
use crate::audit::{AUDIT, records};
use crate::data_keys::external;
use crate::grpc::wire::VaultKey;
use crate::grpc::wire::key::KeyType;
use crate::grpc::{ANY_PORT, age, channel, data_key, decrypt, encrypt};
use crate::running::{DEADLINE, Place, Running, refusal, write_age_keys};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A log that is read as it grows.
struct Log {
    file: PathBuf,
    seen: usize,
}

impl Log {
    fn of(place: &Place) -> Self {
        Self {
            file: place.path("audit.log"),
            seen: 0,
        }
    }

    /// The records since the last look: operation, provider, caller, key, outcome.
    fn new_ones(&mut self) -> Vec<[Value; 5]> {
        let records = records(&self.file).split_off(self.seen);
        self.seen += records.len();
        let parts = ["operation", "provider", "caller", "key", "outcome"];
        let told = records.iter();
        told.map(|record| parts.map(|part| record[part].clone()))
            .collect()
    }

    /// The same, of what is recorded without anybody waiting for it.
    async fn next_ones(&mut self) -> Vec<[Value; 5]> {
        let since = Instant::now();
        loop {
            let recorded = self.new_ones();
            if !recorded.is_empty() || since.elapsed() > DEADLINE {
                return recorded;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn told(
    (provider, operation): (&str, &str),
    caller: &str,
    key: Value,
    outcome: &str,
) -> Vec<[Value; 5]> {
    let [operation, provider, caller, outcome] =
        [operation, provider, caller, outcome].map(Value::from);
    vec![[operation, provider, caller, key, outcome]]
}

/// A service, and who asks it with rights on one key.
struct Probed {
    service: Running,
    log: Log,
}

impl Probed {
    fn start() -> Self {
        let prober = token("prober", "right", "\"*\"", "\"default\"");
        let place = Place::local(&format!("body_bytes_max = 2000\n{prober}{AUDIT}"));
        let log = Log::of(&place);
        let service = place.start();
        Self { service, log }
    }

    fn ask(&self, operation: &str, body: impl ToString) -> RequestBuilder {
        let request = self.service.post_text(operation, body.to_string());
        request.bearer_auth("right")
    }

    /// It is refused with this code, and recorded once.
    async fn refuses(
        &mut self,
        (path, body): (&str, impl ToString),
        (operation, key, code): (&str, Value, &str),
    ) {
        let (_, refused) = refusal(self.ask(path, body)).await;
        assert_eq!(refused, code);
        let wanted = told(("local", operation), "prober", key, code);
        assert_eq!(self.log.new_ones(), wanted, "{path}");
    }
}

#[tokio::test]
async fn a_refused_body_is_recorded_once() {
    let mut probed = Probed::start();
    let (none, own) = (Value::Null, json!("default"));
    let no_text = json!({ "plaintext": "planted!" });
    let no_kind = json!({ "key_spec": "DES" });
    let other_key = json!({ "key_id": "b" });
    for (path, body, operation, key, code) in [
        (
            "encrypt",
            "planted".to_owned(),
            "encrypt",
            &none,
            "body_not_json",
        ),
        (
            "encrypt",
            no_text.to_string(),
            "encrypt",
            &own,
            "plaintext_not_base64",
        ),
        (
            "encrypt",
            " ".repeat(2001),
            "encrypt",
            &none,
            "body_too_large",
        ),
        (
            "generate-key",
            no_kind.to_string(),
            "generate_data_key",
            &own,
            "data_key_spec",
        ),
        (
            "rotate",
            other_key.to_string(),
            "rotate_key",
            &json!("b"),
            "forbidden",
        ),
    ] {
        probed
            .refuses((path, body), (operation, key.clone(), code))
            .await;
    }
    let text = std::fs::read_to_string(&probed.log.file).unwrap();
    assert!(!text.contains("planted"), "{text}");
}

#[tokio::test]
async fn a_refused_ciphertext_is_recorded_once() {
    let mut probed = Probed::start();
    let hello = probed.ask("encrypt", json!({ "plaintext": "aGk=" }));
    let (_, made) = crate::running::answer(hello).await;
    let whole = made["ciphertext"].as_str().unwrap();
    let (none, own) = (Value::Null, json!("default"));
    let wanted = told(("local", "encrypt"), "prober", own.clone(), "ok");
    assert_eq!(probed.log.new_ones(), wanted);
    let bytes = BASE64_STANDARD.decode(whole).unwrap();
    let mut newer = bytes.clone();
    newer[4] = 9;
    let cut = json!({ "ciphertext": BASE64_STANDARD.encode(&bytes[..20]) });
    let newer = json!({ "ciphertext": BASE64_STANDARD.encode(newer) });
    let foreign = json!({ "ciphertext": "aGVsbG8=" });
    let other = json!({ "ciphertext": whole, "key_id": "a" });
    let moved = json!({ "ciphertext": whole, "new_key_id": "a" });
    // What the key service refuses is recorded by the library, and not again.
    let elsewhere = json!({ "ciphertext": whole, "context": "a=b" });
    for (path, body, operation, key, code) in [
        ("decrypt", cut, "decrypt", &none, "ciphertext_truncated"),
        ("decrypt", newer, "decrypt", &none, "ciphertext_newer"),
        (
            "decrypt-key",
            foreign,
            "decrypt_data_key",
            &none,
            "ciphertext_foreign",
        ),
        ("decrypt", other, "decrypt", &own, "other_key"),
        ("re-encrypt", moved, "re_encrypt", &json!("a"), "forbidden"),
        ("decrypt", elsewhere, "decrypt", &own, "not_authentic"),
    ] {
        probed
            .refuses((path, body), (operation, key.clone(), code))
            .await;
    }
}

#[tokio::test]
async fn who_goes_away_before_the_body_is_there_leaves_a_record() {
    let mut probed = Probed::start();
    let mut connection = TcpStream::connect(&probed.service.address).unwrap();
    let head = "POST /api/v1/kms/decrypt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer right\r\n\
                Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    connection.write_all(head.as_bytes()).unwrap();
    drop(connection);
    let broken = told(("local", "decrypt"), "prober", Value::Null, "body_broken");
    assert_eq!(probed.log.next_ones().await, broken);

    // A stream among others is reset.
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let client = client.build().unwrap();
    let url = probed.service.url("/api/v1/kms/encrypt");
    let endless = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = client.post(url).bearer_auth("right");
    let request = request.header("Content-Type", "application/json");
    let request = request.body(reqwest::Body::wrap(endless)).send();
    tokio::time::timeout(Duration::from_millis(500), request)
        .await
        .unwrap_err();
    let broken = told(("local", "encrypt"), "prober", Value::Null, "body_broken");
    assert_eq!(probed.log.next_ones().await, broken);
}

#[tokio::test]
async fn a_refused_call_is_recorded_once() {
    let place = Place::new();
    write_age_keys(place.0.path());
    let kms = "[kms.age]\npublic_key_path = \"public.txt\"\nprivate_key_path = \"private.txt\"\n\
               [kms.vault]\naddress = \"http://127.0.0.1:1\"\ntoken = \"planted\"\n";
    let sops = "local_rights = [{ operations = [\"decrypt\", \"encrypt\"], keys = [\"age1*\", \"files\"] }]\n\
                [service.sops]\nproviders = [\"age\", \"vault\"]\n";
    place.configure("age", kms, &format!("{ANY_PORT}{sops}{AUDIT}"));
    let recipient = std::fs::read_to_string(place.path("public.txt")).unwrap();
    let recipient = recipient.trim();
    let mut log = Log::of(&place);
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let vault = |address: &str, name: &str| {
        KeyType::VaultKey(VaultKey {
            vault_address: address.to_owned(),
            engine_path: "transit".to_owned(),
            key_name: name.to_owned(),
        })
    };
    let own = "http://127.0.0.1:1";
    for (key, provider, name, outcome) in [
        (
            vault("http://elsewhere", "files"),
            "vault",
            json!("files"),
            "failed_precondition",
        ),
        (vault(own, "other"), "vault", json!("other"), "forbidden"),
        (age("age1\n"), "age", Value::Null, "invalid_argument"),
    ] {
        encrypt(&channel, key.clone(), b"x").await.unwrap_err();
        let wanted = told((provider, "encrypt"), "local", name.clone(), outcome);
        assert_eq!(log.new_ones(), wanted);
        decrypt(&channel, key, b"x").await.unwrap_err();
        let wanted = told((provider, "decrypt"), "local", name, outcome);
        assert_eq!(log.new_ones(), wanted);
    }
    let large = vec![7; 64 << 10];
    encrypt(&channel, age(recipient), &large).await.unwrap_err();
    let wanted = told(("sops", "encrypt"), "local", Value::Null, "out_of_range");
    assert_eq!(log.new_ones(), wanted);
    // What the provider refuses is recorded by the library, and not again.
    decrypt(&channel, age(recipient), b"x").await.unwrap_err();
    let recorded = log.new_ones();
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0][3], recipient);
    encrypt(&channel, age(recipient), b"x").await.unwrap();
    let wanted = told(("age", "encrypt"), "local", json!(recipient), "ok");
    assert_eq!(log.new_ones(), wanted);
}

#[tokio::test]
async fn an_identifier_that_is_none_is_recorded() {
    let shared = tempfile::tempdir().unwrap();
    let place = external(shared.path());
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    place.write("kms.toml", &(text + AUDIT));
    let mut log = Log::of(&place);
    let mut service = place.start();
    let channel = channel(&mut service).await;
    log.new_ones();
    data_key(&channel, "", 32).await.unwrap_err();
    let wanted = told(
        ("data-keys", "generate_data_key"),
        "loopback",
        Value::Null,
        "invalid_argument",
    );
    assert_eq!(log.new_ones(), wanted);
    // One that is asked for in vain is recorded where it was asked for, and not again.
    data_key(&channel, "volume", 4097).await.unwrap_err();
    let wanted = told(
        ("data-keys", "generate_data_key"),
        "loopback",
        json!("volume"),
        "data_key_spec",
    );
    assert_eq!(log.new_ones(), wanted);
}
