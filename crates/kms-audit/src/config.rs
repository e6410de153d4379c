//! [`AuditConfig`]: the table `[service.audit]`.

use crate::{AuditLogError, key};
use secretum_audit::{Device, DeviceOptions};
use secretum_kms::Environment;
use secretum_kms::config::ConfigFault;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use toml::{Spanned, Value};

/// The most devices.
pub const DEVICES_MAX: usize = 16;

/// What says how a vault's devices conceal: nothing in these records is to be concealed.
const CONCEALING: [&str; 3] = ["elide_list_responses", "hmac_accessor", "log_raw"];

/// The devices of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file with the key that signs their heads; it is made where there is none.
    pub(crate) key: PathBuf,
    pub(crate) devices: Vec<DeviceOptions>,
}

/// The whole file; others read its other tables.
#[derive(Deserialize)]
struct File {
    service: Option<Service>,
}

#[derive(Deserialize)]
struct Service {
    audit: Option<Spanned<AuditDraft>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditDraft {
    key_path: Spanned<String>,
    devices: Vec<Spanned<DeviceDraft>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceDraft {
    #[serde(rename = "type")]
    kind: Spanned<String>,
    #[serde(default)]
    options: BTreeMap<String, Spanned<Value>>,
}

impl AuditConfig {
    /// Reads the text of a `kms.toml`; `None` where it names no devices.
    ///
    /// **Errors**: each fault, with its line.
    pub fn read(text: &str, environment: &Environment) -> Result<Option<Self>, Vec<ConfigFault>> {
        let mut reader = Reader {
            text,
            environment,
            faults: Vec::new(),
        };
        let config = match toml::from_str::<File>(text) {
            Ok(file) => file
                .service
                .and_then(|service| reader.audit(service.audit?)),
            Err(error) => {
                reader.fault(error.span().unwrap_or_default(), error.message());
                None
            }
        };
        match reader.faults.is_empty() {
            true => Ok(config),
            false => Err(reader.faults),
        }
    }

    /// The same for who writes beside the owner of these devices: what tells the places apart begins with
    /// `mark`.
    #[must_use]
    pub fn beside(&self, mark: &str) -> Self {
        let devices = self.devices.iter().cloned();
        Self {
            key: self.key.clone(),
            devices: devices.map(|device| device.beside(mark)).collect(),
        }
    }

    /// The number of the first device that writes on the output of the program, from 1.
    pub fn on_stdout(&self) -> Option<usize> {
        let at = self.devices.iter().position(DeviceOptions::is_stdout);
        at.map(|at| at + 1)
    }

    /// The public half of the key that signs the heads of all devices, which is made where it is missing.
    ///
    /// **Shape**: 64 hex digits.
    ///
    /// **Errors**: [`AuditLogError`].
    pub fn public_key(&self) -> Result<String, AuditLogError> {
        let key = key::read_or_make(&self.key)?;
        Ok(hex::encode(Device::public_key_of(key.expose())?))
    }

    /// Whether every device could write now.
    ///
    /// **Errors**: [`AuditLogError::Device`], [`AuditLogError::Key`].
    pub async fn check(&self) -> Result<(), AuditLogError> {
        if self.key.exists() {
            key::read(&self.key)?;
        }
        for options in &self.devices {
            Device::try_open(options).await?;
        }
        Ok(())
    }
}

struct Reader<'a> {
    text: &'a str,
    environment: &'a Environment,
    faults: Vec<ConfigFault>,
}

impl Reader<'_> {
    fn fault(&mut self, at: Range<usize>, message: impl AsRef<str>) {
        let fault = ConfigFault::at(self.text, at.start, message.as_ref());
        self.faults.push(fault);
    }

    /// What an expansion gives; a fault of the key where it fails.
    fn expanded<T>(
        &mut self,
        key: &str,
        at: Range<usize>,
        expanded: Result<T, String>,
    ) -> Option<T> {
        expanded
            .map_err(|reason| self.fault(at, format!("`{key}`: {reason}")))
            .ok()
    }

