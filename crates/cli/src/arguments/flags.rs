//! Flags that many commands share.

use crate::failure::Failure;
use crate::output::Format;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

const CONNECTION: &str = "Connection";
const OUTPUT: &str = "Output";

/// Where the server is, and as whom it is asked. Each has an environment variable that begins with
/// SECRETUM_, VAULT_ or BAO_; the flag comes first.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(crate) struct Connection {
    /// Format of the answer [env: VAULT_FORMAT] [default: table]
    #[arg(long, value_enum, ignore_case = true, value_name = "FORMAT", help_heading = OUTPUT)]
    pub(crate) format: Option<Format>,
    /// Print the request as a curl command, and do not send it
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) output_curl_string: bool,
    /// Print a policy (HCL) that grants the request, and do not send it
    #[arg(long, conflicts_with = "output_curl_string", help_heading = OUTPUT)]
    pub(crate) output_policy: bool,
    /// Address of the server: https://, http:// or unix:// [env: VAULT_ADDR] [default:
    /// https://127.0.0.1:8200]
    #[arg(long, value_name = "URL", help_heading = CONNECTION)]
    pub(crate) address: Option<String>,
    /// Address of an agent or proxy that stands before the server, to be asked instead [env:
    /// VAULT_AGENT_ADDR]
    #[arg(long, value_name = "URL", help_heading = CONNECTION)]
    pub(crate) agent_address: Option<String>,
    /// File with the certificates (PEM) of the authorities to trust [env: VAULT_CACERT]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Folder with such files [env: VAULT_CAPATH]
    #[arg(long, value_name = "FOLDER", help_heading = CONNECTION)]
    pub(crate) ca_path: Option<PathBuf>,
    /// File with the client's own certificate (PEM) [env: VAULT_CLIENT_CERT]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(crate) client_cert: Option<PathBuf>,
    /// File with the key of that certificate (PEM) [env: VAULT_CLIENT_KEY]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(crate) client_key: Option<PathBuf>,
    /// Name that the server's certificate must be for [env: VAULT_TLS_SERVER_NAME]
    #[arg(long, value_name = "NAME", help_heading = CONNECTION)]
    pub(crate) tls_server_name: Option<String>,
    /// Take any certificate; whoever stands in between then reads everything [env:
    /// VAULT_SKIP_VERIFY]
    #[arg(long, help_heading = CONNECTION)]
    pub(crate) tls_skip_verify: bool,
    /// Namespace to work in [env: VAULT_NAMESPACE]
    #[arg(long, visible_alias = "ns", value_name = "NAME", help_heading = CONNECTION)]
    pub(crate) namespace: Option<String>,
    /// Send this header too; may be given more than once
    #[arg(long = "header", value_name = "NAME=VALUE", help_heading = CONNECTION)]
    pub(crate) headers: Vec<String>,
    /// Second factor, as METHOD or METHOD:CODE [env: VAULT_MFA]
    #[arg(long, value_name = "FACTOR", help_heading = CONNECTION)]
    pub(crate) mfa: Vec<String>,
    /// Do not follow a redirect to the active node [env: VAULT_DISABLE_REDIRECTS]
    #[arg(long, help_heading = CONNECTION)]
    pub(crate) disable_redirects: bool,
    /// Get the answer as a wrapping token that lives this long [env: VAULT_WRAP_TTL]
    #[arg(long, value_name = "DURATION", help_heading = CONNECTION)]
    pub(crate) wrap_ttl: Option<String>,
    /// Never ask at the terminal
    #[arg(long, help_heading = CONNECTION)]
    pub(crate) non_interactive: bool,
    /// Has no meaning here; taken so that scripts written for Vault go on working
    #[arg(long, hide = true)]
    pub(crate) policy_override: bool,
    /// Colour nothing, on a terminal either [env: NO_COLOR, VAULT_CLI_NO_COLOR]
    #[arg(long, help_heading = CONNECTION)]
    pub(crate) no_color: bool,
}

/// For commands whose answer has fields.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(crate) struct Field {
    /// Print only this field, bare
    #[arg(long, value_name = "NAME", help_heading = OUTPUT)]
    pub(crate) field: Option<String>,
}

/// A switch that is on unless it is turned off by `=false`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoBool(pub(crate) bool);

impl std::str::FromStr for GoBool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Self(true)),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Self(false)),
            _ => Err("it must be true or false".to_owned()),
        }
    }
}

/// A duration that the server will understand, checked before it is sent.
pub(crate) fn duration(text: &str) -> Result<String, String> {
    secretum_api::fields::Seconds::parse(text).map(|_| text.to_owned())
}

/// A duration, or `system` for what the server is set to.
pub(crate) fn lease_ttl(text: &str) -> Result<String, String> {
    match text {
        "system" => Ok(text.to_owned()),
        _ => duration(text),
    }
}

/// Splits `key=value`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as key=value".to_owned()),
    }
}

/// Pairs as a map; of a key that appears twice, the last value counts.
pub(crate) fn pairs(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    pairs.into_iter().collect()
}

/// A path without the blanks and slashes around it, as Vault's users write it with or without.
pub(crate) fn path(text: &str) -> Result<String, Failure> {
    let path = text.trim().trim_matches('/');
    if path.is_empty() {
        return Err(Failure::local(format!("`{text}` is not a path")));
    }
    Ok(path.to_owned())
}
