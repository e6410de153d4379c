//! [`MountRecord`]: a mount as it is stored.

use super::MountSettings;
use secretum_engine::Class;
use serde::{Deserialize, Serialize};

/// What a mount is, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordClass {
    /// Part of every vault.
    System,
    /// A secret engine.
    Secret,
    /// An auth method.
    Auth,
}

impl From<Class> for RecordClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Secret => Self::Secret,
            Class::Auth => Self::Auth,
        }
    }
}

/// A mount as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountRecord {
    pub(crate) uuid: String,
    pub(crate) class: RecordClass,
    /// Without `auth/`; ends with a slash.
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) accessor: String,
    #[serde(flatten)]
    pub(crate) settings: MountSettings,
    pub(crate) local: bool,
    pub(crate) seal_wrap: bool,
    #[serde(default)]
    pub(crate) external_entropy_access: bool,
}

impl MountRecord {
    /// Whether it stands among secret engines or auth methods.
    pub(crate) fn class(&self) -> Class {
        match self.class {
            RecordClass::Secret => Class::Secret,
            RecordClass::Auth => Class::Auth,
            RecordClass::System if self.kind == "token" => Class::Auth,
            RecordClass::System => Class::Secret,
        }
    }

    /// Whether every vault has it, and none can lose it.
    pub(crate) fn is_system(&self) -> bool {
        self.class == RecordClass::System
    }
}

/// A mount to be made.
#[derive(Debug)]
pub(crate) struct NewMount {
    pub(crate) class: RecordClass,
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) settings: MountSettings,
    pub(crate) local: bool,
    pub(crate) seal_wrap: bool,
    pub(crate) external_entropy_access: bool,
}

impl NewMount {
    fn plain(class: RecordClass, path: &str, kind: &str, description: &str) -> Self {
        Self {
            class,
            path: path.to_owned(),
            kind: kind.to_owned(),
            settings: MountSettings {
                description: description.to_owned(),
                ..MountSettings::default()
            },
            local: false,
            seal_wrap: false,
            external_entropy_access: false,
        }
    }

    /// The mount of `sys`.
    pub(crate) fn system() -> Self {
        let about = "system endpoints used for control, policy and debugging";
        Self::plain(RecordClass::System, "sys/", crate::system::KIND, about)
    }

    /// The mount of `auth/token`.
    pub(crate) fn token() -> Self {
        Self::plain(
            RecordClass::System,
            "token/",
            "token",
            "token based credentials",
        )
    }

    /// The mount of `cubbyhole`.
    pub(crate) fn cubbyhole() -> Self {
        let (kind, about) = (
            crate::system::cubbyhole::KIND,
            "per-token private secret storage",
        );
        Self {
            local: true,
            ..Self::plain(RecordClass::System, "cubbyhole/", kind, about)
        }
    }

    /// A mount of a secret engine of this kind and version.
    pub(crate) fn secret(path: &str, (kind, version): (&str, Option<&str>), about: &str) -> Self {
        let mut new = Self::plain(RecordClass::Secret, path, kind, about);
        let options = &mut new.settings.options;
        options.extend(version.map(|version| ("version".to_owned(), version.to_owned())));
        new
    }

    /// The record of this mount.
    pub(crate) fn record(self, uuid: String, accessor_suffix: String) -> MountRecord {
        let accessor = match self.class {
            RecordClass::Auth => format!("auth_{}_{accessor_suffix}", self.kind),
            RecordClass::System if self.kind == "token" => format!("auth_token_{accessor_suffix}"),
            RecordClass::System | RecordClass::Secret => format!("{}_{accessor_suffix}", self.kind),
        };
        MountRecord {
            uuid,
            accessor,
            class: self.class,
            path: self.path,
            kind: self.kind,
            settings: self.settings,
            local: self.local,
            seal_wrap: self.seal_wrap,
            external_entropy_access: self.external_entropy_access,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as vaults have it that know fewer settings.
    const STORED: &str = r#"{"uuid":"u","class":"secret","path":"kv/","kind":"kv","accessor":"kv_1",
        "description":"d","config":{"default_lease_ttl":60,"max_lease_ttl":0,"force_no_cache":false,
        "listing_visibility":"unauth","token_type":"","audit_non_hmac_request_keys":["a"],
        "audit_non_hmac_response_keys":[],"passthrough_request_headers":[],
        "allowed_response_headers":[]},"options":{"version":"2"},"local":false,"seal_wrap":true}"#;

    #[test]
    fn stored_records_stay_readable() {
        let record: MountRecord = serde_json::from_str(STORED).unwrap();
        let settings = &record.settings;
        assert_eq!(settings.description, "d");
        assert_eq!(settings.config.default_lease_ttl, 60);
        assert_eq!(settings.config.listing_visibility, "unauth");
        assert_eq!(settings.options.get("version").unwrap(), "2");
        assert!(record.seal_wrap && !record.external_entropy_access);
        let again = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<MountRecord>(&again).unwrap(), record);
    }
}
