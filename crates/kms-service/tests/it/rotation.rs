//! Data keys that are kept, wrapped anew: by hand and by schedule, and by another key service.

use crate::data_keys::external;
use crate::grpc::{channel, data_key};
use crate::running::{DEADLINE, Place, write_age_keys};
use secretum_crypto::{Clock as _, SystemClock};
use secretum_kms::Ciphertext;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

fn record(folder: &Path, id: &str) -> PathBuf {
    folder.join(hex::encode(secretum_crypto::sha256(id.as_bytes())))
}

/// The wrapped data key behind what tells its identifier.
fn wrapped(folder: &Path, id: &str) -> Ciphertext {
    let bytes = std::fs::read(record(folder, id)).unwrap();
    assert_eq!(&bytes[..5], b"SKDK\x02");
    assert_eq!(&bytes[7..7 + id.len()], id.as_bytes());
    Ciphertext::from_bytes(&bytes[7 + id.len()..]).unwrap()
}

/// Puts a record there as the first version wrote it; gives its file, and what stands in it now.
fn as_first_version(folder: &Path, id: &str) -> (PathBuf, Vec<u8>) {
    let (file, old) = (record(folder, id), wrapped(folder, id).to_bytes());
    std::fs::write(&file, &old).unwrap();
    (file, old)
}

pub(crate) fn version(folder: &Path, id: &str) -> String {
    wrapped(folder, id).key_version().as_str().to_owned()
}

pub(crate) fn told(out: &Output) -> String {
    String::from_utf8_lossy(&[&*out.stdout, &*out.stderr].concat()).into_owned()
}

pub(crate) fn run(place: &Place, arguments: &[&str]) -> Output {
    place.command().args(arguments).output().unwrap()
}

#[tokio::test]
async fn every_data_key_is_wrapped_anew_while_the_service_goes_on() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    let ids = ["volume-1", "volume-2", "volume-3"];
    let mut keys = Vec::new();
    for id in ids {
        keys.push(data_key(&channel, id, 32).await.unwrap());
        assert_eq!(version(shared.path(), id), "1");
    }
    let out = run(&service.place, &["data-keys", "rewrap", "--rotate"]);
    assert!(out.status.success(), "{}", told(&out));
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(shown.contains("`default` has the version `2`"), "{shown}");
    assert!(
        shown.contains("3 data keys wrapped anew, 0 left"),
        "{shown}"
    );
    for (id, key) in ids.iter().zip(&keys) {
        assert_eq!(version(shared.path(), id), "2");
        assert_eq!(data_key(&channel, id, 32).await.unwrap(), *key);
    }
    // A key that was rotated elsewhere is caught up with, and no more.
    for wanted in ["0 data keys wrapped anew, 3 left", "0 data keys"] {
        let out = run(&service.place, &["data-keys", "rewrap"]);
        assert!(out.status.success() && told(&out).contains(wanted));
    }
    assert!(!service.log().contains(&hex::encode(&keys[0])));
}

#[tokio::test]
async fn a_record_without_its_identifier_gets_it_when_it_is_asked_for() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    let key = data_key(&channel, "volume", 32).await.unwrap();
    let (file, old) = as_first_version(shared.path(), "volume");
    let out = run(&service.place, &["data-keys", "rewrap", "--rotate"]);
    let shown = told(&out);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(!out.status.success() && shown.contains(name), "{shown}");
    assert!(shown.contains("ask for it once"), "{shown}");
    assert_eq!(std::fs::read(&file).unwrap(), old);
    assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
    wait_for_identifier(&file).await;
    assert_eq!(version(shared.path(), "volume"), "1");
    let out = run(&service.place, &["data-keys", "rewrap"]);
    assert!(out.status.success(), "{}", told(&out));
    assert_eq!(version(shared.path(), "volume"), "2");
    assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
}