    fn audit(&mut self, draft: Spanned<AuditDraft>) -> Option<AuditConfig> {
        let at = draft.span();
        let AuditDraft { key_path, devices } = draft.into_inner();
        if !(1..=DEVICES_MAX).contains(&devices.len()) {
            self.fault(
                at,
                format!(
                    "[service.audit] has 1 to {DEVICES_MAX} devices; write [[service.audit.devices]], or \
                     leave it out, and records go to the log"
                ),
            );
            return None;
        }
        let path = self.environment.expand_path(key_path.get_ref());
        let path = match path {
            Ok(path) if path.as_os_str().is_empty() => Err("it is empty; write a path".to_owned()),
            path => path,
        };
        let key = self.expanded("key_path", key_path.span(), path);
        let devices = devices.into_iter().map(|device| self.device(device));
        let devices: Vec<_> = devices.collect();
        Some(AuditConfig {
            key: key?,
            devices: devices.into_iter().collect::<Option<_>>()?,
        })
    }

    fn device(&mut self, draft: Spanned<DeviceDraft>) -> Option<DeviceOptions> {
        let at = draft.span();
        let DeviceDraft { kind, options } = draft.into_inner();
        let mut read = BTreeMap::new();
        for (name, value) in options {
            let at = value.span();
            if CONCEALING.contains(&name.as_str()) {
                let message = format!("`{name}` has no effect here: these records hold no secrets");
                self.fault(at, message);
                return None;
            }
            let text = match value.into_inner() {
                Value::String(text) => {
                    let expanded = self.environment.expand(&text);
                    self.expanded(&name, at, expanded)?
                }
                Value::Integer(number) => number.to_string(),
                Value::Boolean(flag) => flag.to_string(),
                _ => {
                    self.fault(at, format!("`{name}` is a text, a number or a flag"));
                    return None;
                }
            };
            read.insert(name, text);
        }
        match DeviceOptions::read(kind.get_ref(), &read, None) {
            Ok(options) => Some(options),
            Err(error) => {
                self.fault(at, error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<AuditConfig>, String> {
        let environment = Environment::of([("HOME", "/h")]);
        AuditConfig::read(text, &environment).map_err(|faults| {
            let told = faults.iter();
            let told = told.map(|fault| format!("{}: {}", fault.line.unwrap_or(0), fault.message));
            told.collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn other_tables_are_others() {
        for text in ["", "[kms]\nany = 1\n", "[service]\naddress = 5\n"] {
            assert_eq!(read(text), Ok(None));
        }
        let device = |kind: &str, options: &str| {
            format!("[[service.audit.devices]]\ntype = \"{kind}\"\noptions = {{ {options} }}\n")
        };
        let key = "[service.audit]\nkey_path = \"${HOME}/k\"\n";
        let file = device("file", "file_path = \"${HOME}/a.log\"");
        let config = read(&format!("{key}{file}")).unwrap().unwrap();
        assert_eq!(
            (config.key.to_str(), config.on_stdout()),
            (Some("/h/k"), None)
        );
        let beside = device("file", "file_path = \"/h/own-a.log\"");
        let beside = read(&format!("{key}{beside}")).unwrap().unwrap();
        assert_eq!(config.beside("own-"), beside);
        let stdout = device("file", "file_path = \"stdout\"");
        let both = read(&format!("{key}{file}{stdout}")).unwrap().unwrap();
        assert_eq!(both.on_stdout(), Some(2));
        let most = file.repeat(DEVICES_MAX);
        assert!(read(&format!("{key}{most}")).is_ok());
        for (text, told) in [
            (
                format!("{key}{most}{file}"),
                "1: [service.audit] has 1 to 16",
            ),
            (format!("{key}{}", device("fil", "")), "3: `fil` is not"),
            (
                format!("{key}{}", device("file", "log_raw = true")),
                "5: `log_raw` has no effect",
            ),
            (
                format!("{key}{}", device("file", "file_path = \"${GONE}\"")),
                "5: `file_path`: ",
            ),
            ("[service.audit]\nkey = 1\n".to_owned(), "2: unknown field"),
            (
                format!("[service.audit]\nkey_path = \"\"\n{file}"),
                "2: `key_path`: it is empty",
            ),
        ] {
            let faults = read(&text).unwrap_err();
            assert!(faults.starts_with(told), "{faults}");
        }
    }
}
