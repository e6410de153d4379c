//! Settings of a mount, as flags of `enable` and `tune`.

use crate::arguments::flags;
use clap::Args;
use secretum_client::sys::TuneMount;

const SETTINGS: &str = "Settings";

/// Settings of a mount.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Settings {
    /// What people should know about it
    #[arg(long, value_name = "TEXT", help_heading = SETTINGS)]
    pub(crate) description: Option<String>,
    /// How long leases last where nothing is asked; system for what the server is set to
    #[arg(long, value_name = "DURATION", value_parser = flags::lease_ttl, help_heading = SETTINGS)]
    pub(crate) default_lease_ttl: Option<String>,
    /// How long leases can last; system for what the server is set to
    #[arg(long, value_name = "DURATION", value_parser = flags::lease_ttl, help_heading = SETTINGS)]
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
    /// As the API takes them, beside those that only one kind of engine has. What was not given is
    /// left out.
    pub(super) fn over(self, own: TuneMount) -> TuneMount {
        let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
        // An option that has a flag of its own comes before the same one among the options.
        let mut options = flags::pairs(self.options);
        options.extend(own.options.into_iter().flatten());
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
            options: (!options.is_empty()).then_some(options),
            ..own
        }
    }
}