/// Nobody who asks waits for it to be written.
async fn wait_for_identifier(file: &Path) {
    let began = Instant::now();
    while !std::fs::read(file).unwrap().starts_with(b"SKDK\x02") {
        assert!(began.elapsed() < DEADLINE, "it has no identifier");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_storage_that_is_busy_is_tried_again_and_keeps_nobody_waiting() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    let key = data_key(&channel, "volume", 32).await.unwrap();
    let (file, old) = as_first_version(shared.path(), "volume");
    let lock = std::fs::File::create(shared.path().join("replacing.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
    assert!(!service.log().contains("stays until it is asked for again"));
    service.wait_for_log("stays until it is asked for again");
    assert_eq!(std::fs::read(&file).unwrap(), old);
    drop(lock);
    assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
    wait_for_identifier(&file).await;
}

/// The same with the provider `age`, whose keys stand in the folder that `AGE` names.
pub(crate) fn of_age(place: Place) -> Place {
    write_age_keys(place.0.path());
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let age = "[kms.age]\npublic_key_path = \"${AGE}/public.txt\"\n\
               private_key_path = \"${AGE}/private.txt\"\n";
    let text = text.replace("dev_backend = \"local\"", "dev_backend = \"age\"");
    let text = text.replace("[kms.local]", &format!("{age}[kms.local]"));
    place.write("kms.toml", &text);
    place
}

#[tokio::test]
async fn data_keys_go_to_another_key_service() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let mut keys = Vec::new();
    let from = channel(&mut service).await;
    for id in ["a", "b"] {
        keys.push(data_key(&from, id, 32).await.unwrap());
    }
    let other = of_age(external(shared.path()));
    let text = std::fs::read_to_string(other.path("kms.toml")).unwrap();
    let to = other.path("kms.toml").display().to_string();
    let moving = |to: &str| {
        let mut command = service.place.command();
        command.env("AGE", other.0.path());
        command.args(["data-keys", "move", "--to", to]);
        command.output().unwrap()
    };
    for wanted in ["2 data keys moved, 0 left", "0 data keys moved, 2 left"] {
        let out = moving(&to);
        assert!(out.status.success(), "{}", told(&out));
        assert!(told(&out).contains(wanted), "{}", told(&out));
    }
    // To another storage nothing goes.
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = |folder: &Path| folder.display().to_string();
    let text = text.replace(&folder(shared.path()), &folder(elsewhere.path()));
    other.write("elsewhere.toml", &text);
    let out = moving(&other.path("elsewhere.toml").display().to_string());
    assert!(
        !out.status.success() && told(&out).contains("another storage"),
        "{}",
        told(&out)
    );
    let age = other.0.path().display().to_string();
    let mut second = other.start_with(&[("AGE", &age)]);
    let channel = channel(&mut second).await;
    for (id, key) in ["a", "b"].iter().zip(&keys) {
        assert_eq!(wrapped(shared.path(), id).provider(), "age");
        assert_eq!(data_key(&channel, id, 32).await.unwrap(), *key);
    }
}

#[test]
fn what_looks_alone_wraps_nothing_anew() {
    let shared = tempfile::tempdir().unwrap();
    let place = external(shared.path());
    for task in [&["rewrap", "--rotate"][..], &["move", "--to", "kms.toml"]] {
        let arguments = [&["--check", "data-keys"][..], task].concat();
        let out = run(&place, &arguments);
        assert_eq!(out.status.code(), Some(2), "{}", told(&out));
        assert!(told(&out).contains("--check"), "{}", told(&out));
    }
    let keys = std::fs::read_to_string(place.path("keys.txt")).unwrap();
    assert!(!keys.contains("default:2:"), "{keys}");
}

/// What a server holds that rotates now, or did not give it up.
fn hold_lease(folder: &Path, ends_in: Duration) {
    let until = SystemClock.now().plus(ends_in);
    let held = serde_json::json!({ "holder": "another", "until": until });
    std::fs::create_dir_all(folder.join("rotation")).unwrap();
    std::fs::write(folder.join("rotation/lease"), held.to_string()).unwrap();
}

#[tokio::test]
async fn a_command_and_a_schedule_are_not_at_it_at_once() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    let key = data_key(&channel, "volume", 32).await.unwrap();
    hold_lease(shared.path(), Duration::from_secs(200));
    let to = service.place.path("kms.toml").display().to_string();
    for task in [
        &["rewrap", "--rotate"][..],
        &["rewrap"],
        &["move", "--to", &to],
    ] {
        let out = run(&service.place, &[&["data-keys"][..], task].concat());
        let shown = told(&out);
        assert!(
            !out.status.success() && shown.contains("rotation/lease"),
            "{shown}"
        );
    }
    assert_eq!(version(shared.path(), "volume"), "1");
    // It is taken where it is free, and given up again.
    hold_lease(shared.path(), Duration::ZERO);
    for wanted in ["2", "3"] {
        let out = run(&service.place, &["data-keys", "rewrap", "--rotate"]);
        assert!(out.status.success(), "{}", told(&out));
        assert_eq!(version(shared.path(), "volume"), wanted);
    }
    assert_eq!(data_key(&channel, "volume", 32).await.unwrap(), key);
}

#[test]
fn without_kept_data_keys_there_is_nothing_to_wrap_anew() {
    let place = Place::local("");
    let out = run(&place, &["data-keys", "rewrap"]);
    assert!(!out.status.success() && told(&out).contains("keeps no data keys"));
}

/// A schedule beside the rest of a configuration.
pub(crate) fn scheduled(place: Place, said: &str) -> Place {
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    place.write("kms.toml", &format!("{text}[kms.rotation]\n{said}"));
    place
}

#[tokio::test]
async fn two_servers_rotate_by_schedule_and_every_key_stays() {
    let shared = tempfile::tempdir().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("keys.txt");
    let mut services = Vec::new();
    for _ in 0..2 {
        let place = scheduled(external(shared.path()), "every = \"1s\"\n");
        if services.is_empty() {
            std::fs::rename(place.path("keys.txt"), &file).unwrap();
        }
        let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
        let path = format!("keys_path = \"{}\"", file.display());
        place.write("kms.toml", &text.replace("keys_path = \"keys.txt\"", &path));
        services.push(place.start());
    }
    let mut channels = Vec::new();
    for service in &mut services {
        channels.push(channel(service).await);
    }
    let id = |number: usize| format!("volume-{number}");
    let mut made = Vec::new();
    for number in 0..8 {
        let key = data_key(&channels[number % 2], &id(number), 32).await;
        made.push(key.unwrap());
    }
    let began = Instant::now();
    let newest = || -> u32 { version(shared.path(), "volume-0").parse().unwrap() };
    for turn in 0.. {
        let number = turn % made.len();
        // In turn from either server.
        let channel = &channels[(turn / made.len()) % 2];
        let again = data_key(channel, &id(number), 32).await.unwrap();
        assert_eq!(again, made[number], "{number}");
        if newest() >= 4 {
            break;
        }
        let most = Duration::from_secs(120);
        assert!(began.elapsed() < most, "it is at {}", newest());
    }
    // A connection that is open is waited for; it is closed beside this.
    drop(channels);
    let mut rotations = 0;
    for mut service in services {
        let ended = tokio::task::spawn_blocking(move || {
            service.end();
            service.log()
        });
        let log = ended.await.unwrap();
        assert!(!log.contains("panicked"), "{log}");
        rotations += log.matches("rotated by schedule").count();
    }
    // The last one may be under way at the end: another server, or this one later, goes on with it.
    assert!(rotations >= 2, "{rotations}");
}

#[tokio::test]
async fn a_schedule_without_data_keys_has_a_folder() {
    let place = scheduled(
        Place::local(""),
        "every = \"1s\"\nkeys = [\"a\"]\nstate_path = \"${HOME}/rotation\"\n",
    );
    let mut service = place.start();
    service.wait_for_log("rotated by schedule");
    let keys = std::fs::read_to_string(service.place.path("keys.txt")).unwrap();
    assert!(keys.contains("\na:2:") && !keys.contains("b:2:"), "{keys}");
    service.wait_for_log("scheduled rotation");
    service.end();
}

#[test]
fn a_schedule_that_is_written_down_nowhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (place, said, wanted) in [
        (Place::local(""), "", "write state_path"),
        (
            external(folder.path()),
            "state_path = \"x\"\n",
            "leave `state_path` out",
        ),
    ] {
        let place = scheduled(place, &format!("every = \"90d\"\n{said}"));
        let out = run(&place, &["--check"]);
        let shown = told(&out);
        assert!(
            !out.status.success() && shown.contains("kms.toml:") && shown.contains(wanted),
            "{shown}"
        );
    }
}

#[test]
fn keys_that_are_not_rotated_from_here_have_no_schedule() {
    let place = Place::new();
    let kms = "[kms.local]\nkeys_variable = \"KEYS\"\n\
               [kms.rotation]\nevery = \"90d\"\nstate_path = \"x\"\n";
    place.configure("local", kms, "");
    let mut command = place.command();
    command.env("KEYS", crate::running::KEYS).arg("--check");
    let out = command.output().unwrap();
    let shown = told(&out);
    assert!(
        !out.status.success() && shown.contains("leave [kms.rotation] out"),
        "{shown}"
    );
}
