use super::*;
use crate::callers::CertificateName;
use crate::rights::Operation;

const HASH: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

fn read(service: &str) -> Result<ServiceConfig, String> {
    let text = format!("[kms]\ndev_backend = \"local\"\n[service]\n{service}");
    let environment = Environment::of([("PORT", "9000"), ("HOME", "/home/u")]);
    let file = Path::new("kms.toml");
    let kms = KmsConfig::parse(file, &text, &environment);
    let read = parse_service(file, &text, &environment, kms);
    read.map(|(_, service)| service)
        .map_err(|error| error.to_string())
}

fn token(more: &str) -> String {
    format!(
        "[[service.tokens]]\nname = \"a\"\nsha256 = \"{HASH}\"\n\
         rights = [{{ operations = [\"encrypt\"], keys = [\"k*\"] }}]\n{more}"
    )
}

#[test]
fn defaults_stand_where_nothing_is_said() {
    let config = read("").unwrap();
    assert_eq!(config.address.to_string(), "127.0.0.1:8082");
    assert_eq!(config.limits, Limits::default());
    assert!(config.callers.is_empty() && config.tls.is_none() && !config.log.json);
}

#[test]
fn everything_is_read() {
    let text = format!(
        "address = \"0.0.0.0:${{PORT}}\"\ntls_cert_path = \"~/c.pem\"\ntls_key_path = \"k.pem\"\n\
         client_ca_path = \"ca.pem\"\nbody_bytes_max = 10\nrequests_max = 1\nconnections_max = 2\n\
         timeout = \"5s\"\nlog_format = \"json\"\nlog_level = \"warn\"\n{}",
        token(
            "[service.traces]\nendpoint = \"http://127.0.0.1:${PORT}\"\nsampling_ratio = 0.25\n\
             [[service.certificates]]\nname = \"b\"\ndns = \"B.example\"\n\
             rights = [{ operations = [\"*\"], keys = [\"*\"] }]\n"
        )
    );
    let config = read(&text).unwrap();
    assert_eq!(config.address.to_string(), "0.0.0.0:9000");
    let tls = config.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/home/u/c.pem"));
    assert!(tls.clients_optional, "who has a token needs no certificate");
    assert_eq!(config.limits.timeout, Duration::from_secs(5));
    let traces = config.traces.unwrap();
    assert_eq!(traces.endpoint, "http://127.0.0.1:9000");
    assert!((traces.sampling_ratio - 0.25).abs() < f64::EPSILON);
    let (proof, caller) = &config.callers[1];
    let dns = CertificateName::Dns("b.example".to_owned());
    assert_eq!(*proof, Proof::Certificate(dns));
    assert!(caller.rights.permit(Operation::Rotate, "any"));
    assert!(!config.callers[0].1.rights.permit(Operation::Decrypt, "k"));
}

/// As of `--config <(sops -d kms.toml)`.
#[test]
fn a_pipe_is_read_whole_and_once() {
    let (reader, mut pipe) = std::io::pipe().unwrap();
    let text = format!("[kms]\ndev_backend = \"local\"\n[service]\n{}", token(""));
    std::io::Write::write_all(&mut pipe, text.as_bytes()).unwrap();
    drop(pipe);
    let file = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let environment = Environment::of([("SECRETUM_KMS_KEYS", "")]);
    let (_, service) = load(Path::new(&file), &environment).unwrap();
    assert_eq!(service.callers.len(), 1);
    assert!(load(Path::new(&file), &environment).is_err());
}

#[test]
fn a_storage_without_tls_is_for_development() {
    for (stage, endpoint, is_taken) in [
        ("dev", "http://127.0.0.1:9000", true),
        ("prod", "http://minio.example", false),
        ("prod", "HTTP://minio.example", false),
        ("prod", "https://minio.example", true),
    ] {
        let text = format!(
            "[kms]\nenvironment = \"{stage}\"\n{stage}_backend = \"local\"\n\
             [service.grpc]\naddress = \"127.0.0.1:0\"\n[service.data_keys]\n\
             storage = {{ kind = \"aws\", bucket = \"b\", region = \"r\", endpoint = \"{endpoint}\" }}\n"
        );
        let environment = Environment::of([]);
        let kms = KmsConfig::parse(Path::new("f"), &text, &environment);
        let told = parse_service(Path::new("f"), &text, &environment, kms);
        let told = told.map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(!told.contains("has no TLS"), is_taken, "{endpoint}: {told}");
    }
}

