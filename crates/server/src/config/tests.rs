//! Whole configurations, and what they come to.

mod arbitrary;
mod audits;
mod faults;
mod files;
mod listeners;

use super::*;
use std::path::Path;
use tempfile::TempDir;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const PRIVATE_KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n";
const OPEN: &str = "listener \"tcp\" {\n  tls_disable = true\n}\n";
const MEMORY: &str = "storage \"inmem\" {}\n";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), CERTIFICATE).unwrap();
    std::fs::write(folder.path().join("key.pem"), PRIVATE_KEY).unwrap();
    folder
}

/// Loads files of these names and texts, in which `DIR` is their folder; what is said names them
/// without it.
fn load_files(
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<(Config, Vec<String>), Vec<String>> {
    let folder = folder();
    let prefix = folder.path().display().to_string();
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, text.replace("DIR", &prefix)).unwrap();
        paths.push(path);
    }
    let environment = |asked: &str| {
        let found = variables.iter().find(|(name, _)| *name == asked);
        found.map(|(_, value)| (*value).to_owned())
    };
    let said = |notices: Vec<Notice>| {
        let said = |notice: Notice| notice.to_string().replace(&format!("{prefix}/"), "");
        notices.into_iter().map(said).collect::<Vec<_>>()
    };
    match Config::load(&paths, &environment) {
        Ok(loaded) => Ok((loaded.config, said(loaded.warnings))),
        Err(faults) => Err(said(faults.notices)),
    }
}

fn load(name: &str, text: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    load_files(&[(name, text)], &[])
}

/// The configuration of this text, in which everything is right and has an effect.
fn good(name: &str, text: &str) -> Config {
    let (config, warnings) = load(name, text).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    config
}

/// Everything that is said of a faulty text.
fn faults(name: &str, text: &str) -> Vec<String> {
    load(name, text).unwrap_err()
}

/// What is said of one key beside a storage and a listener, which make up the first four lines.
fn fault_of(line: &str) -> Vec<String> {
    faults("a.hcl", &format!("{MEMORY}{OPEN}{line}\n"))
}

fn warnings_of(line: &str) -> Vec<String> {
    let (_, warnings) = load("a.hcl", &format!("{MEMORY}{OPEN}{line}\n")).unwrap();
    warnings
}

/// What is said of a listener with these lines, of which the first is line 3.
fn listener_faults(lines: &str) -> Vec<String> {
    faults(
        "a.hcl",
        &format!("{MEMORY}listener \"tcp\" {{\n{lines}\n}}\n"),
    )
}

fn without_places(mut config: Config) -> Config {
    let nowhere = |place: &mut Place| *place = Place::whole(Path::new(""));
    if let Storage::Raft(raft) = &mut config.storage {
        nowhere(&mut raft.path.place);
        raft.path.value = raft.path.value.file_name().unwrap().into();
    }
    config.audit_directory = None;
    for listener in &mut config.listeners {
        nowhere(&mut listener.place);
        if let Some(tls) = &mut listener.tls {
            for file in [&mut tls.cert_file, &mut tls.key_file] {
                nowhere(&mut file.place);
                file.value = file.value.file_name().unwrap().into();
            }
        }
    }
    config
}

const HCL: &str = r#"
storage "raft" {
  path    = "DIR/data"
  node_id = "node-1"
}
listener "tcp" {
  address       = "127.0.0.1:8200"
  tls_cert_file = "DIR/cert.pem"
  tls_key_file  = "DIR/key.pem"
}
api_addr          = "https://127.0.0.1:8200"
cluster_addr      = "https://127.0.0.1:8201"
disable_mlock     = true
default_lease_ttl = "168h"
max_lease_ttl     = "720h"
audit_directory   = "DIR"
"#;

const TOML: &str = r#"
api_addr = "https://127.0.0.1:8200"
cluster_addr = "https://127.0.0.1:8201"
disable_mlock = true
default_lease_ttl = "168h"
max_lease_ttl = 2592000
audit_directory = "DIR"
[storage.raft]
path = "DIR/data"
node_id = "node-1"
[listener.tcp]
address = "127.0.0.1:8200"
tls_cert_file = "DIR/cert.pem"
tls_key_file = "DIR/key.pem"
"#;

