//! `[service.audit]`.

use super::draft::{Reader, Text};
use crate::audit::AuditConfig;
use secretum_audit::DeviceOptions;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Spanned, Value};

/// The most devices.
const DEVICES_MAX: usize = 16;

/// What says how a vault's devices conceal: nothing in these records is to be concealed.
const CONCEALING: [&str; 3] = ["elide_list_responses", "hmac_accessor", "log_raw"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditDraft {
    key_path: Text,
    devices: Vec<Spanned<DeviceDraft>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceDraft {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(default)]
    options: BTreeMap<String, Spanned<Value>>,
}

impl Reader<'_> {
    pub(super) fn audit(&mut self, draft: Spanned<AuditDraft>) -> Option<AuditConfig> {
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
        let key = self.path("key_path", Some(key_path));
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
                Value::String(text) => self.expand(&name, Spanned::new(at, text))?.0,
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
