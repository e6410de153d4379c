//! Files, folders, the environment, and the examples of the documentation.

use super::*;

#[test]
fn files_merge() {
    let one = "storage \"inmem\" {}\nlog_level = \"debug\"\nmax_lease_ttl = \"2h\"\nlistener \"tcp\" {\n  address = \"a:1\"\n  tls_disable = 1\n}";
    let two =
        "[storage.raft]\npath = \"data\"\n[listener.tcp]\naddress = \"a:2\"\ntls_disable = true\n";
    let three = "{\"max_lease_ttl\": \"1h\", \"default_max_request_duration\": 5}";
    let (config, warnings) =
        load_files(&[("1.hcl", one), ("2.toml", two), ("3.json", three)], &[]).unwrap();
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.max_lease_ttl, Duration::from_secs(3600));
    assert_eq!(config.storage.type_name(), "raft");
    assert_eq!(config.listeners.len(), 2);
    assert!(
        config
            .listeners
            .iter()
            .all(|l| l.max_request_duration == Duration::from_secs(5))
    );
    assert_eq!(
        warnings,
        ["2.toml:1:10: warning: this storage takes the place of that of 1.hcl:1:1"]
    );
}

#[test]
fn folders_are_read_by_name() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("b.json", "{\"cluster_name\": \"b\"}");
    write("a.hcl", &format!("{MEMORY}{OPEN}cluster_name = \"a\""));
    write(".#c.hcl", "broken = = ");
    write("c.hcl~", "broken = = ");
    let load = |paths: &[PathBuf]| Config::load(paths, &|_| None);
    let path = folder.path().to_path_buf();
    let config = load(&[path.clone(), path.join("a.hcl")]).unwrap().config;
    assert_eq!(config.cluster_name.as_deref(), Some("b"));
    assert_eq!(config.listeners.len(), 1, "a file is read once");
    let empty = tempfile::tempdir().unwrap();
    let faults = load(&[empty.path().to_path_buf()]).unwrap_err().to_string();
    assert!(
        faults.ends_with("the folder holds no file whose name ends in `.toml`, `.hcl` or `.json`")
    );
}

#[test]
fn files_that_cannot_be_read() {
    let load = |paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
        Config::load(&paths, &|_| None).unwrap_err().to_string()
    };
    assert_eq!(
        load(&["absent.hcl"]),
        "absent.hcl: it cannot be read: there is no such file"
    );
    assert_eq!(
        load(&[]),
        "-config: no file or folder is given; write `-config=/etc/secretum/server.toml`, say"
    );
    assert_eq!(
        load(&["/dev/zero"]),
        "/dev/zero: the file is longer than 1048576 bytes; divide it into several files of one folder"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.hcl");
    std::fs::write(&path, b"a = \"\xff\"").unwrap();
    let faults = load(&[path.to_str().unwrap()]);
    assert!(faults.ends_with("a.hcl: the file is not UTF-8; write it again as that"));
}

#[test]
fn the_longest_file_and_the_most_listeners() {
    let start = format!("{MEMORY}{OPEN}#");
    let longest = format!("{start}{}", "x".repeat(FILE_BYTES_MAX - start.len()));
    good("a.hcl", &longest);
    let said = faults("a.hcl", &format!("{longest}x"));
    assert_eq!(
        said,
        [
            "a.hcl: the file is longer than 1048576 bytes; divide it into several files of one folder"
        ]
    );
    let listener = |port: usize| {
        format!("listener \"tcp\" {{\n  address = \"a:{port}\"\n  tls_disable = 1\n}}\n")
    };
    let listeners: String = (1..=LISTENERS_MAX).map(listener).collect();
    let config = good("a.hcl", &format!("{MEMORY}{listeners}"));
    assert_eq!(config.listeners.len(), LISTENERS_MAX);
    let said = faults("a.hcl", &format!("{MEMORY}{listeners}{}", listener(100)));
    assert_eq!(
        said,
        ["a.hcl:258:1: there are more than 64 listeners; leave out the rest"]
    );
}

#[test]
fn the_environment_comes_before_the_files() {
    let variables = [
        ("VAULT_API_ADDR", "https://v"),
        ("SECRETUM_API_ADDR", "https://s"),
        ("BAO_CLUSTER_ADDR", "https://b"),
        ("VAULT_RAFT_PATH", "elsewhere"),
        ("VAULT_RAFT_NODE_ID", "pod-0"),
    ];
    let (config, _) = load_files(&[("a.hcl", HCL)], &variables).unwrap();
    assert_eq!(config.api_addr.unwrap().as_str(), "https://s");
    assert_eq!(config.cluster_addr.unwrap().as_str(), "https://b");
    let Storage::Raft(raft) = config.storage else {
        panic!("raft")
    };
    assert_eq!(raft.path.value, Path::new("elsewhere"));
    assert_eq!(raft.node_id.as_deref(), Some("pod-0"));
    let found = load_files(&[("a.hcl", HCL)], &[("VAULT_API_ADDR", "x y")]).unwrap_err();
    assert_eq!(
        found,
        ["VAULT_API_ADDR: it must be a URL such as `https://vault.example.com:8200`, not `x y`"]
    );
}

#[test]
fn the_examples_of_the_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        text.replace("/etc/secretum/tls/chain.pem", "DIR/cert.pem")
            .replace("/etc/secretum/tls/key.pem", "DIR/key.pem")
            .replace("/var/log/secretum", "DIR")
    };
    let toml = good("a.toml", &read("production.toml"));
    let hcl = good("a.hcl", &read("production.hcl"));
    assert_eq!(toml.listeners.len(), 2);
    assert_eq!(without_places(toml), without_places(hcl));
    let memory = good("a.toml", &read("memory.toml"));
    assert_eq!(memory.storage, Storage::Memory);
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        3,
        "all examples are read"
    );
}

#[test]
fn the_documentation_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let documentation = std::fs::read_to_string(path).unwrap();
    let unserved = [
        names::UNSERVED,
        names::LISTENER_UNSERVED,
        names::STORAGE_UNSERVED,
    ];
    let sources = [
        include_str!("../draft.rs"),
        include_str!("../listener.rs"),
        include_str!("../storage.rs"),
        include_str!("../tls.rs"),
        include_str!("../unix.rs"),
        include_str!("../origin.rs"),
        include_str!("../telemetry.rs"),
    ];
    let is_key = |text: &&str| {
        text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let served: Vec<&str> = sources
        .iter()
        .flat_map(|text| text.split('"'))
        .filter(is_key)
        .collect();
    assert!(served.contains(&"tls_cert_file") && served.contains(&"max_lease_ttl"));
    for key in unserved.concat().into_iter().chain(served) {
        assert!(documentation.contains(&format!("`{key}`")), "{key}");
    }
}
