//! `sys/config`: who may ask from other origins, headers of the web pages, and the server's configuration.

use super::{Sys, System};
use crate::cross_origin::{CrossOrigin, CrossOriginRules};
use crate::limits::check;
use schemars::JsonSchema;
use secretum_api::fields::CommaList;
use secretum_engine::{Context, Fault, Handle, Listing, MountStorage, Reply, listing, to_json};
use secretum_storage::{Batch, Key};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Where headers of the web pages are stored.
const UI_HEADERS: &str = "sys/ui-header/";

/// What can be read anew.
const CONFIGURATION: &str = "configuration";

/// How many values a header of the web pages may have.
const UI_VALUES_MAX: usize = 64;

/// The longest name or value of such a header, in bytes.
const UI_BYTES_MAX: usize = 8_192;

/// Reads the server's configuration anew, as SIGHUP does.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReloadConfiguration {
    /// `configuration`.
    subsystem: String,
}

/// Tells which pages of other origins may ask.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadCors {}

/// Lets pages of other origins ask.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteCors {
    /// The origins; `*` alone for any.
    #[serde(default)]
    allowed_origins: CommaList,
    /// Headers that requests may have, beside those of the API.
    #[serde(default)]
    allowed_headers: CommaList,
    /// Whether browsers may send what they keep for the vault's own origin.
    #[serde(default)]
    allow_credentials: bool,
    /// Accepted for compatibility: rules are enabled by being written.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    enable: bool,
}

/// Lets no page of another origin ask.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteCors {}

/// Lists the headers of the web pages.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListUiHeaders {}

/// Reads a header of the web pages.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadUiHeader {
    /// Name of the header.
    header: String,
    /// Whether all of its values are wanted.
    #[serde(default)]
    multivalue: bool,
}

/// Sets a header of the web pages. Stored, without effect in a version that has none.
#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteUiHeader {
    /// Name of the header.
    header: String,
    /// Its values.
    #[serde(default)]
    values: CommaList,
}

/// Removes a header of the web pages.
#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteUiHeader {
    /// Name of the header.
    header: String,
}

/// Tells the configuration of the server, without its secrets.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadConfiguration {}

#[derive(Serialize, JsonSchema)]
pub(super) struct CorsFacts {
    enabled: bool,
    #[serde(flatten)]
    rules: Option<CorsRules>,
}

#[derive(Serialize, JsonSchema)]
struct CorsRules {
    allowed_origins: Vec<String>,
    allowed_headers: Vec<String>,
    allow_credentials: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum UiHeader {
    Value(String),
    Values(Vec<String>),
}

/// A JSON object.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct Configuration(#[schemars(with = "serde_json::Value")] Arc<RawValue>);

impl Serialize for Configuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

handler!(ReadCors, CorsFacts, _ask, context => {
    let rules = System::of(context)?.active.cross_origin.rules();
    Ok(Reply::data(CorsFacts {
        enabled: rules.is_some(),
        rules: rules.map(|rules| CorsRules {
            allowed_origins: rules.allowed_origins.clone(),
            allowed_headers: rules.allowed_headers.clone(),
            allow_credentials: rules.allow_credentials,
        }),
    }))
});

handler!(WriteCors, (), ask, _context => {
    let (origins, headers) = (ask.allowed_origins.0, ask.allowed_headers.0);
    let rules = CrossOriginRules::new(origins, headers, ask.allow_credentials)?;
    Ok(Reply::wrote(CrossOrigin::prepare(Some(&rules))?))
});

handler!(DeleteCors, (), _ask, _context => Ok(Reply::wrote(CrossOrigin::prepare(None)?)));

fn ui_headers(context: &Context) -> Result<MountStorage, Fault> {
    let storage = Arc::clone(&System::of(context)?.active.storage);
    Ok(MountStorage::new(storage, Key::try_from(UI_HEADERS)?))
}

handler!(ListUiHeaders, Listing, _ask, context => {
    listing(ui_headers(context)?.children("", None, None).await?)
});

handler!(ReadUiHeader, UiHeader, ask, context => {
    let record = ui_headers(context)?.get(&ask.header.to_ascii_lowercase()).await?;
    let values: Vec<String> = record.ok_or(Fault::NotFound)?.json()?;
    if ask.multivalue {
        return Ok(Reply::data(UiHeader::Values(values)));
    }
    let first = values.into_iter().next().ok_or(Fault::NotFound)?;
    Ok(Reply::data(UiHeader::Value(first)))
});

handler!(WriteUiHeader, (), ask, context => {
    let name = ask.header.to_ascii_lowercase();
    let values = ask.values.0;
    check(!values.is_empty(), || "header and values must be specified".to_owned())?;
    check(!name.starts_with("x-vault-"), || "X-Vault headers cannot be set".to_owned())?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_value = |value: &String| {
        value.len() <= UI_BYTES_MAX && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    };
    check(
        name.len() <= UI_BYTES_MAX
            && name.bytes().all(is_name)
            && values.len() <= UI_VALUES_MAX
            && values.iter().all(is_value),
        || "this is no header, or it has too many values".to_owned(),
    )?;
    let key = ui_headers(context)?.key(&name)?;
    let reply = Reply::wrote(Batch::new().put(key, to_json(&values)?));
    Ok(if name == "content-security-policy" {
        reply.warn(
            "overriding default Content-Security-Policy which is secure by default, proceed with caution",
        )
    } else {
        reply
    })
});

handler!(DeleteUiHeader, (), ask, context => {
    let key = ui_headers(context)?.key(&ask.header.to_ascii_lowercase())?;
    Ok(Reply::wrote(Batch::new().delete(key)))
});

handler!(ReloadConfiguration, (), ask, context => {
    if ask.subsystem != CONFIGURATION {
        return Err(Fault::invalid(format!(
            "there is no subsystem {:?}: `{CONFIGURATION}` can be read anew", ask.subsystem
        )));
    }
    System::of(context)?.active.core.config.node.reload.notify_one();
    let told = "the configuration is being read anew, as at SIGHUP: the server's log tells what came of it";
    Ok(Reply::empty().accepted().warn(told))
});

handler!(ReadConfiguration, Configuration, _ask, context => {
    let core = &System::of(context)?.active.core;
    Ok(Reply::data(Configuration(Arc::clone(&core.config.node.configuration))))
});
