//! `kms://aws`, `azure`, `gcp`, `kmip`, `vault` and `rustyvault`: the key service that wraps data keys,
//! from a [`Place`]. What is said there is read as the table of that provider is.

use super::place::Place;
use secretum_crypto::SecretString;
use secretum_kms::config::{BackendValues, Stage};
use secretum_kms::{Environment, KmsConfig, providers};

/// The domains that vaults of Azure are in, by the type of the vault.
const AZURE_DOMAINS: &[&str] = &[
    "vault.azure.net",
    "managedhsm.azure.net",
    "vault.azure.cn",
    "managedhsm.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net",
    "vault.microsoftazure.de",
];

/// Parameters of a place, and the keys of the provider's table that they are.
type Names = &'static [(&'static str, &'static str)];

const AWS: Names = &[
    ("region", "region"),
    ("accessKeyID", "access_key_id"),
    ("accessKey", "secret_access_key"),
    ("sessionToken", "session_token"),
    ("endpoint", "endpoint_url"),
];

const AZURE: Names = &[
    ("tenantID", "tenant_id"),
    ("clientID", "client_id"),
    ("clientSecret", "client_secret"),
    ("authorityHost", "authority_host"),
    ("caPath", "ca_path"),
    ("verifyChallengeResource", "verify_challenge_resource"),
];

const GCP: Names = &[
    ("projectID", "project"),
    ("location", "location"),
    ("keyRing", "key_ring"),
    ("credentialsPath", "credentials_path"),
    ("endpoint", "endpoint"),
    ("anonymous", "anonymous"),
];

const KMIP: Names = &[
    ("certPath", "client_cert_path"),
    ("keyPath", "client_key_path"),
    ("caPath", "ca_path"),
    ("serverName", "server_name"),
    ("version", "version"),
];

const VAULT: Names = &[
    ("address", "address"),
    ("namespace", "namespace"),
    ("mount", "mount"),
    ("token", "token"),
    ("roleID", "role_id"),
    ("secretID", "secret_id"),
    ("caPath", "ca_cert_path"),
];

const RUSTYVAULT: Names = &[
    ("address", "server_url"),
    ("engine", "engine"),
    ("mount", "kv_mount"),
    ("path", "kv_path"),
    ("token", "token"),
    ("roleID", "role_id"),
    ("secretID", "secret_id"),
    ("caPath", "ca_cert_path"),
];

/// The configuration of the key service that a place names.
///
/// **Errors**: what is wrong with it, without a value.
pub(crate) fn config(
    place: &Place,
    stage: Stage,
    environment: &Environment,
) -> Result<KmsConfig, Vec<String>> {
    let backend = place.kind();
    if !providers::ALL.contains(&backend) {
        return Err(vec![format!(
            "names `{backend}`, which is not in this program; build it with the feature `{backend}`"
        )]);
    }
    let given = BackendValues {
        backend,
        stage,
        key: key_name(place).map_err(|fault| vec![fault])?,
        values: values(place).map_err(|fault| vec![fault])?,
    };
    KmsConfig::of_values(given, environment).map_err(|faults| {
        let told = |message: String| format!("is read as the table of its key service: {message}");
        let messages = faults.into_iter().map(|fault| told(fault.message));
        messages.collect()
    })
}

/// The key-encryption key, by either of its names.
fn key_name(place: &Place) -> Result<&str, String> {
    match (place.value("keyName"), place.value("keyEncryptionKeyID")) {
        (Some(one), Some(other)) if one != other => Err(
            "names two keys, by `keyName` and by `keyEncryptionKeyID`; leave one of them out"
                .to_owned(),
        ),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err("names no key; write keyName=…".to_owned()),
    }
}

fn values(place: &Place) -> Result<Vec<(&'static str, SecretString)>, String> {
    let (names, more) = match place.kind() {
        "aws" => (AWS, Vec::new()),
        "azure" => (AZURE, vec![("vault_url", vault_url(place)?)]),
        "gcp" => (GCP, Vec::new()),
        "kmip" => (KMIP, host_and_port(place)),
        "vault" => (VAULT, vec![("auth", method(place))]),
        _ => (RUSTYVAULT, vec![("auth", method(place))]),
    };
    let text = |text: &str| SecretString::new(text.to_owned());
    let named = names.iter().filter_map(|(name, key)| {
        let value = place.value(name)?;
        Some((*key, text(value)))
    });
    let more = more.into_iter().map(|(key, value)| (key, text(&value)));
    Ok(named.chain(more).collect())
}

fn vault_url(place: &Place) -> Result<String, String> {
    if let Some(endpoint) = place.value("endpoint") {
        return Ok(endpoint.to_owned());
    }
    let name = place.value("vaultName").unwrap_or_default();
    // It becomes a part of a host's name, which a dot or a slash would lead elsewhere.
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(
            "has a `vaultName` that is none; write its letters, digits and hyphens".to_owned(),
        );
    }
    let domain = place.value("vaultType").unwrap_or("vault.azure.net");
    if !AZURE_DOMAINS.contains(&domain) {
        let known = AZURE_DOMAINS.join(", ");
        return Err(format!(
            "has a `vaultType` that is not known; write one of {known}"
        ));
    }
    Ok(format!("https://{name}.{domain}"))
}

