#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(any(feature = "cosmian", feature = "kmip"))]
mod kmip;
#[cfg(feature = "rustyvault")]
mod rustyvault;

use super::*;
use crate::test_keys::context;
use crate::{
    AgeFiles, AgeSettings, CircuitBreakerConfig, KeyManagementService, KmsError, Observers,
};
use secretum_crypto::{Clock, TestClock};
use std::time::Duration;

const FILE: &str = "kms.toml";

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<KmsConfig, KmsConfigError> {
    let environment = Environment::of(variables.iter().copied());
    KmsConfig::parse(Path::new(FILE), text, &environment)
}

/// The faults, a line each.
fn told(text: &str) -> String {
    parse(text, &[("HOME", "/home/u")]).unwrap_err().to_string()
}

const AGE: &str = r#"[kms]
environment = "${PROVISIONING_ENV:-dev}"
dev_backend = "age"
prod_backend = "${BACKEND:-age}"

[kms.age]
public_key_path = "~/keys/${NAME:-public}.txt"
private_key_path = "${KEYS}/private.txt"
"#;

#[test]
fn variables_and_the_home_folder_stand_in_texts() {
    let variables = [("HOME", "/home/u"), ("KEYS", "/run/${NAME}")];
    let config = parse(AGE, &variables).unwrap();
    let files = AgeFiles {
        public: Some("/home/u/keys/public.txt".into()),
        // What a variable holds is not looked at again.
        private: Some("/run/${NAME}/private.txt".into()),
    };
    let age: &AgeSettings = config.backend.settings().unwrap();
    assert_eq!((&age.files, age.armor), (&files, false));
    assert_eq!(config.stage, Stage::Development);
    assert_eq!(config.default_key.as_str(), "default");
    assert_eq!(config.resilience, crate::ResilientKmsConfig::development());
}

#[test]
fn age_in_production_must_be_said_twice() {
    let variables = [("HOME", "/h"), ("KEYS", "/k"), ("PROVISIONING_ENV", "prod")];
    let refused = parse(AGE, &variables).unwrap_err().to_string();
    assert!(refused.starts_with("kms.toml:4: a production environment"));
    assert!(refused.contains("allow_in_production = true in [kms.age]"));
    for (said, stands) in [
        ("true", true),
        ("false", false),
        ("\"${ALLOW:-true}\"", true),
    ] {
        let text = format!("{AGE}allow_in_production = {said}\n");
        assert_eq!(parse(&text, &variables).is_ok(), stands, "{said}");
    }
    let config = parse(&format!("{AGE}allow_in_production = true\n"), &variables).unwrap();
    assert_eq!(config.stage, Stage::Production);
    assert_eq!(config.resilience, crate::ResilientKmsConfig::production());
    // So must keys in the environment.
    let local = "[kms]\nenvironment = \"prod\"\nprod_backend = \"local\"\n";
    assert!(told(local).contains("[kms.local] as well"));
}

#[test]
fn without_a_word_the_environment_decides() {
    let text = "[kms]\ndev_backend = \"local\"\nprod_backend = \"local\"\n\
                [kms.local]\nallow_in_production = true\n";
    for (variables, stage) in [
        (&[][..], Stage::Development),
        (&[("PROVISIONING_ENV", "production")], Stage::Production),
        (&[("PROVISIONING_ENV", "")], Stage::Development),
    ] {
        assert_eq!(parse(text, variables).unwrap().stage, stage);
    }
    let refused = parse(text, &[("PROVISIONING_ENV", "planted")]).unwrap_err();
    assert!(refused.to_string().contains("`environment` is none"));
    assert!(!refused.to_string().contains("planted"));
}

