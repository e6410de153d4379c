//! What schedules and commands record of the data keys that they wrap anew.

use crate::audit::{AUDIT, public_key, records, verified};
use crate::data_keys::external;
use crate::grpc::{channel, data_key};
use crate::rotation::{of_age, run, scheduled, told, version};
use crate::running::{DEADLINE, Place};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const REWRAP: &str = "kms-service data-keys rewrap";
const MOVE: &str = "kms-service data-keys move";

/// A configuration with devices, and with more in it.
fn with(place: Place, said: &str) -> Place {
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    place.write("kms.toml", &format!("{text}{said}"));
    place
}

fn audited(folder: &Path) -> Place {
    with(external(folder), AUDIT)
}

/// The operations of a caller: with which provider, on which key, and how they ended.
fn done(file: &Path, caller: &str) -> Vec<(Value, Value, Value, Value)> {
    let records = records(file).into_iter();
    let own = records.filter(|record| record["caller"] == caller);
    let part = |record: &Value, name: &str| record[name].clone();
    own.map(|record| {
        (
            part(&record, "operation"),
            part(&record, "provider"),
            part(&record, "key"),
            part(&record, "outcome"),
        )
    })
    .collect()
}

fn ok(operation: &str, provider: &str, key: &str) -> (Value, Value, Value, Value) {
    (json!(operation), json!(provider), json!(key), json!("ok"))
}

/// Who runs beside a service has devices of its own; who runs again goes on with their chain.
#[tokio::test]
async fn a_command_records_what_it_does_with_each_key() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = audited(shared.path()).start();
    let key = public_key(&mut service);
    let channel = channel(&mut service).await;
    for id in ["volume-1", "volume-2"] {
        data_key(&channel, id, 32).await.unwrap();
    }
    let log = service.place.path("data-keys-audit.log");
    for rotations in 1..=2 {
        let out = run(&service.place, &["data-keys", "rewrap", "--rotate"]);
        assert!(out.status.success(), "{}", told(&out));
        assert!(!told(&out).contains("kms_audit: "), "{}", told(&out));
        let done = done(&log, REWRAP);
        assert_eq!(done.len(), records(&log).len(), "somebody else wrote there");
        let count = |wanted| done.iter().filter(|done| **done == wanted).count();
        assert_eq!(count(ok("rotate_key", "local", "default")), rotations);
        assert_eq!(count(ok("re_encrypt", "local", "default")), 2 * rotations);
        assert_eq!(count(ok("decrypt", "local", "default")), 4 * rotations);
        for id in ["volume-1", "volume-2"] {
            assert_eq!(count(ok("re_encrypt", "data-keys", id)), rotations, "{id}");
        }
        let report = verified(&key, &std::fs::read(&log).unwrap());
        assert!(report.told.is_empty() && report.is_closed, "{report:?}");
    }
    let own = service.place.path("audit.log");
    assert!(records(&own).len() > 2 && done(&own, REWRAP).is_empty());
    // Of what is left as it is nothing is opened.
    let before = done(&log, REWRAP).len();
    assert!(
        run(&service.place, &["data-keys", "rewrap"])
            .status
            .success()
    );
    let done = done(&log, REWRAP).split_off(before);
    assert!(done.iter().all(|done| done.0 == "key_info"), "{done:?}");
}

/// What both configurations name is one device.
#[tokio::test]
async fn a_move_is_recorded_with_both_key_services() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = audited(shared.path()).start();
    let channel = channel(&mut service).await;
    data_key(&channel, "volume", 32).await.unwrap();
    let again = "[[service.audit.devices]]\ntype = \"file\"\n\
                 options = { file_path = \"${HOME}/second.log\" }\n";
    let to = with(of_age(audited(shared.path())), again);
    let file = to.path("kms.toml").display().to_string();
    let mut command = service.place.command();
    command.env("AGE", to.0.path());
    let out = command.args(["data-keys", "move", "--to", &file]).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", told(&out));
    for log in ["data-keys-audit.log", "data-keys-second.log"] {
        let done = done(&service.place.path(log), MOVE);
        assert!(
            done.contains(&ok("decrypt", "local", "default")),
            "{done:?}"
        );
        assert!(done.contains(&ok("re_encrypt", "data-keys", "volume")));
        let wraps = |done: &&(Value, Value, Value, Value)| done.0 == "encrypt" && done.1 == "age";
        assert_eq!(done.iter().filter(wraps).count(), 1, "{done:?}");
    }
}

