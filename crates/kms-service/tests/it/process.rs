use crate::running::Place;
use serde_json::json;
use std::os::unix::net::UnixDatagram;

pub(crate) fn run(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let out = place.command().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        out.status.code().unwrap(),
        text(&out.stdout),
        text(&out.stderr),
    )
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let place = Place::local("");
    let (code, out, _) = run(&place, &["--check"]);
    assert_eq!((code, out.as_str()), (0, "`kms.toml` is in order\n"));
    place.configure("local", "[kms.locl]\n", "adress = \"x\"\n");
    let (code, _, told) = run(&place, &["--check", "--config", "kms.toml"]);
    assert_eq!(code, 1);
    assert!(told.contains("kms.toml:4: "), "{told}");
    assert!(
        told.contains("kms.toml:8: unknown field `adress`"),
        "{told}"
    );
    place.configure("local", "[kms.local]\nkeys_path = \"gone.txt\"\n", "");
    let (code, _, told) = run(&place, &["--check"]);
    assert!(
        code == 1 && told.contains("cannot read `gone.txt`"),
        "{told}"
    );
    place.configure(
        "local",
        "[kms.local]\nkeys_path = \"keys.txt\"\n",
        "tls_cert_path = \"keys.txt\"\ntls_key_path = \"keys.txt\"\n",
    );
    let (code, _, told) = run(&place, &["--check"]);
    assert!(
        code == 1 && told.contains("holds no certificate in PEM"),
        "{told}"
    );
}

#[test]
fn without_a_configuration_it_says_where_it_looked() {
    let place = Place::new();
    let (code, _, told) = run(&place, &[]);
    let second = place.path(".config/secretum/kms.toml");
    assert!(code == 1 && told.contains("`kms.toml`"), "{told}");
    assert!(told.contains(&second.display().to_string()), "{told}");
    assert!(
        told.contains("/etc/secretum/kms.toml") && told.contains("--config"),
        "{told}"
    );
    // The second place serves where the first is empty.
    std::fs::create_dir_all(place.path(".config/secretum")).unwrap();
    std::fs::write(&second, "[kms]\n").unwrap();
    let (code, _, told) = run(&place, &["--check"]);
    assert!(
        code == 1 && told.contains(".config/secretum/kms.toml:1: "),
        "{told}"
    );
    assert_eq!(run(&place, &["--no-such-flag"]).0, 2);
}

#[tokio::test]
async fn a_taken_address_is_told() {
    let service = Place::local("").start();
    let place = Place::new();
    place.write("keys.txt", crate::running::KEYS);
    let text = format!(
        "[kms]\ndev_backend = \"local\"\n[kms.local]\nkeys_path = \"keys.txt\"\n\
         [service]\naddress = \"{}\"\n",
        service.address
    );
    place.write("kms.toml", &text);
    let (code, _, told) = run(&place, &[]);
    assert!(
        code == 1 && told.contains("see what listens there"),
        "{told}"
    );
}

#[test]
fn a_supervisor_is_told() {
    let place = Place::local("");
    let path = place.path("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor
        .set_read_timeout(Some(crate::running::DEADLINE))
        .unwrap();
    let hear = || {
        let mut bytes = [0; 256];
        let count = supervisor.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    };
    let service = place.start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(hear(), "READY=1");
    service.signal("HUP");
    assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hear(), "READY=1");
    service.signal("TERM");
    assert_eq!(hear(), "STOPPING=1");
}

#[tokio::test]
async fn it_ends_in_order() {
    let mut service = Place::local("log_format = \"text\"\n").start();
    service.hello(&json!("")).await;
    service.signal("TERM");
    let begun = std::time::Instant::now();
    let ended = loop {
        if let Some(status) = service.process.try_wait().unwrap() {
            break status;
        }
        assert!(
            begun.elapsed() < crate::running::DEADLINE,
            "it does not end"
        );
        tokio::task::yield_now().await;
    };
    assert!(ended.success(), "{}", service.log());
}

/// A limit of the size of files is an error of what writes, and not the end of the service.
#[tokio::test]
async fn a_file_that_may_not_grow_is_told() {
    let service = Place::local("").start();
    let id = service.process.id().to_string();
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &id, "--fsize=0"])
        .status();
    assert!(limited.unwrap().success());
    let refused = service.refused("rotate", json!({})).await;
    assert_eq!(refused, (500, "file".to_owned()));
    // It goes on, with the keys that it had.
    let kept = service.hello(&json!("")).await;
    let opened = service.ok("decrypt", json!({ "ciphertext": kept })).await;
    assert_eq!(opened["plaintext"], "aGVsbG8=");
}

/// Recipients of age that were changed are those that it encrypts to from SIGHUP on.
#[tokio::test]
async fn recipients_are_read_anew() {
    let (place, _) = crate::grpc::age_place("");
    let other = tempfile::tempdir().unwrap();
    crate::running::write_age_keys(other.path());
    let mut service = place.start();
    let version = async |service: &crate::running::Running| {
        let made = service.ok("encrypt", json!({ "plaintext": "aGk=" })).await;
        made["key_version"].clone()
    };
    let first = version(&service).await;
    let recipients = service.place.path("public.txt");
    std::fs::copy(other.path().join("public.txt"), &recipients).unwrap();
    assert_eq!(version(&service).await, first);
    service.signal("HUP");
    service.wait_for_log("were read anew");
    let began = std::time::Instant::now();
    while version(&service).await == first {
        assert!(began.elapsed() < crate::running::DEADLINE, "they stay");
    }
    let second = version(&service).await;
    std::fs::write(&recipients, "no recipient\n").unwrap();
    service.signal("HUP");
    service.wait_for_log("the keys stay as they are");
    assert_eq!(version(&service).await, second);
}