/// Faulty files, and what is told of each.
const FAULTY: &[(&str, &str)] = &[
    ("", "kms.toml: has no table [kms]"),
    ("x = 1", "kms.toml:1: the file has no key `x`; it has kms"),
    (
        "[kms]\ndev_backend = \"local\"\n[age]\npublic_key_path = \"p\"\n",
        "kms.toml:3: `age` is no longer a key of the file; write [kms.age]",
    ),
    (
        "provider = \"age\"\n[kms]\n",
        "kms.toml:1: `provider` is no longer a key of the file; write dev_backend and prod_backend in \
         [kms]",
    ),
    ("[cache]\n[kms]\n", "write [kms.cache]"),
    (
        "[kms]\ndev_backend = \"env\"\n",
        "kms.toml:2: `dev_backend` names no provider of this program; did you mean `local`?",
    ),
    (
        "[kms]\ndev_backend = \"openbao\"\n",
        "did you mean `vault`?",
    ),
    ("[kms\n", "kms.toml:1: "),
    (
        "[kms]\nmode = 1\n",
        "kms.toml:2: `mode` is no longer a key of [kms]; write environment",
    ),
    (
        "[kms]\nprod_backnd = \"x\"\n",
        "kms.toml:2: [kms] has no key `prod_backnd`; did you mean `prod_backend`?",
    ),
    ("[kms]\n\n", "kms.toml:1: [kms] names no `dev_backend`"),
    (
        "[kms]\ndev_backend = \"agee\"\n",
        "kms.toml:2: `dev_backend` names no provider of this program; did you mean `age`?",
    ),
    ("[kms]\ndev_backend = \"abacus\"\n", "it has age, "),
    #[cfg(not(feature = "aws"))]
    (
        "[kms]\ndev_backend = \"aws\"\n",
        "kms.toml:2: `dev_backend` names the provider `aws`, which this program was built without; \
         build it with the feature `aws`",
    ),
    (
        "[kms]\ndev_backend = \"age\"\nresilience = \"high\"\n",
        "kms.toml:3: `resilience` is none that is known; write development, production or \
         high_availability",
    ),
    (
        "[kms]\ndev_backend = 1\n",
        "kms.toml:2: `dev_backend` is a text",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n",
        "kms.toml:2: the backend `age` has no keys",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n[kms.age]\nidentity_path = \"x\"\n",
        "kms.toml:4: `identity_path` is no longer a key of [kms.age]; write private_key_path",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n[kms.age]\nprivate_key_path = \"${NONE}\"\n",
        "kms.toml:4: `private_key_path`: the environment variable `NONE` is not set",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n[kms.age]\nprivate_key_path = \"${NONE\"\n",
        "is not closed",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n[kms.age]\nprivate_key_path = \"${1}\"\n",
        "no name of a variable",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n[kms.age]\nprivate_key_path = \"~other/x\"\n",
        "write the whole path",
    ),
    (
        "[kms]\ndev_backend = \"age\"\n[kms.age]\nprivate_key_path = \"\"\n",
        "is empty",
    ),
    (
        "[kms]\ndev_backend = \"age\"\nage = 1\n",
        "kms.toml:3: `age` is a table; write [kms.age]",
    ),
    (
        "[kms]\ndev_backend = \"local\"\ndefault_key = \"\"\n",
        "kms.toml:3: `default_key` is not the identifier",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.local]\nkeys_path = \"a\"\nkeys_variable = \"b\"\n",
        "kms.toml:3: [kms.local] has both",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.cache]\nttl = 5\n",
        "kms.toml:4: `ttl` is a duration",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.cache]\nttl = \"5\"\n",
        "\"100ms\"",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.cache]\nentries_max = 0\n",
        "from 1 to 1000000",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.cache]\nenabled = \"maybe\"\n",
        "`enabled` is true or false",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.retry]\ndelay_min = \"11s\"\n",
        "kms.toml:3: `delay_min` is longer",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.rate_limit]\nburst = 5\n",
        "write per_second",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.rotation]\nkeys = [\"a\"]\n",
        "kms.toml:3: [kms.rotation] does not say how often; write every = \"90d\"",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.rotation]\nevery = \"366d\"\n",
        "kms.toml:4: `every` is a duration up to a year",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.rotation]\nevery = \"90d\"\nkeys = \"a\"\n",
        "kms.toml:5: `keys` is a list; write keys = [",
    ),
    (
        "[kms]\ndev_backend = \"local\"\n[kms.rotation]\nevery = \"90d\"\nkeys = [\"a\", \"a\"]\n",
        "kms.toml:5: `keys` names this key twice",
    ),
];

