//! [`BackendValues`]: the settings of one backend, from elsewhere than a file.
//!
//! They are read as a table is, by the same code. Each value comes into its place as a variable does,
//! so that nothing in it is looked at again, and no fault repeats it.

use super::fault::ConfigFault;
use super::{Environment, KmsConfig, Stage, read};
use secretum_crypto::SecretString;
use std::collections::HashMap;
use std::fmt::Write;
use zeroize::Zeroizing;

/// The settings of one backend.
#[derive(Debug)]
pub struct BackendValues<'a> {
    /// Its name.
    pub backend: &'a str,
    /// Whether real secrets are at stake.
    pub stage: Stage,
    /// The default key.
    pub key: &'a str,
    /// Keys of its table, and their values.
    pub values: Vec<(&'static str, SecretString)>,
}

/// The variable that stands for a value; no process has one of this name.
fn variable(number: usize) -> String {
    format!("SECRETUM_KMS_VALUE_{number}_OF_TABLE")
}

pub(super) fn parse(
    given: BackendValues<'_>,
    environment: &Environment,
) -> Result<KmsConfig, Vec<ConfigFault>> {
    let stage = match given.stage {
        Stage::Development => "dev",
        Stage::Production => "prod",
    };
    let backend = given.backend;
    let mut variables = HashMap::new();
    let mut place = |value: &str| {
        let name = variable(variables.len());
        let reference = format!("\"${{{name}}}\"");
        variables.insert(name, Zeroizing::new(value.to_owned()));
        reference
    };
    let mut text = format!(
        "[kms]\nenvironment = \"{stage}\"\ndefault_key = {}\n[kms.{backend}]\n",
        place(given.key)
    );
    for (key, value) in &given.values {
        // Writing into a text does not fail.
        let _ = writeln!(text, "{key} = {}", place(value.expose()));
    }
    let environment = environment.with(variables);
    let read = read::parse(&text, &environment, Some(backend));
    read.map_err(|faults| {
        let without_line = |fault: ConfigFault| ConfigFault {
            line: None,
            ..fault
        };
        faults.into_iter().map(without_line).collect()
    })
}

#[cfg(all(test, feature = "kmip"))]
mod tests {
    use super::*;

    fn kmip(stage: Stage, host: &str) -> Result<KmsConfig, Vec<ConfigFault>> {
        let text = |text: &str| SecretString::new(text.to_owned());
        let values = vec![
            ("host", text(host)),
            ("port", text("5697")),
            ("client_cert_path", text("~/c.pem")),
            ("client_key_path", text("k.pem")),
            ("ca_path", text("a.pem")),
        ];
        let (backend, key) = ("kmip", "a\"b${HOME}");
        let given = BackendValues {
            backend,
            stage,
            key,
            values,
        };
        KmsConfig::of_values(given, &Environment::of([("HOME", "/u")]))
    }

    #[test]
    fn values_are_taken_as_they_are() {
        let odd = "${HOME}\"\nport = 1 #";
        let config = kmip(Stage::Production, odd).unwrap();
        assert_eq!(config.default_key.as_str(), "a\"b${HOME}");
        assert_eq!(config.stage, Stage::Production);
        let server: &crate::KmipServer = config.backend.settings().unwrap();
        assert_eq!((server.host.as_str(), server.port), (odd, 5697));
        assert_eq!(server.client_cert.to_str(), Some("/u/c.pem"));
        let faults = kmip(Stage::Development, "").unwrap_err();
        let told = faults.first().unwrap();
        assert!(
            told.line.is_none() && told.message.contains("`host`"),
            "{told:?}"
        );
    }
}
