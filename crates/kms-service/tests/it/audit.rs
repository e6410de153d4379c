use crate::peers::{Program, free_port};
use crate::running::{DEADLINE, Place, Running, answer};
use secretum_audit::verify::{Report, Verifier};
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(crate) const AUDIT: &str = "[service.audit]\nkey_path = \"audit.key\"\n\
     [[service.audit.devices]]\ntype = \"file\"\noptions = { file_path = \"${HOME}/audit.log\" }\n";

/// The records of a log, without its heads.
pub(crate) fn records(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line.get("operation").is_some())
        .collect()
}

pub(crate) fn public_key(service: &mut Running) -> Vec<u8> {
    let line = service.wait_for_log("public_key=");
    let (_, key) = line.split_once("public_key=").unwrap();
    hex::decode(key.trim().trim_matches('"')).unwrap()
}

/// What a verifier says of a log.
pub(crate) fn verified(key: &[u8], bytes: &[u8]) -> Report {
    let mut verifier = Verifier::new(vec![key.to_vec()]);
    verifier.read("log", bytes, |_| ()).unwrap();
    verifier.finish()
}

#[tokio::test]
async fn a_log_is_signed_and_goes_on_over_a_restart() {
    let place = Place::local(AUDIT);
    let (log, key_file) = (place.path("audit.log"), place.path("audit.key"));
    let mut service = place.start();
    let key = public_key(&mut service);
    let rights = std::fs::metadata(&key_file).unwrap().permissions().mode();
    assert_eq!(rights & 0o777, 0o600);
    let body = json!({ "plaintext": "aGk=", "context": {"tenant": "planted-value"} });
    let made = service.ok("encrypt", body).await;
    let wrong = json!({ "ciphertext": made["ciphertext"], "context": {"tenant": "b"} });
    let refused = service.post("decrypt", &wrong).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    service.restart();
    assert_eq!(public_key(&mut service), key, "the key is that of before");
    service
        .ok("generate-key", json!({"key_spec": "AES_256"}))
        .await;
    service.end();

    let told: Vec<_> = (records(&log).iter())
        .map(|record| (record["operation"].clone(), record["outcome"].clone()))
        .collect();
    assert_eq!(
        told[..2],
        [
            (json!("encrypt"), json!("ok")),
            (json!("decrypt"), json!("not_authentic"))
        ]
    );
    assert_eq!(told.last().unwrap().0, "generate_data_key");
    assert_eq!(records(&log)[0]["context_keys"], json!(["tenant"]));
    let bytes = std::fs::read(&log).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("planted-value"));
    let report = verified(&key, &bytes);
    assert!(report.told.is_empty() && report.is_closed, "{report:?}");
    let changed = String::from_utf8(bytes)
        .unwrap()
        .replacen("\"ok\"", "\"no\"", 1);
    assert!(!verified(&key, changed.as_bytes()).told.is_empty());
}

#[tokio::test]
async fn moved_files_are_followed() {
    let place = Place::local(AUDIT);
    let (log, moved) = (place.path("audit.log"), place.path("audit.log.1"));
    let mut service = place.start();
    service.ok("encrypt", json!({ "plaintext": "aGk=" })).await;
    std::fs::rename(&log, &moved).unwrap();
    service.signal("HUP");
    service.wait_for_log("were read anew");
    service.ok("rotate", json!({})).await;
    assert_eq!(records(&moved)[0]["operation"], "encrypt");
    assert_eq!(records(&log).last().unwrap()["operation"], "rotate_key");
}

/// A service whose log is not read until it is asked for.
struct Unread {
    process: Program,
    url: String,
    _place: Place,
}

impl Unread {
    async fn start(settings: &str, filter: Option<&str>) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let place = Place::local(settings);
        let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
        place.write("kms.toml", &text.replace("127.0.0.1:0", &address));
        let mut command = place.command();
        command.envs(filter.map(|filter| ("RUST_LOG", filter)));
        let process = command.stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(began.elapsed() < DEADLINE, "it does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            process: process.into(),
            url: format!("http://{address}/api/v1/kms/encrypt"),
            _place: place,
        }
    }

    async fn encrypt(&self) -> (u16, Value) {
        let body = json!({ "plaintext": "aGk=", "context": {"tenant": "planted-value"} });
        let request = reqwest::Client::new().post(&self.url);
        let request = request.header("content-type", "application/json");
        let (status, told) = answer(request.body(body.to_string())).await;
        (status.as_u16(), told)
    }

    /// Ends it; what it wrote.
    fn log(mut self) -> String {
        self.process.kill().unwrap();
        let mut log = String::new();
        let mut pipe = self.process.stderr.take().unwrap();
        pipe.read_to_string(&mut log).unwrap();
        log
    }
}