#[test]
fn a_schedule_is_read() {
    let text = "[kms]\ndev_backend = \"local\"\n[kms.rotation]\nevery = \"90d\"\n\
                keys = [\"a\", \"${KEY}\"]\nstate_path = \"~/rotation\"\n";
    let read = parse(text, &[("KEY", "b"), ("HOME", "/h")]).unwrap();
    let schedule = read.rotation.unwrap();
    assert_eq!(schedule.line, 3);
    assert_eq!(schedule.every, Duration::from_secs(90 * 24 * 3600));
    let keys: Vec<_> = schedule.keys.iter().map(crate::KeyId::as_str).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(schedule.state_path.unwrap(), Path::new("/h/rotation"));
    let many: Vec<_> = (0..101).map(|number| format!("\"{number}\"")).collect();
    let text = |keys: &[String]| {
        let keys = keys.join(",");
        format!("[kms]\ndev_backend = \"local\"\n[kms.rotation]\nevery = \"1h\"\nkeys = [{keys}]\n")
    };
    assert!(parse(&text(&many[..100]), &[]).is_ok());
    assert!(told(&text(&many)).contains("more than 100 keys"));
}

#[test]
fn in_production_a_version_lives_for_an_hour_at_least() {
    let text = |stage: &str, every: &str| {
        let age = "[kms.age]\npublic_key_path = \"a\"\nprivate_key_path = \"b\"\nallow_in_production = true\n";
        format!(
            "[kms]\nenvironment = \"{stage}\"\n{stage}_backend = \"age\"\n{age}\
             [kms.rotation]\nevery = \"{every}\"\n"
        )
    };
    for (stage, every) in [("prod", "1h"), ("prod", "90d"), ("dev", "1ms")] {
        let read = parse(&text(stage, every), &[]);
        assert!(read.is_ok(), "{stage} {every}: {read:?}");
    }
    for every in ["3599s", "90s", "1ms"] {
        let told = told(&text("prod", every));
        assert!(
            told.contains("kms.toml:9: `every` is less than an hour"),
            "{told}"
        );
    }
}

#[test]
fn faults_name_line_cause_and_replacement() {
    for (text, wanted) in FAULTY {
        let told = told(text);
        assert!(told.contains(wanted), "{text}\n{told}");
    }
    // Every fault is told, not the first alone.
    let all =
        told("[kms]\ndev_backend = \"local\"\nmode = 1\n[kms.age]\nkey = 1\n[kms.cache]\nx = 1\n");
    assert_eq!(all.lines().count(), 3, "{all}");
}

#[test]
fn wrappers_are_set_one_by_one() {
    let text = r#"[kms]
dev_backend = "local"
[kms.cache]
entries_max = 7
ttl = "5m"
generated_uses_max = 100
[kms.retry]
retries_max = 9
delay_min = "1ms"
delay_max = "2s"
deadline = "1h"
timeout = "3s"
[kms.circuit_breaker]
failures_to_open = 2
[kms.rate_limit]
per_second = "${RATE:-50}"
"#;
    let config = parse(text, &[]).unwrap().resilience;
    let cache = config.cache.unwrap();
    assert_eq!(
        (cache.entries_max, cache.ttl),
        (7, Duration::from_secs(300))
    );
    assert_eq!(cache.generated_uses_max, 100);
    assert_eq!(
        (config.retry.retries_max, config.timeout),
        (9, Duration::from_secs(3))
    );
    assert_eq!(config.retry.deadline, Duration::from_secs(3600));
    let breaker = CircuitBreakerConfig {
        failures_to_open: 2,
        ..CircuitBreakerConfig::default()
    };
    assert_eq!(config.breaker, Some(breaker));
    let limit = config.rate_limit.unwrap();
    assert_eq!((limit.per_second, limit.burst), (50, 50));
    let off = "[kms]\nenvironment = \"prod\"\nprod_backend = \"local\"\n\
               [kms.local]\nallow_in_production = true\n\
               [kms.cache]\nenabled = false\n[kms.circuit_breaker]\nenabled = false\n";
    let config = parse(off, &[]).unwrap().resilience;
    assert!(config.cache.is_none() && config.breaker.is_none());
}