/// The fault is told by its line, without what must not be shown.
fn is_told(text: &str, line: usize, wanted: &str) {
    let error = read(text).map(|_| ()).unwrap_err();
    let told = error
        .lines()
        .any(|told| told.starts_with(&format!("kms.toml:{line}: ")) && told.contains(wanted));
    assert!(told, "{text}\n{wanted}\n{error}");
    assert!(!error.contains("secret-token"), "{error}");
}

#[test]
fn other_names_and_values_of_other_types_are_told() {
    for (text, wanted) in [
        ("port = 8082", "write address = \"127.0.0.1:8082\""),
        ("tls_cert = \"c\"", "; write tls_cert_path"),
        (
            "tokens = \"secret-token\"",
            "something else than a sequence",
        ),
        ("requests_max = \"secret-token\"", "something else than u64"),
        ("log_level = \"${NO}\"", "`NO` is not set"),
    ] {
        is_told(text, 4, wanted);
    }
}

#[test]
fn faults_name_line_cause_and_replacement() {
    let beyond = "address = \"0.0.0.0:1\"\n";
    for (text, line, wanted) in [
        ("adress = \"x\"".to_owned(), 4, "unknown field `adress`"),
        ("address = \"x\"".to_owned(), 4, "write 127.0.0.1:8082"),
        ("address = \"${NO}\"".to_owned(), 4, "`NO` is not set"),
        (beyond.to_owned(), 4, "add [[service.tokens]]"),
        (format!("{beyond}{}", token("")), 4, "write tls_cert_path"),
        ("tls_cert_path = \"c\"".to_owned(), 4, "write tls_key_path"),
        ("tls_key_path = \"c\"".to_owned(), 4, "write tls_cert_path"),
        ("client_ca_path = \"c\"".to_owned(), 4, "needs TLS"),
        ("\nrequests_max = 0".to_owned(), 5, "from 1 to 100000"),
        ("timeout = \"soon\"".to_owned(), 4, "write \"500ms\""),
        ("log_level = \"loud\"".to_owned(), 4, "error, warn"),
        (
            "[service.traces]\nendpoint = \"127.0.0.1:4318\"".to_owned(),
            5,
            "write http://127.0.0.1:4318",
        ),
        (
            "[service.traces]\nendpoint = \"http://a\"\nsampling_ratio = 1.5".to_owned(),
            6,
            "from 0 to 1",
        ),
        (token("").replace(HASH, "secret-token"), 6, "64 hex digits"),
        (
            token("").replace("encrypt", "encypt"),
            7,
            "`encypt` is no operation",
        ),
        (token("").replace("k*", "*k"), 7, "one * at the end"),
        (
            format!("{}{}", token(""), token("")),
            9,
            "the name of two callers",
        ),
        (
            format!("{}{}", token(""), token("").replace("\"a\"", "\"b\"")),
            10,
            "the proof of the caller `a`, too",
        ),
        (
            "[[service.certificates]]\nname = \"a\"\nrights = []\ndns = \"d\"\n".to_owned(),
            4,
            "write client_ca_path",
        ),
        (
            "[[service.certificates]]\nname = \"a\"\nrights = []\n".to_owned(),
            4,
            "one of common_name, dns and uri",
        ),
    ] {
        is_told(&text, line, wanted);
    }
}

#[test]
fn plaintext_beyond_loopback_is_said_twice() {
    let text = format!(
        "address = \"0.0.0.0:1\"\nallow_plaintext = true\n{}",
        token("")
    );
    assert!(read(&text).is_ok());
}

#[test]
fn faults_of_both_parts_are_told_at_once() {
    let text = "[kms]\ndev_backend = \"nix\"\n[service]\naddress = \"x\"\n";
    let environment = Environment::of([]);
    let kms = KmsConfig::parse(Path::new("f"), text, &environment);
    let error = parse_service(Path::new("f"), text, &environment, kms).unwrap_err();
    let lines: Vec<_> = error.faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [Some(2), Some(4)], "{error}");
}