const JSON: &str = r#"{
  "backend": {"raft": {"path": "DIR/data", "node_id": "node-1"}},
  "listener": [{"tcp": {
    "address": "127.0.0.1:8200",
    "tls_cert_file": "DIR/cert.pem",
    "tls_key_file": "DIR/key.pem"
  }}],
  "api_addr": "https://127.0.0.1:8200",
  "cluster_addr": "https://127.0.0.1:8201",
  "disable_mlock": "true",
  "default_lease_ttl": "604800",
  "max_lease_ttl": "720h",
  "audit_directory": "DIR"
}"#;

#[test]
fn the_three_syntaxes_mean_the_same() {
    let hcl = without_places(good("a.hcl", HCL));
    assert_eq!(hcl.default_lease_ttl, Duration::from_secs(168 * 3600));
    assert_eq!(hcl.max_lease_ttl, Duration::from_secs(720 * 3600));
    assert!(hcl.disable_mlock);
    assert_eq!(
        hcl.api_addr.as_ref().unwrap().as_str(),
        "https://127.0.0.1:8200"
    );
    let listener = hcl.listeners.first().unwrap();
    assert_eq!(listener.address.to_string(), "127.0.0.1:8200");
    assert_eq!(listener.max_request_size_bytes, REQUEST_BYTES_DEFAULT);
    assert_eq!(listener.max_request_duration, REQUEST_DURATION_DEFAULT);
    assert_eq!(
        listener.tls.as_ref().unwrap().min_version,
        TlsVersion::Tls12
    );
    for (name, text) in [
        ("a.toml", TOML),
        ("a.json", JSON),
        ("hcl", HCL),
        ("a.conf", TOML),
        ("json", JSON),
        ("json.hcl", JSON),
    ] {
        assert_eq!(without_places(good(name, text)), hcl, "{name}");
    }
}

#[test]
fn defaults() {
    let config = good("a.hcl", &format!("{MEMORY}{OPEN}"));
    assert_eq!(config.storage, Storage::Memory);
    assert_eq!(config.storage.type_name(), "inmem");
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8200");
    assert_eq!(config.listeners[0].tls, None);
    assert_eq!(config.default_lease_ttl, LEASE_TTL_DEFAULT);
    assert_eq!(config.max_lease_ttl, LEASE_TTL_DEFAULT);
    assert_eq!(
        (config.log_level, config.log_format),
        (LogLevel::Info, LogFormat::Standard)
    );
    assert!(!config.disable_mlock && config.audit_directory.is_none());
}

#[test]
fn a_configuration_without_files_has_the_same_defaults() {
    let read = good("a.hcl", &format!("{MEMORY}{OPEN}"));
    let place = read.listeners[0].place.clone();
    let address = Address::parse("127.0.0.1:8200").unwrap();
    let made = Config::new(
        Storage::Memory,
        Listener::new(ListenAddress::Tcp(address), None, place),
    );
    assert_eq!(made, read);
}

#[test]
fn what_a_template_left_empty_is_the_default() {
    let empty =
        "api_addr = \"\"\nlog_level = \"\"\nmax_lease_ttl = \"\"\ndefault_lease_ttl = 0\nui = \"\"";
    let config = good("a.hcl", &format!("{MEMORY}{OPEN}{empty}"));
    assert_eq!(
        config,
        good("a.hcl", &format!("{MEMORY}{OPEN}")).clone_at(&config)
    );
}

impl Config {
    /// This, with the places of another.
    fn clone_at(&self, other: &Self) -> Self {
        let mut config = self.clone();
        for (mine, theirs) in config.listeners.iter_mut().zip(&other.listeners) {
            mine.place = theirs.place.clone();
        }
        config
    }
}

#[test]
fn limits_of_connections() {
    let listener = |lines: &str| {
        let text = format!("{MEMORY}listener \"tcp\" {{\n tls_disable = true\n{lines}\n}}\n");
        good("a.hcl", &text).listeners[0].clone()
    };
    let set = listener(
        "max_connections = \"1000000\"\nhttp_read_header_timeout = \"2s\"\nhttp_read_timeout = 3\n\
         http_write_timeout = \"4s\"\nhttp_idle_timeout = \"1m\"",
    );
    let times = HttpTimes {
        read_header: Duration::from_secs(2),
        read: Duration::from_secs(3),
        write: Duration::from_secs(4),
        idle: Duration::from_secs(60),
    };
    assert_eq!(
        (set.max_connections, set.http_times),
        (CONNECTIONS_MAX, times)
    );
    let defaults = listener("max_connections = 0\nhttp_write_timeout = 0");
    assert_eq!(defaults.max_connections, CONNECTIONS_DEFAULT);
    assert_eq!(defaults.http_times, HttpTimes::default());
    assert_eq!(
        listener_faults(
            "tls_disable = true\nmax_connections = 1000001\nhttp_idle_timeout = \"soon\""
        ),
        [
            "a.hcl:4:19: `max_connections` must be a number of connections from 1 to 1000000, not the number `1000001`",
            "a.hcl:5:21: `http_idle_timeout` must be a duration such as `768h`, `30m` or `90s`, or a number of seconds, not `soon`",
        ]
    );
}