#[test]
fn the_size_has_its_limit() {
    let fill = |bytes: usize| {
        let head = "[kms]\ndev_backend = \"local\"\n#";
        format!("{head}{}", "x".repeat(bytes - head.len()))
    };
    assert!(parse(&fill(CONFIG_BYTES_MAX), &[]).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    std::fs::write(&file, fill(CONFIG_BYTES_MAX + 1)).unwrap();
    let refused = KmsConfig::load(&file, &Environment::process()).unwrap_err();
    assert!(refused.to_string().contains("is larger than"), "{refused}");
    let missing = KmsConfig::load(&folder.path().join("none"), &Environment::process());
    assert!(missing.unwrap_err().to_string().contains("cannot be read"));
}

#[tokio::test]
async fn a_configuration_makes_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let files = AgeFiles {
        public: Some(folder.path().join("keys/public.txt")),
        private: Some(folder.path().join("keys/private.txt")),
    };
    let environment = Environment::of([("HOME", home), ("KEYS", &format!("{home}/keys"))]);
    let config = KmsConfig::parse(Path::new(FILE), AGE, &environment).unwrap();
    let missing = create_kms(&config, &environment, &Observers::default());
    assert!(matches!(missing, Err(KmsError::File { .. })));
    files.generate(TestClock::default().now()).unwrap();
    let kms = create_resilient_kms(&config, &environment, Observers::default()).unwrap();
    let key = &config.default_key;
    let made = kms.encrypt(key, b"x", &context("a=1")).await.unwrap();
    let opened = kms.decrypt(&made, &context("a=1")).await.unwrap();
    assert_eq!((opened.expose(), made.provider()), (&b"x"[..], "age"));

    let text = "[kms]\ndev_backend = \"local\"\n";
    let config = parse(text, &[]).unwrap();
    let refused = create_kms(&config, &Environment::of([]), &Observers::default());
    assert!(matches!(refused, Err(KmsError::NotConfigured { .. })));
    let keys = "default:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let environment = Environment::of([("SECRETUM_KMS_KEYS", keys)]);
    let kms = create_kms(&config, &environment, &Observers::default()).unwrap();
    assert_eq!(kms.capabilities().provider, "local");
}

#[cfg(feature = "vault")]
#[tokio::test]
async fn a_transit_engine_is_read() {
    use crate::{VaultAuth, VaultSettings};
    let text = "[kms]\ndev_backend = \"vault\"\n";
    let variables = [
        ("VAULT_ADDR", "http://127.0.0.1:1"),
        ("VAULT_TOKEN", "planted"),
    ];
    let config = parse(text, &variables).unwrap();
    assert!(!format!("{config:?}").contains("planted"));
    let settings: &VaultSettings = config.backend.settings().unwrap();
    assert_eq!(settings.server.address.to_string(), "http://127.0.0.1:1");
    assert_eq!(
        (settings.mount.as_str(), settings.server.tls_verify),
        ("transit", true)
    );
    let kms = create_kms(&config, &Environment::of([]), &Observers::default()).unwrap();
    let away = kms.health_check().await;
    assert!(matches!(away, Err(KmsError::Unavailable { .. })));

    let role = format!(
        "{text}[kms.vault]\naddress = \"https://v:8200\"\nauth = \"kubernetes\"\nrole = \"r\"\n"
    );
    let backend = parse(&role, &[]).unwrap().backend;
    let settings: &VaultSettings = backend.settings().unwrap();
    let VaultAuth::Kubernetes {
        mount,
        role,
        jwt_path,
    } = &settings.server.auth
    else {
        panic!("{:?}", settings.server.auth);
    };
    assert_eq!((mount.as_str(), role.as_str()), ("kubernetes", "r"));
    assert!(jwt_path.starts_with("/var/run/secrets"));
}

#[cfg(feature = "vault")]
#[test]
fn a_transit_engine_says_what_it_needs() {
    for (body, wanted) in [
        ("", "has no `address`; write address = "),
        (
            "address = \"planted\"\ntoken = \"t\"",
            "kms.toml:4: `address` is not the address",
        ),
        ("address = \"http://v\"", "has no `token`"),
        (
            "address = \"http://v\"\nauth = \"approle\"\nrole_id = \"r\"",
            "has no `secret_id`, which",
        ),
        (
            "address = \"http://v\"\nauth = \"kubernetes\"",
            "has no `role`, which",
        ),
        (
            "address = \"http://v\"\nauth = \"x\"",
            "kms.toml:5: `auth` is none",
        ),
        (
            "address = \"http://v\"\nauth = \"cert\"\nclient_cert_path = \"c\"",
            "write both",
        ),
        (
            "server_url = \"http://v\"",
            "kms.toml:4: `server_url` is no longer a key of [kms.vault]; write address",
        ),
    ] {
        let told = told(&format!(
            "[kms]\ndev_backend = \"vault\"\n[kms.vault]\n{body}\n"
        ));
        assert!(told.contains(wanted), "{body}\n{told}");
        assert!(!told.contains("planted"), "{told}");
    }
    let unverified = "[kms]\nenvironment = \"prod\"\nprod_backend = \"vault\"\n[kms.vault]\n\
                      address = \"https://v\"\ntoken = \"t\"\ntls_verify = false\n";
    assert!(told(unverified).contains("does not take tls_verify = false"));
}