/// The records of stdout stand alone there.
#[tokio::test]
async fn progress_is_told_elsewhere_where_records_go_to_stdout() {
    let shared = tempfile::tempdir().unwrap();
    let text = AUDIT.replace("${HOME}/audit.log", "stdout");
    let place = with(external(shared.path()), &text);
    let out = run(&place, &["data-keys", "rewrap", "--rotate"]);
    assert!(out.status.success(), "{}", told(&out));
    let shown = String::from_utf8(out.stdout).unwrap();
    assert!(shown.contains("\"rotate_key\""), "{shown}");
    for line in shown.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let told = String::from_utf8(out.stderr).unwrap();
    assert!(told.contains("0 data keys wrapped anew"), "{told}");
}

#[tokio::test]
async fn a_schedule_records_on_the_devices_of_the_service() {
    let shared = tempfile::tempdir().unwrap();
    let place = scheduled(audited(shared.path()), "every = \"2s\"\n");
    let mut service = place.start();
    let channel = channel(&mut service).await;
    data_key(&channel, "volume", 32).await.unwrap();
    let log = service.place.path("audit.log");
    let began = Instant::now();
    loop {
        let done = done(&log, "scheduled rotation");
        if done.contains(&ok("re_encrypt", "data-keys", "volume")) {
            assert!(
                done.contains(&ok("rotate_key", "local", "default")),
                "{done:?}"
            );
            assert!(
                done.contains(&ok("re_encrypt", "local", "default")),
                "{done:?}"
            );
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{done:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_making_of_a_key_is_recorded() {
    let shared = tempfile::tempdir().unwrap();
    let place = audited(shared.path());
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let kms = "kms = \"kms://configured?key_encryption_key_id=new&use_existing_kek=false\"\n";
    let table = "[service.data_keys]\n";
    place.write("kms.toml", &text.replace(table, &format!("{table}{kms}")));
    let service = place.start();
    let done = done(&service.place.path("audit.log"), "kms-service");
    assert!(done.contains(&ok("create_key", "local", "new")), "{done:?}");
}

/// Each record that is refused stops the command there: a file may grow so far, and no further.
#[tokio::test]
async fn what_no_device_takes_is_not_done() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    let key = data_key(&channel, "volume", 32).await.unwrap();
    let place = audited(shared.path());
    let log = place.path("data-keys-audit.log");
    let rewrap = |bytes: u64| {
        let plain = place.command();
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={bytes}"));
        command.arg(plain.get_program());
        command.args(["data-keys", "rewrap", "--rotate"]);
        let home = place.0.path();
        command.current_dir(home).env_clear().env("HOME", home);
        let out = command.env("PATH", "/usr/bin:/bin").output().unwrap();
        let refused = !out.status.success() && told(&out).contains("audit");
        assert!(refused, "{bytes}: {}", told(&out));
    };
    let keys = || std::fs::read_to_string(place.path("keys.txt")).unwrap();
    let count = |records: &[Value], operation: &str| {
        let same = |record: &&Value| record["operation"] == operation;
        records.iter().filter(same).count()
    };
    // There is no room for the record of the look at the key, which is the first.
    rewrap(400);
    assert!(records(&log).is_empty() && !keys().contains("default:2:"));
    // It goes as far as there are records, and the data key is not replaced before both of its forms are recorded
    // as opened.
    let mut room = 400;
    loop {
        let before = records(&log).len();
        rewrap(std::fs::metadata(&log).unwrap().len() + room);
        let done = records(&log).split_off(before);
        let is_replaced = version(shared.path(), "volume") == "2";
        assert_eq!(is_replaced, count(&done, "decrypt") == 2, "{done:?}");
        if is_replaced {
            break;
        }
        room += 100;
    }
    assert!(count(&records(&log), "rotate_key") <= 1);
    service.end();
    let mut again = place.start();
    let channel = crate::grpc::channel(&mut again).await;
    assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
}