#[test]
fn the_ttl_that_is_not_set_gives_way() {
    for (line, default, max) in [
        ("max_lease_ttl = \"1h\"", 1, 1),
        ("default_lease_ttl = \"1000h\"", 1000, 1000),
        ("default_lease_ttl = \"1h\"", 1, 768),
    ] {
        let config = good("a.hcl", &format!("{MEMORY}{OPEN}{line}"));
        assert_eq!(
            config.default_lease_ttl,
            Duration::from_secs(default * 3600)
        );
        assert_eq!(config.max_lease_ttl, Duration::from_secs(max * 3600));
    }
}

#[test]
fn listeners_in_every_shape() {
    for (name, text) in [
        (
            "a.hcl",
            "storage \"inmem\" {}\nlistener \"tcp\" {\n address = \"a:1\"\n tls_disable = 1\n}\nlistener \"TCP\" {\n address = \"a:2\"\n tls_disable = \"true\"\n}",
        ),
        (
            "a.hcl",
            "storage { inmem {} }\nlistener {\n tcp {\n address = \"a:1\"\n tls_disable = 1\n }\n}\nlistener {\n type = \"tcp\"\n address = \"a:2\"\n tls_disable = 1\n}",
        ),
        (
            "a.toml",
            "[storage.inmem]\n[[listener.tcp]]\naddress = \"a:1\"\ntls_disable = true\n[[listener.tcp]]\naddress = \"a:2\"\ntls_disable = 1",
        ),
        (
            "a.toml",
            "storage.type = \"inmem\"\n[[listener]]\ntype = \"tcp\"\naddress = \"a:1\"\ntls_disable = true\n[[listener]]\ntcp = {address = \"a:2\", tls_disable = true}",
        ),
        (
            "a.json",
            "{\"storage\": {\"inmem\": {}}, \"listener\": {\"tcp\": [{\"address\": \"a:1\", \"tls_disable\": 1}, {\"address\": \"a:2\", \"tls_disable\": \"1\"}]}}",
        ),
        (
            "a.json",
            "{\"backend\": [{\"inmem\": [{}]}], \"listener\": [{\"tcp\": {\"address\": \"a:1\", \"tls_disable\": 1}}, {\"tcp\": [{\"address\": \"a:2\", \"tls_disable\": true}]}]}",
        ),
    ] {
        let config = good(name, text);
        let addresses: Vec<_> = config
            .listeners
            .iter()
            .map(|l| l.address.to_string())
            .collect();
        assert_eq!(addresses, ["a:1", "a:2"], "{text}");
    }
}