#[test]
fn a_backend_is_read_by_its_name() {
    let text = "[kms]\nenvironment = \"dev\"\ndev_backend = \"local\"\n\
                [kms.age]\nprivate_key_path = \"p.txt\"\n";
    let environment = Environment::of([]);
    let of = |text: &str, name| {
        KmsConfig::parse_for(Path::new("kms.toml"), text, &environment, Some(name))
    };
    let load = |name| of(text, name);
    for name in ["age", "local"] {
        assert_eq!(load(name).unwrap().backend.name(), name);
    }
    let refused = load("nothing").unwrap_err().to_string();
    assert!(
        refused.contains("names no provider of this program"),
        "{refused}"
    );
    let preset = |name: &str| {
        let line = format!("[kms]\nresilience = \"{name}\"\n");
        of(&text.replace("[kms]\n", &line), "age")
            .unwrap()
            .resilience
    };
    assert_eq!(load("age").unwrap().resilience, preset("development"));
    assert_eq!(
        preset("high_availability"),
        crate::ResilientKmsConfig::high_availability()
    );
    // Keys in files stay refused for production, by whichever name.
    let refused = of(&text.replace("\"dev\"", "\"prod\""), "age");
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("allow_in_production"), "{refused}");
}

#[cfg(feature = "vault")]
#[test]
fn settings_tell_whether_they_are_of_an_engine() {
    let text = "[kms]\nenvironment = \"dev\"\ndev_backend = \"vault\"\n\
                [kms.vault]\naddress = \"http://127.0.0.1:8200/\"\nmount = \"team/transit/\"\ntoken = \"t\"\n\
                timeout = \"3s\"\n";
    let config = KmsConfig::parse(Path::new("kms.toml"), text, &Environment::of([])).unwrap();
    let settings: &crate::VaultSettings = config.backend.settings().unwrap();
    assert_eq!(settings.server.timeout, Duration::from_secs(3));
    assert!(settings.are_of("http://127.0.0.1:8200", "team/transit"));
    for (address, mount) in [
        ("http://127.0.0.1:8201", "team/transit"),
        ("https://127.0.0.1:8200", "team/transit"),
        ("http://127.0.0.1:8200", "transit"),
        ("", "team/transit"),
    ] {
        assert!(!settings.are_of(address, mount), "{address} {mount}");
    }
}

#[tokio::test]
async fn a_key_is_made_where_the_configuration_has_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().display().to_string();
    let environment = Environment::of([("HOME", home.as_str())]);
    let read = |backend: &str, table: &str| {
        let text = format!("[kms]\ndev_backend = \"{backend}\"\n[kms.{backend}]\n{table}");
        KmsConfig::parse(Path::new(FILE), &text, &environment).unwrap()
    };
    let made = async |config: &KmsConfig, named: Option<&str>| {
        let named = named.map(|name| crate::KeyId::new(name).unwrap());
        let made = create_key(config, &environment, &Observers::default(), named.as_ref()).await;
        made.map(|made| format!("{} {}", made.key, made.version))
    };
    let mode = |name: &str| {
        let found = std::fs::metadata(folder.path().join(name)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777
    };
    let local = read("local", "keys_path = \"~/keys\"\n");
    for (named, wanted) in [
        (None, "default 1"),
        (Some("orders"), "orders 1"),
        (None, "key_exists"),
        (Some("orders"), "key_exists"),
        (Some("a:b"), "file_content"),
    ] {
        let outcome = made(&local, named).await;
        let told = outcome.unwrap_or_else(|error| error.kind().to_owned());
        assert_eq!(told, wanted, "{named:?}");
    }
    assert_eq!(mode("keys"), 0o600);
    let variable = read("local", "keys_variable = \"HOME\"\n");
    assert!(made(&variable, Some("x")).await.is_err());
    let age = "public_key_path = \"~/public\"\nprivate_key_path = \"~/private\"\n";
    let age = read("age", age);
    assert_eq!(made(&age, Some("x")).await.unwrap_err().kind(), "refused");
    assert!(made(&age, None).await.unwrap().starts_with("default "));
    assert_eq!((mode("private"), mode("public")), (0o600, 0o644));
    assert_eq!(made(&age, None).await.unwrap_err().kind(), "file");
}
