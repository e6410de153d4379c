//! [`MountRecord`]: a mount as it is stored.

use secretum_engine::Class;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
}

/// What tuning changes of a mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountSettings {
    pub(crate) description: String,
    pub(crate) config: MountConfig,
    pub(crate) options: BTreeMap<String, String>,
}

/// The settings that every engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MountConfig {
    /// Seconds; 0 for the system's.
    pub(crate) default_lease_ttl: u64,
    /// Seconds; 0 for the system's.
    pub(crate) max_lease_ttl: u64,
    pub(crate) force_no_cache: bool,
    pub(crate) listing_visibility: String,
    pub(crate) token_type: String,
    pub(crate) audit_non_hmac_request_keys: Vec<String>,
    pub(crate) audit_non_hmac_response_keys: Vec<String>,
    pub(crate) passthrough_request_headers: Vec<String>,
    pub(crate) allowed_response_headers: Vec<String>,
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

    /// A KV version 2 mount.
    pub(crate) fn kv_version_2(path: &str) -> Self {
        let mut new = Self::plain(RecordClass::Secret, path, "kv", "key/value secret storage");
        let options = &mut new.settings.options;
        options.insert("version".to_owned(), "2".to_owned());
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
        }
    }
}