/// `host:port`, or a host alone; `[::1]:5696` for addresses with colons.
fn host_and_port(place: &Place) -> Vec<(&'static str, String)> {
    let address = place.value("address").unwrap_or_default();
    let split = address.rsplit_once(':');
    let split = split.filter(|(host, _)| host.ends_with(']') || !host.contains(':'));
    let (host, port) = match split {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut values = vec![("host", host.to_owned())];
    values.extend(port.map(|port| ("port", port.to_owned())));
    values
}

/// As whom a server that speaks Vault's API is asked.
fn method(place: &Place) -> String {
    match place.value("roleID") {
        Some(_) => "approle".to_owned(),
        None => "token".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::KMS;
    use super::*;
    use secretum_kms::KmipServer;

    fn read(uri: &str, stage: Stage) -> Result<KmsConfig, String> {
        let place = Place::of_uri(&KMS, uri).unwrap();
        let environment = Environment::of([("HOME", "/u")]);
        config(&place, stage, &environment).map_err(|faults| faults.join("; "))
    }

    fn dev(uri: &str) -> Result<KmsConfig, String> {
        read(uri, Stage::Development)
    }

    const KMIP: &str = "kms://kmip?certPath=c&keyPath=k&caPath=~/a&keyName=kek";

    #[test]
    fn a_kmip_server_is_read() {
        for (address, host, port) in [
            ("h:5697", "h", 5697),
            ("h", "h", 5696),
            ("[::1]:5697", "::1", 5697),
            ("::1", "::1", 5696),
        ] {
            let config = dev(&format!("{KMIP}&address={address}")).unwrap();
            assert_eq!(config.default_key.as_str(), "kek");
            let server: &KmipServer = config.backend.settings().unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port));
            assert_eq!(server.ca.to_str(), Some("/u/a"));
        }
    }

    #[test]
    fn a_transit_engine_and_a_rustyvault_are_read() {
        let auth = "roleID=r&secretID=planted&keyName=k&address=https://h:8200";
        let config = dev(&format!("kms://vault?{auth}&mount=t")).unwrap();
        assert_eq!(config.backend.name(), "vault");
        let config = dev(&format!("kms://rustyvault?{auth}&engine=kv")).unwrap();
        assert_eq!(config.backend.name(), "rustyvault");
        assert!(!format!("{config:?}").contains("planted"));
        let plain = "kms://rustyvault?token=planted&keyName=k&address=http://h:8200";
        assert!(dev(plain).is_ok());
        let told = read(plain, Stage::Production).unwrap_err();
        assert!(
            told.contains("without TLS") && !told.contains("planted"),
            "{told}"
        );
    }

    #[test]
    fn each_fault_is_told_and_repeats_no_value() {
        for (uri, wanted) in [
            (
                format!("{KMIP}&address=h:planted"),
                "`port` is a whole number",
            ),
            (
                format!("{KMIP}&address=h&keyEncryptionKeyID=planted"),
                "names two keys",
            ),
            (
                "kms://vault?address=https://h&token=planted".to_owned(),
                "names no key; write keyName",
            ),
            (
                "kms://vault?address=planted&token=t&keyName=k".to_owned(),
                "`address` is not the address of a server",
            ),
            (
                "kms://vault?address=https://h&keyName=k".to_owned(),
                "has no `token`",
            ),
        ] {
            let told = dev(&uri).map(drop).unwrap_err();
            assert!(told.contains(wanted) && !told.contains("planted"), "{told}");
        }
    }

    #[test]
    fn a_provider_that_was_left_out_names_its_feature() {
        for (built, uri, name) in [
            (cfg!(feature = "aws"), "kms://aws?region=r&keyName=k", "aws"),
            (
                cfg!(feature = "azure"),
                "kms://azure?vaultName=v&tenantID=t&clientID=c&clientSecret=planted&keyName=k",
                "azure",
            ),
            (
                cfg!(feature = "gcp"),
                "kms://gcp?projectID=p&location=l&keyRing=r&keyName=k",
                "gcp",
            ),
        ] {
            match dev(uri) {
                Ok(config) => assert!(built && config.default_key.as_str() == "k"),
                Err(told) => {
                    let wanted = format!("build it with the feature `{name}`");
                    assert!(!built && told.contains(&wanted), "{told}");
                }
            }
        }
    }

    #[cfg(feature = "azure")]
    #[test]
    fn a_vault_of_azure_is_named_by_its_type() {
        let uri = "kms://azure?tenantID=t&clientID=c&clientSecret=planted&keyName=k";
        let url = |more: &str| {
            let backend = dev(&format!("{uri}&{more}")).unwrap().backend;
            let settings = backend.settings::<secretum_kms::AzureSettings>().unwrap();
            settings.vault_url.clone()
        };
        assert_eq!(url("vaultName=v"), "https://v.vault.azure.net");
        let hsm = url("vaultName=v&vaultType=managedhsm.azure.net");
        assert_eq!(hsm, "https://v.managedhsm.azure.net");
        for (more, wanted) in [
            ("vaultName=planted.example/x", "a `vaultName` that is none"),
            (
                "vaultName=v&vaultType=planted.example",
                "write one of vault.azure.net",
            ),
        ] {
            let told = dev(&format!("{uri}&{more}")).map(drop).unwrap_err();
            assert!(told.contains(wanted) && !told.contains("planted"), "{told}");
        }
    }
}
