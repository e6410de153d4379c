//! What `secrets` and `auth` share: settings of a mount, and tables of mounts.

use crate::arguments::flags;
use crate::output::table;
use clap::Args;
use secretum_client::sys::{Mount, TuneMount};
use std::collections::BTreeMap;

const SETTINGS: &str = "Settings";

/// Settings of a mount.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Settings {
    /// What people should know about it
    #[arg(long, value_name = "TEXT", help_heading = SETTINGS)]
    pub(crate) description: Option<String>,
    /// How long leases last where nothing is asked
    #[arg(long, value_name = "DURATION", value_parser = flags::duration, help_heading = SETTINGS)]
    pub(crate) default_lease_ttl: Option<String>,
    /// How long leases can last
    #[arg(long, value_name = "DURATION", value_parser = flags::duration, help_heading = SETTINGS)]
    pub(crate) max_lease_ttl: Option<String>,
    /// Key of requests that the audit log shows in the clear; may be given more than once
    #[arg(long, value_name = "KEY", help_heading = SETTINGS)]
    pub(crate) audit_non_hmac_request_keys: Vec<String>,
    /// Key of answers that the audit log shows in the clear; may be given more than once
    #[arg(long, value_name = "KEY", help_heading = SETTINGS)]
    pub(crate) audit_non_hmac_response_keys: Vec<String>,
    /// Whether it is listed for those who are not logged in: unauth or hidden
    #[arg(long, value_name = "WHEN", help_heading = SETTINGS)]
    pub(crate) listing_visibility: Option<String>,
    /// Header of requests that reaches the engine; may be given more than once
    #[arg(long, value_name = "HEADER", help_heading = SETTINGS)]
    pub(crate) passthrough_request_headers: Vec<String>,
    /// Header that the engine may answer with; may be given more than once
    #[arg(long, value_name = "HEADER", help_heading = SETTINGS)]
    pub(crate) allowed_response_headers: Vec<String>,
    /// Option of the engine; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = flags::key_value, help_heading = SETTINGS)]
    pub(crate) options: Vec<(String, String)>,
    /// Version of the engine's plugin
    #[arg(long, value_name = "VERSION", help_heading = SETTINGS)]
    pub(crate) plugin_version: Option<String>,
}

impl Settings {
    /// As the API takes them; what was not given is left out.
    pub(crate) fn tune(self) -> TuneMount {
        let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
        TuneMount {
            description: self.description,
            default_lease_ttl: self.default_lease_ttl,
            max_lease_ttl: self.max_lease_ttl,
            audit_non_hmac_request_keys: given(self.audit_non_hmac_request_keys),
            audit_non_hmac_response_keys: given(self.audit_non_hmac_response_keys),
            listing_visibility: self.listing_visibility,
            passthrough_request_headers: given(self.passthrough_request_headers),
            allowed_response_headers: given(self.allowed_response_headers),
            plugin_version: self.plugin_version,
            options: (!self.options.is_empty()).then(|| flags::pairs(self.options)),
            ..TuneMount::default()
        }
    }
}

/// The mounts of auth methods or secret engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secrets,
    Auth,
}

/// A short table of mounts. Those of auth methods show the version of their plugin.
pub(crate) fn brief(mounts: &BTreeMap<String, Mount>, kind: Kind) -> String {
    let mut heading = vec!["Path", "Type", "Accessor", "Description"];
    if kind == Kind::Auth {
        heading.push("Version");
    }
    let row = |(path, mount): (&String, &Mount)| {
        let mut row = vec![
            path.clone(),
            mount.kind.clone(),
            mount.accessor.clone(),
            mount.description.clone(),
        ];
        if kind == Kind::Auth {
            row.push(mount.plugin_version.clone());
        }
        row
    };
    table::headed(&heading, mounts.iter().map(row).collect())
}

/// A table of all that is known of mounts.
pub(crate) fn detailed(mounts: &BTreeMap<String, Mount>, kind: Kind) -> String {
    let mut heading = vec!["Path", "Plugin", "Accessor", "Default TTL", "Max TTL"];
    heading.push(if kind == Kind::Auth {
        "Token Type"
    } else {
        "Force No Cache"
    });
    heading.extend([
        "Replication",
        "Seal Wrap",
        "External Entropy Access",
        "Options",
    ]);
    heading.extend([
        "Description",
        "UUID",
        "Version",
        "Running Version",
        "Running SHA256",
    ]);
    heading.push("Deprecation Status");
    let rows = mounts
        .iter()
        .map(|(path, mount)| detailed_row(path, mount, kind))
        .collect();
    table::headed(&heading, rows)
}

fn detailed_row(path: &str, mount: &Mount, kind: Kind) -> Vec<String> {
    let leaseless = matches!(mount.kind.as_str(), "system" | "cubbyhole");
    let ttl = |seconds: u64| match seconds {
        _ if leaseless => String::new(),
        0 => "system".to_owned(),
        seconds => seconds.to_string(),
    };
    let options: Vec<_> = mount
        .options
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    let special = match kind {
        Kind::Auth => mount.config.token_type.clone(),
        Kind::Secrets => mount.config.force_no_cache.to_string(),
    };
    vec![
        path.to_owned(),
        mount.kind.clone(),
        mount.accessor.clone(),
        ttl(mount.config.default_lease_ttl),
        ttl(mount.config.max_lease_ttl),
        special,
        if mount.local { "local" } else { "replicated" }.to_owned(),
        mount.seal_wrap.to_string(),
        mount.external_entropy_access.to_string(),
        format!("map[{}]", options.join(" ")),
        mount.description.clone(),
        mount.uuid.clone(),
        mount.plugin_version.clone(),
        mount.running_plugin_version.clone(),
        mount.running_sha256.clone(),
        mount.deprecation_status.clone(),
    ]
}