#[test]
fn what_is_taken_as_something_else_is_named() {
    let listener = |lines: &str| {
        let text = format!("{MEMORY}listener \"tcp\" {{\n tls_disable = true\n{lines}\n}}\n");
        let (config, warnings) = load("a.hcl", &text).unwrap();
        (config.listeners[0].clone(), warnings)
    };
    for number in ["-1", "\"-1\""] {
        let (unlimited, warnings) = listener(&format!("max_request_size = {number}"));
        assert_eq!(unlimited.max_request_size_bytes, REQUEST_BYTES_MAX);
        assert_eq!(
            warnings,
            [
                "a.hcl:4:20: warning: `max_request_size` is taken as `1073741824`, which is as far as this server goes"
            ]
        );
    }
    let (older, warnings) = listener("tls_min_version = \"tls10\"");
    assert_eq!(older.tls, None);
    assert!(
        warnings[0].contains("`tls_min_version` is taken as `tls12`"),
        "{warnings:?}"
    );
    let (on_loopback, warnings) = listener("address = \"{{ GetInterfaceIP \\\"lo\\\" }}:8200\"");
    assert_eq!(on_loopback.address.to_string(), "127.0.0.1:8200");
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn what_has_no_effect_is_named() {
    assert_eq!(
        warnings_of("disable_mlok = true"),
        [
            "a.hcl:5:1: warning: `disable_mlok` is not known and has no effect; if `disable_mlock` is meant, write that"
        ]
    );
    assert_eq!(
        warnings_of(
            "telemetry {\n  statsd_address = \"x\"\n}\nnovelty \"x\" {\n  y = 1\n}\nodd = 1"
        ),
        [
            "a.hcl:6:3: warning: `statsd_address` is not served and has no effect",
            "a.hcl:8:1: warning: `novelty` is not known and has no effect",
            "a.hcl:11:1: warning: `odd` is not known and has no effect",
        ]
    );
    assert_eq!(
        warnings_of(
            "seal \"awskms\" {}\nseal \"shamir\" {}\nseal \"transit\" {\n  disabled = \"true\"\n}"
        ),
        [
            "a.hcl:5:1: warning: seal `awskms` is not served and has no effect: the vault is unsealed with key shares"
        ]
    );
    assert_eq!(
        warnings_of("ui = false\nraw_storage_endpoint = \"false\"\ndisable_cache = 0"),
        Vec::<String>::new()
    );
    assert_eq!(
        warnings_of("ui = true"),
        ["a.hcl:5:1: warning: `ui` is not served and has no effect"]
    );
    let (_, warnings) = load("a.toml", "[storage.raft]\npath = \"data\"\nretry_join = [{leader_api_addr = \"https://a\"}]\n[listener.tcp]\ntls_disable = true\ntls_cert_file = \"absent\"\ncors_enabled = true").unwrap();
    assert_eq!(
        warnings,
        [
            "a.toml:3:1: warning: `retry_join` is not served and has no effect",
            "a.toml:6:17: warning: `tls_cert_file` has no effect beside `tls_disable`",
            "a.toml:7:1: warning: `cors_enabled` is not served and has no effect",
        ]
    );
}

#[test]
fn client_certificates() {
    let listener = |lines: &str| {
        let files = "tls_cert_file = \"DIR/cert.pem\"\ntls_key_file = \"DIR/key.pem\"";
        let text = format!("{MEMORY}listener \"tcp\" {{\n{files}\n{lines}\n}}\n");
        good("a.hcl", &text).listeners[0]
            .tls
            .clone()
            .unwrap()
            .client_certificates
    };
    let ca = "tls_client_ca_file = \"DIR/cert.pem\"";
    assert_eq!(listener(""), ClientCertificates::NotAsked);
    assert!(matches!(listener(ca), ClientCertificates::Optional(_)));
    let disabled = format!("{ca}\ntls_disable_client_certs = true");
    assert_eq!(listener(&disabled), ClientCertificates::NotAsked);
    let required = format!("{ca}\ntls_require_and_verify_client_cert = true");
    assert!(matches!(
        listener(&required),
        ClientCertificates::Required(_)
    ));
}

#[test]
fn what_is_in_force() {
    let described = describe(&good("a.hcl", &HCL.replace("DIR/data", "/data")));
    let described = described
        .lines()
        .filter(|line| !line.starts_with("audit_dir"));
    assert_eq!(
        described.collect::<Vec<_>>(),
        [
            "storage            raft in /data, node node-1",
            "listener           tcp 127.0.0.1:8200, tls12 to tls13, requests of at most 33554432 bytes and 1m30s, at most 16384 connections, timeouts: head 10s, body 30s, write 30s, idle 5m",
            "api_addr           https://127.0.0.1:8200",
            "cluster_addr       https://127.0.0.1:8201",
            "cluster_name       (made up at init)",
            "default_lease_ttl  168h",
            "max_lease_ttl      720h",
            "disable_mlock      true",
            "log_level          info",
            "log_format         standard",
        ]
    );
}

#[test]
fn ceremonies_are_open_where_that_is_said() {
    let open = |line: &str| good("a.hcl", &format!("{MEMORY}{OPEN}{line}\n")).open_ceremonies;
    assert_eq!(open(""), secretum_core::OpenCeremonies::default());
    let some = open("enable_unauthenticated_access = [\"generate-root\"]");
    assert!(some.generate_root && !some.rekey);
    let all = open(
        "enable_unauthenticated_access = [\"rekey\", \"generate-root\", \"generate-operation-token\"]",
    );
    assert!(all.generate_root && all.rekey);
}