/// How many records of encryptions stand in a log.
fn encryptions(log: &str) -> usize {
    assert!(!log.contains("planted"), "{log}");
    let wanted = "\\\"operation\\\":\\\"encrypt\\\"";
    log.lines().filter(|line| line.contains(wanted)).count()
}

/// No level and no filter of the log leaves them out.
#[tokio::test]
async fn without_devices_records_stand_in_the_log_at_every_level() {
    for (settings, filter) in [
        ("log_level = \"warn\"\n", None),
        ("log_level = \"error\"\nlog_format = \"json\"\n", None),
        ("", Some("off")),
        ("", Some("info,kms_audit=off")),
    ] {
        let service = Unread::start(settings, filter).await;
        assert_eq!(service.encrypt().await.0, 200);
        let log = service.log();
        assert_eq!(encryptions(&log), 1, "{settings}{filter:?}: {log}");
    }
}

/// Where nobody reads the log, nothing is given out that does not stand there.
#[tokio::test]
async fn what_the_log_does_not_take_is_withheld() {
    let service = Unread::start("log_level = \"warn\"\n", None).await;
    let mut given = 0;
    let refused = loop {
        match service.encrypt().await {
            (200, _) => given += 1,
            refused => break refused,
        }
        assert!(given < 10_000, "the log takes everything");
    };
    assert_eq!(
        (refused.0, &refused.1["error"]["code"]),
        (500, &json!("audit"))
    );
    assert!(refused.1.get("ciphertext").is_none());
    assert_eq!(service.encrypt().await.0, 500);
    let recorded = encryptions(&service.log());
    assert!(given > 10 && recorded >= given, "{recorded} of {given}");
}

#[test]
fn what_cannot_be_audited_does_not_start() {
    let again = "[[service.audit.devices]]\ntype = \"file\"\noptions = { file_path = \"${HOME}/audit.log\" }\n";
    for (section, told) in [
        (
            AUDIT.replace("file_path", "file_pth"),
            "`file_pth` is not an option",
        ),
        (
            AUDIT.replace("\"file\"", "\"fil\""),
            "is not a type of audit device",
        ),
        (
            AUDIT.replace("file_path =", "log_raw = true, file_path ="),
            "`log_raw` has no effect here",
        ),
        (
            "[service.audit]\nkey_path = \"k\"\ndevices = []\n".to_owned(),
            "has 1 to 16 devices",
        ),
        (
            AUDIT.replace("audit.log", "gone/audit.log"),
            "gone/audit.log",
        ),
        (
            AUDIT.replace("audit.key", "kms.toml"),
            "bytes in hex digits",
        ),
        (format!("{AUDIT}{again}"), "audit device 2"),
    ] {
        let place = Place::local(&section);
        let out = place.command().output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(
            !out.status.success() && said.contains(told),
            "{told}: {said}"
        );
    }
}

#[tokio::test]
async fn what_no_device_takes_is_withheld() {
    let text = AUDIT.replace("\"file\"", "\"socket\"").replace(
        "file_path = \"${HOME}/audit.log\"",
        "address = \"${HOME}/audit.sock\", socket_type = \"unix\"",
    );
    let place = Place::local(&text);
    let listener = UnixListener::bind(place.path("audit.sock")).unwrap();
    let service = place.start();
    let body = json!({ "plaintext": "aGk=" });
    service.ok("encrypt", body.clone()).await;
    drop(listener);
    std::fs::remove_file(service.place.path("audit.sock")).unwrap();
    let (status, told) = answer(service.post("encrypt", &body)).await;
    assert!(status.is_server_error(), "{told}");
    assert_eq!(told["error"]["code"], "audit");
    assert!(told.get("ciphertext").is_none(), "{told}");
    let refused = service.refused("rotate", json!({})).await;
    assert_eq!(refused, (500, "audit".to_owned()));
    let keys = std::fs::read_to_string(service.place.path("keys.txt")).unwrap();
    assert!(!keys.contains("default:2:"), "{keys}");
}
